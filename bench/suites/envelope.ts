/**
 * What opening DRS envelopes costs on top of deriving: the same NT hashes through both, in the same rounds, by the CPU
 * time of all threads.
 */

import { type CaseEntry, measure } from '../cases.js';
import type { Case, SuiteOptions } from '../result.js';

const JOBS = 8192;

export async function envelope({ kernel, threads = 1, ...options }: SuiteOptions): Promise<Case[]> {
  const env = kernel === undefined ? {} : { PHSYNC_KERNEL: kernel };
  const derive = `deriveBatch ${JOBS}`;
  const entries: CaseEntry[] = [
    {
      name: `openAndDeriveBatch ${JOBS}`,
      contender: `open:${threads}`,
      jobs: JOBS,
      env,
      kernel,
      threads,
      clock: 'cpu',
      against: [derive, 'node:crypto'],
    },
    {
      name: derive,
      contender: `pool:${threads}`,
      jobs: JOBS,
      env,
      kernel,
      threads,
      clock: 'cpu',
      against: ['node:crypto'],
    },
    { name: 'node:crypto', jobs: 16, threads: 1, clock: 'cpu', against: [] },
  ];
  return measure(entries, options);
}
