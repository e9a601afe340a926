/** Every kernel that this CPU runs at several batch sizes, one thread, beside what a JS program has without phsync. */

import { PhsyncError } from '#src/hasher/errors.js';
import { type CaseEntry, measure } from '../cases.js';
import { addon } from '../contenders/native.js';
import type { Case, SuiteOptions } from '../result.js';

/** OpenSSL without SHA-NI: what `node:crypto` does on CPUs that lack it, so that figures from both kinds compare. */
const NO_SHA_NI = { OPENSSL_ia32cap: ':~0x20000000' };

/** Full lanes, all kinds of tails, a lone job. */
const BATCHES = [4096, 31, 16, 7, 2, 1] as const;

export async function kernel({ kernel: only, ...options }: SuiteOptions): Promise<Case[]> {
  const { supported } = addon().kernels();
  // `auto` forces nothing: the widths of all kernels, by what each costs here.
  const names = ['auto', ...supported].filter((name) => only === undefined || name === only);
  if (names.length === 0) {
    throw new PhsyncError(
      'usage-bench',
      `no kernel ${JSON.stringify(only)} on this CPU; it has ${supported.join(', ')}`,
    );
  }
  const contenders: CaseEntry[] = [
    { name: 'node:crypto', jobs: 16, threads: 1, clock: 'cpu', against: [] },
    ...(process.arch === 'x64'
      ? [
          {
            name: 'node:crypto without SHA-NI',
            contender: 'node:crypto',
            env: NO_SHA_NI,
            jobs: 16,
            threads: 1,
            clock: 'cpu' as const,
            against: [],
          },
        ]
      : []),
    { name: 'noble', jobs: 8, threads: 1, clock: 'cpu', against: [] },
    { name: 'hash-wasm', jobs: 8, threads: 1, clock: 'cpu', against: [] },
  ];
  const ours = names.flatMap((name) =>
    BATCHES.map(
      (jobs): CaseEntry => ({
        name: `${name}, batch of ${jobs}`,
        contender: `native:${name}`,
        kernel: name,
        jobs,
        threads: 1,
        clock: 'cpu',
        against: contenders.map((contender) => contender.name),
      }),
    ),
  );
  return measure([...ours, ...contenders], options);
}
