/** A piscina worker: one slice of a batch at a time, on the synchronous backend, in memory that all threads share. */

import { openBackend } from './open-backend.js';
import { type Backend, type FlatItems, type KernelChoice, NT_HASH_SIZE } from './types.js';

interface SliceBase {
  /** undefined: the fallback. */
  readonly kernel: KernelChoice | undefined;
}

/** A slice as it is posted. */
export type PostedSlice = Slice & {
  /** Not 0 as soon as nobody waits for slices any more: those that come are not begun. */
  readonly stop: Int32Array;
};

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

const backends = new Map<KernelChoice | undefined, Backend>();

/** What a worker answers where a slice cannot be done, by any worker. */
export interface SliceError {
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
}

function backendOf({ kernel }: Slice): Backend {
  let backend = backends.get(kernel);
  if (backend === undefined) {
    backend = openBackend(kernel);
    backends.set(kernel, backend);
  }
  return backend;
}

function attempt(slice: PostedSlice): SliceError | undefined {
  if (Atomics.load(slice.stop, 0) !== 0)
    return { name: 'Error', message: 'the hasher is closed', code: 'hasher-closed' };
  try {
    work(backendOf(slice), slice);
    return undefined;
  } catch (error) {
    const { name, message, code } = error as Error & { code?: string };
    return { name, message, code };
  }
}

const nothing = (): void => {};
let previous: Promise<unknown> = Promise.resolve();

/**
 * Works a slice off; the outputs go into the slice's shared memory. It does not reject: that is how dead workers look.
 * Of two slices that came together the second is begun when the first one's answer is on its way, which it is a
 * microtask after it is known: else both answers would come when both are done, and the worker would wait for new work.
 */
export function run(slice: PostedSlice): Promise<SliceError | undefined> {
  const answer = previous.then(() => attempt(slice));
  previous = answer.then(nothing).then(nothing);
  return answer;
}

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
