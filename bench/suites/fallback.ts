/** The pure-JS fallback on one thread and on all, deriving and opening, beside node:crypto, which does its PBKDF2. */

import { availableParallelism } from 'node:os';
import { type CaseEntry, measure } from '../cases.js';
import type { Case, SuiteOptions } from '../result.js';

const JOBS = 512;

export async function fallback({ threads = availableParallelism(), ...options }: SuiteOptions): Promise<Case[]> {
  const one = 'fallback, 1 thread';
  const contender: CaseEntry = { name: 'node:crypto', jobs: JOBS, threads: 1, clock: 'cpu', against: [] };
  const entries: CaseEntry[] = [
    { name: one, contender: 'fallback:1', jobs: JOBS, threads: 1, clock: 'cpu', against: ['node:crypto'] },
    {
      name: 'fallback opens and derives, 1 thread',
      contender: 'open-fallback:1',
      jobs: JOBS,
      threads: 1,
      clock: 'cpu',
      against: ['node:crypto', one],
    },
    {
      name: `fallback, ${threads} threads`,
      contender: `fallback:${threads}`,
      jobs: JOBS * threads,
      threads,
      clock: 'wall',
      against: ['node:crypto', one],
    },
  ];
  return measure(
    [...entries.filter(({ name }, i) => entries.findIndex((e) => e.name === name) === i), contender],
    options,
  );
}
