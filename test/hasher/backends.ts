/** Runs a suite once for the fallback and once for each kernel; those that cannot run here are named skips. */

import { afterAll, beforeAll, describe } from 'vitest';
import { createHasher } from '#src/hasher/create-hasher.js';
import { loadNative } from '#src/hasher/native.js';
import type { Hasher, HasherOptions, KernelName } from '#src/hasher/types.js';

const KERNELS: readonly KernelName[] = ['portable', 'sse41', 'avx2', 'avx512', 'shani', 'neon'];

const loaded = loadNative();
export const supported: readonly KernelName[] = 'native' in loaded ? loaded.native.kernels.supported : [];
export const compiled: readonly KernelName[] = 'native' in loaded ? loaded.native.kernels.compiled : [];

/** What forces each backend and kernel that runs here. */
export const runnable: readonly HasherOptions[] = [
  { backend: 'fallback' },
  ...supported.map((kernel) => ({ backend: 'native', kernel }) as const),
];

/** `suite` gets a getter, since the hasher is made when the suite runs. */
export function describeBackends(name: string, suite: (hasher: () => Hasher, options: HasherOptions) => void): void {
  const all: readonly HasherOptions[] = [
    { backend: 'fallback' },
    ...KERNELS.map((kernel) => ({ backend: 'native', kernel }) as const),
  ];
  for (const options of all) {
    const { kernel } = options;
    const present = kernel === undefined || supported.includes(kernel);
    const why = present
      ? ''
      : 'whyNot' in loaded
        ? ' (no native addon)'
        : compiled.includes(kernel)
          ? ' (not on this CPU)'
          : ' (not in this build)';
    describe.skipIf(!present)(`${name} on ${kernel ?? 'the fallback'}${why}`, () => {
      let hasher: Hasher;
      beforeAll(() => {
        hasher = createHasher({ ...options, threads: 2 });
      });
      afterAll(() => hasher.close());
      suite(() => hasher, options);
    });
  }
}
