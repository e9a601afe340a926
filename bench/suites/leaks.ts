/** `phsync leaks import`: pairs of name and password tried on 50,000 credentials in SQLite, beside the raw rate of the hasher. */

import { availableParallelism } from 'node:os';
import { type CaseEntry, measure } from '../cases.js';
import type { Case, SuiteOptions } from '../result.js';

const PAIRS = 65_536;

export async function leaks({ kernel, ...options }: SuiteOptions): Promise<Case[]> {
  const threads = availableParallelism();
  const env: Record<string, string> = kernel === undefined ? {} : { PHSYNC_KERNEL: kernel };
  const raw = `pool:${threads}`;
  const common = { kernel, threads, clock: 'wall', env } as const;
  const entries: CaseEntry[] = [
    { ...common, name: 'leaks:known', jobs: PAIRS, against: [raw] },
    { ...common, name: 'leaks:a tenth', contender: 'leaks:tenth', jobs: PAIRS, against: [raw] },
    { ...common, name: raw, jobs: 16_384, against: [] },
  ];
  return measure(entries, options);
}
