/** A piscina worker: one slice of a batch at a time, on the synchronous backend, in memory that all threads share. */

import { openBackend } from './open-backend.js';
import type { Backend, KernelChoice } from './types.js';

interface SliceBase {
  /** undefined: the fallback. */
  readonly kernel: KernelChoice | undefined;
  readonly salts: Uint8Array;
  readonly iterations: number;
  readonly digests: Uint8Array;
}

export interface DeriveSlice extends SliceBase {
  readonly operation: 'derive';
  readonly ntHashes: Uint8Array;
}

export interface OpenSlice extends SliceBase {
  readonly operation: 'open';
  readonly sessionKeys: Uint8Array;
  readonly sessionKeyOffsets: Uint32Array;
  readonly envelopes: Uint8Array;
  readonly rids: Uint32Array;
  readonly status: Uint8Array;
}

/** Every typed array of a slice lies on a SharedArrayBuffer, so that posting it copies no secret. */
export type Slice = DeriveSlice | OpenSlice;

const backends = new Map<KernelChoice | undefined, Backend>();

/** Works a slice off; the outputs go into the slice's shared memory. */
export function run(slice: Slice): void {
  let backend = backends.get(slice.kernel);
  if (backend === undefined) {
    backend = openBackend(slice.kernel);
    backends.set(slice.kernel, backend);
  }
  const { salts, iterations, digests } = slice;
  if (slice.operation === 'derive') {
    backend.deriveBatch(slice.ntHashes, salts, iterations, digests);
    return;
  }
  const { sessionKeys, sessionKeyOffsets, envelopes, rids, status } = slice;
  backend.openAndDeriveBatch(sessionKeys, sessionKeyOffsets, envelopes, rids, salts, iterations, digests, status);
}
