/** Runs a suite once for the fallback and once for each kernel of this build; what cannot run here is a named skip. */

import { afterAll, beforeAll, describe, it } from 'vitest';
import { createHasher } from '#src/hasher/create-hasher.js';
import { loadNative } from '#src/hasher/native.js';
import type { Hasher, HasherOptions } from '#src/hasher/types.js';

const loaded = loadNative();
const kernels = 'native' in loaded ? loaded.native.kernels : undefined;

/** What forces each backend and kernel that runs here. */
export const runnable: readonly HasherOptions[] = [
  { backend: 'fallback' },
  ...(kernels?.supported ?? []).map((kernel) => ({ backend: 'native', kernel }) as const),
];

/** `suite` gets a getter, since the hasher is made when the suite runs. */
export function describeBackends(name: string, suite: (hasher: () => Hasher, options: HasherOptions) => void): void {
  for (const options of runnable) {
    describe(`${name} on ${options.kernel ?? 'the fallback'}`, () => {
      let hasher: Hasher;
      beforeAll(() => {
        hasher = createHasher({ ...options, threads: 2 });
      });
      afterAll(() => hasher.close());
      suite(() => hasher, options);
    });
  }
  if ('whyNot' in loaded) it.skip(`${name} on native: ${loaded.whyNot}`);
  for (const kernel of kernels?.compiled ?? []) {
    if (!kernels?.supported.includes(kernel)) it.skip(`${name} on ${kernel}: this CPU cannot run it`);
  }
}
