/** The addon's synchronous batch in this thread: a kernel by name, or `auto`. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { NativeAddon } from '#src/hasher/backend.js';
import type { KernelChoice } from '#src/hasher/types.js';
import { checkDigests, ITERATIONS, inputs } from '../inputs.js';
import { type Contender, nothing } from './contender.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

export function addon(): NativeAddon {
  return (createRequire(import.meta.url)('node-gyp-build') as (root: string) => NativeAddon)(root);
}

export function native(kernel: string, jobs: number): Contender {
  const given = inputs(jobs);
  const digests = new Uint8Array(jobs * 32);
  const door = addon();
  return {
    jobs,
    run: () => door.deriveBatch(kernel as KernelChoice, given.ntHashes, given.salts, ITERATIONS, digests),
    check: () => checkDigests(`native:${kernel}`, given, digests),
    close: nothing,
  };
}
