/** A piscina worker: one slice of a batch at a time, on the synchronous backend, in memory that all threads share. */

import { openBackend } from './open-backend.js';
import type { Backend, KernelChoice } from './types.js';

interface SliceBase {
  /** undefined: the fallback. */
  readonly kernel: KernelChoice | undefined;
}

interface OrgIdSlice extends SliceBase {
  readonly salts: Uint8Array;
  readonly iterations: number;
  readonly digests: Uint8Array;
}

export interface DeriveSlice extends OrgIdSlice {
  readonly operation: 'derive';
  readonly ntHashes: Uint8Array;
}

export interface OpenSlice extends OrgIdSlice {
  readonly operation: 'open';
  readonly sessionKeys: Uint8Array;
  readonly sessionKeyOffsets: Uint32Array;
  readonly envelopes: Uint8Array;
  readonly rids: Uint32Array;
  readonly status: Uint8Array;
}

export interface Md4Slice extends SliceBase {
  readonly operation: 'md4';
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  readonly digests: Uint8Array;
}

export interface Pbkdf2Slice extends SliceBase {
  readonly operation: 'pbkdf2';
  readonly passwords: Uint8Array;
  readonly passwordOffsets: Uint32Array;
  readonly salts: Uint8Array;
  readonly saltOffsets: Uint32Array;
  readonly iterations: number;
  readonly keylen: number;
  readonly derivedKeys: Uint8Array;
}

/** Every typed array of a slice lies on a SharedArrayBuffer, so that posting it copies no secret. */
export type Slice = DeriveSlice | OpenSlice | Md4Slice | Pbkdf2Slice;

const backends = new Map<KernelChoice | undefined, Backend>();

/** Works a slice off; the outputs go into the slice's shared memory. */
export function run(slice: Slice): void {
  let backend = backends.get(slice.kernel);
  if (backend === undefined) {
    backend = openBackend(slice.kernel);
    backends.set(slice.kernel, backend);
  }
  switch (slice.operation) {
    case 'derive': {
      const { ntHashes, salts, iterations, digests } = slice;
      backend.deriveBatch(ntHashes, salts, iterations, digests);
      break;
    }
    case 'open': {
      const { sessionKeys, sessionKeyOffsets, envelopes, rids, salts, iterations, digests, status } = slice;
      backend.openAndDeriveBatch(sessionKeys, sessionKeyOffsets, envelopes, rids, salts, iterations, digests, status);
      break;
    }
    case 'md4': {
      const { bytes, offsets, digests } = slice;
      backend.md4Batch(bytes, offsets, digests);
      break;
    }
    case 'pbkdf2': {
      const { passwords, passwordOffsets, salts, saltOffsets, iterations, keylen, derivedKeys } = slice;
      backend.pbkdf2Batch(passwords, passwordOffsets, salts, saltOffsets, iterations, keylen, derivedKeys);
      break;
    }
  }
}
