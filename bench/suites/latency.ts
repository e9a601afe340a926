/** Single calls: what a lone one takes, and how many a second come through when many are under way at once. */

import { availableParallelism } from 'node:os';
import { type CaseEntry, measure } from '../cases.js';
import type { Case, SuiteOptions } from '../result.js';

const CONCURRENCY = [1, 16, 64, 256] as const;

export async function latency({ kernel, ...options }: SuiteOptions): Promise<Case[]> {
  const env = kernel === undefined ? {} : { PHSYNC_KERNEL: kernel };
  const threads = availableParallelism();
  const entries: CaseEntry[] = CONCURRENCY.flatMap((jobs) => {
    const theirs = `crypto.pbkdf2, ${jobs} at once`;
    // The lone call has the quickest that there is to beat.
    const against = jobs === 1 ? ['crypto.pbkdf2Sync, 1 at once', theirs] : [theirs];
    return [
      ...(['verify', 'derive'] as const).map(
        (contender): CaseEntry => ({
          name: `${contender}, ${jobs} at once`,
          contender,
          jobs,
          env,
          kernel,
          threads,
          clock: 'wall',
          against,
        }),
      ),
      { name: theirs, contender: 'pbkdf2', jobs, threads, clock: 'wall' as const, against: [] },
    ];
  });
  entries.push({
    name: 'crypto.pbkdf2Sync, 1 at once',
    contender: 'pbkdf2Sync',
    jobs: 1,
    threads: 1,
    clock: 'wall',
    against: [],
  });
  return measure(entries, options);
}
