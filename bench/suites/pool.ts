/** The pool on one thread, two and more, beside as many processes that share nothing. */

import { availableParallelism } from 'node:os';
import { type CaseEntry, measure } from '../cases.js';
import type { Case, SuiteOptions } from '../result.js';

const JOBS = 16_384;

/** 1, 2, 4, … and all of them. */
function threadCounts(all: number): number[] {
  const counts: number[] = [];
  for (let count = 1; count < all; count *= 2) counts.push(count);
  return [...counts, all];
}

export async function pool({ kernel, threads = availableParallelism(), ...options }: SuiteOptions): Promise<Case[]> {
  const env = kernel === undefined ? {} : { PHSYNC_KERNEL: kernel };
  const one = 'deriveBatch, pool of 1';
  const entries = threadCounts(threads).flatMap((count): CaseEntry[] => {
    const common = { jobs: JOBS, env, kernel, threads: count, clock: 'wall' as const };
    const limit = `as many processes, ${count}`;
    return [
      {
        name: `deriveBatch, pool of ${count}`,
        contender: `pool:${count}`,
        ...common,
        against: count === 1 ? ['node:crypto', limit] : ['node:crypto', limit, one],
      },
      { name: limit, contender: `processes:${count}`, ...common, against: [] },
    ];
  });
  entries.push({ name: 'node:crypto', jobs: 16, threads: 1, clock: 'wall', against: [] });
  return measure(entries, options);
}
