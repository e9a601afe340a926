/** A piscina worker: one slice of a batch at a time, on the synchronous backend, in memory that all threads share. */

import type { Backend } from './backend.js';
import { openBackend } from './open-backend.js';
import { serve } from './serve.js';
import { type FlatItems, type KernelChoice, NT_HASH_SIZE } from './types.js';

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
  /** UTF-16LE passwords, whose NT hashes become the first of `ntHashes`. */
  readonly passwords: FlatItems | undefined;
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

/**
 * Every typed array of a slice lies on a SharedArrayBuffer, so that posting it copies no secret. The main thread wipes
 * it. No operation changes its inputs: a slice whose worker died is done again.
 */
export type Slice = DeriveSlice | OpenSlice | Md4Slice | Pbkdf2Slice;

function work(backend: Backend, slice: Slice): void {
  switch (slice.operation) {
    case 'derive': {
      const { passwords, ntHashes, salts, iterations, digests } = slice;
      if (passwords !== undefined) {
        const { bytes, offsets } = passwords;
        backend.md4Batch(bytes, offsets, ntHashes.subarray(0, (offsets.length - 1) * NT_HASH_SIZE));
      }
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

/** Works a slice off; the outputs go into the slice's shared memory. */
export const run = serve<Slice>('hasher', (slice) => work(openBackend(slice.kernel), slice));
