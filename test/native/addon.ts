/** The built addon itself, without the facade, and what every suite on it shares. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'vitest';
import type { NativeAddon } from '#src/hasher/backend.js';
import type { KernelName } from '#src/hasher/types.js';

export * from './parity/bytes.js';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(import.meta.url);
const nodeGypBuild: { path(root: string): string } = require('node-gyp-build');
/** Where the package's own loader finds it: below PHSYNC_PREBUILD, else below the root. */
export const addonPath = nodeGypBuild.path(root);
export const addon: NativeAddon = require(addonPath);

/** Runs the suite once for each kernel of this build; what cannot run here is a named skip. */
export function describeKernels(name: string, suite: (kernel: KernelName) => void): void {
  const { compiled, supported } = addon.kernels();
  for (const kernel of compiled) {
    if (supported.includes(kernel)) describe(`${name} on ${kernel}`, () => suite(kernel));
    else it.skip(`${name} on ${kernel}: this CPU or its OS cannot run it`);
  }
}
