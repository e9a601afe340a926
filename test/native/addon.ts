/** The built addon itself, without the facade, and what every suite on it shares. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'vitest';
import type { KernelName, NativeAddon } from '#src/hasher/types.js';

export * from './parity/bytes.js';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const addonPath = fileURLToPath(new URL('../../build/Release/phsync.node', import.meta.url));
export const addon: NativeAddon = createRequire(import.meta.url)(addonPath);

/** Runs the suite once for each kernel of this build; what cannot run here is a named skip. */
export function describeKernels(name: string, suite: (kernel: KernelName) => void): void {
  const { compiled, supported } = addon.kernels();
  for (const kernel of compiled) {
    if (supported.includes(kernel)) describe(`${name} on ${kernel}`, () => suite(kernel));
    else it.skip(`${name} on ${kernel}: this CPU or its OS cannot run it`);
  }
}

/** Lanes of the widest kernel; batches are walked past twice as many. */
export const MAX_LANES = 32;
