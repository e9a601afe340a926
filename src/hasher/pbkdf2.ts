/**
 * `pbkdf2` and `pbkdf2Sync` of node:crypto, with its signatures, results and errors. SHA-256 is worked off here, calls made
 * at about the same time side by side; everything else is handed to node:crypto as it came, above all what it refuses:
 * its errors need no imitation.
 */

import * as crypto from 'node:crypto';
import { promisify, types } from 'node:util';
import { secretBytes } from '../crypto/secret-bytes.js';
import type { Backend } from './backend.js';
import { defaultHasher } from './default-hasher.js';
import { copyItem, utf8OrBytes } from './flat-items.js';
import { openBackend } from './open-backend.js';
import { blocksOf } from './pbkdf2-batch.js';
import { selectBackend } from './select-backend.js';
import { MAX_PBKDF2_WORK, type Pbkdf2BatchInput } from './types.js';

/** What node:crypto takes as password and salt; a string stands for its UTF-8 bytes. */
export type Pbkdf2Bytes = string | NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer;
/** What `pbkdf2` calls in the end: with an error, or with null and `keylen` bytes. */
/** A Buffer, by whatever name the program's own types of Node.js have for that of node:crypto. */
export type DerivedKey = ReturnType<typeof crypto.pbkdf2Sync>;
/** Of `pbkdf2`, as node:crypto's. */
export type Pbkdf2Callback = (error: Error | null, derivedKey: DerivedKey) => void;

type Arguments = readonly [password: unknown, salt: unknown, iterations: unknown, keylen: unknown, digest: unknown];

/** Longer passwords and salts are left to node:crypto: they are hashed once, and would have to be copied for that. */
const MAX_LENGTH = 1 << 20;
/** How people write SHA-256; OpenSSL's other names for it go the long way round. */
const SHA256: ReadonlySet<unknown> = new Set(['sha256', 'SHA256', 'sha-256', 'SHA-256']);

const nodePbkdf2 = crypto.pbkdf2 as (...args: readonly unknown[]) => void;
const nodePbkdf2Sync = crypto.pbkdf2Sync as (...args: readonly unknown[]) => DerivedKey;
const nodePromise = promisify(crypto.pbkdf2) as (...args: readonly unknown[]) => Promise<DerivedKey>;

interface Job {
  /** The caller's bytes. */
  readonly password: string | Uint8Array;
  readonly salt: string | Uint8Array;
  readonly iterations: number;
  readonly keylen: number;
}

/** Where a kind of view lies, by its prototype's accessors: node:crypto does not see properties that lie over them. */
function placeOf(prototype: object): (view: ArrayBufferView) => Uint8Array {
  const [buffer, byteOffset, byteLength] = ['buffer', 'byteOffset', 'byteLength'].map(
    (name) => Object.getOwnPropertyDescriptor(prototype, name)?.get,
  );
  return (view) => new Uint8Array(buffer?.call(view), byteOffset?.call(view), byteLength?.call(view));
}

const typedArrayBytes = placeOf(Object.getPrototypeOf(Uint8Array.prototype) as object);
const dataViewBytes = placeOf(DataView.prototype);

/** The value, views of all kinds as a view of their bytes; undefined where node:crypto should look at it. */
function bytesOf(value: unknown): string | Uint8Array | undefined {
  if (typeof value === 'string') return value.length <= MAX_LENGTH ? value : undefined;
  const isView = ArrayBuffer.isView(value);
  if (!isView && !types.isAnyArrayBuffer(value)) return undefined;
  try {
    let view: Uint8Array;
    if (!isView) view = new Uint8Array(value);
    else view = types.isDataView(value) ? dataViewBytes(value) : typedArrayBytes(value);
    return view.length <= MAX_LENGTH ? view : undefined;
  } catch (error) {
    // A buffer that was transferred away, a view past its buffer's end.
    if (error instanceof TypeError || error instanceof RangeError) return undefined;
    throw error;
  }
}

const isInteger = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_PBKDF2_WORK;

/** The job that these arguments are, if it is one for us. */
function jobOf([password, salt, iterations, keylen, digest]: Arguments): Job | undefined {
  // In FIPS mode it is one for OpenSSL's validated module.
  if (!SHA256.has(digest) || crypto.getFips() === 1) return undefined;
  if (!isInteger(iterations) || !isInteger(keylen)) return undefined;
  if (iterations * blocksOf(keylen) > MAX_PBKDF2_WORK) return undefined;
  const bytes = bytesOf(password);
  const saltBytes = bytesOf(salt);
  if (bytes === undefined || saltBytes === undefined) return undefined;
  return { password: bytes, salt: saltBytes, iterations, keylen };
}

/** -0 passes node:crypto's checks and then ends the process in a failed assertion. */
const withoutMinusZero = (keylen: unknown): unknown => (keylen === 0 ? 0 : keylen);

/** A key of ours never lies on shared memory. */
const toBuffer = (key: Uint8Array): DerivedKey => Buffer.from(key.buffer as ArrayBuffer, key.byteOffset, key.length);

/** The bytes are read before this returns. Undefined where the fallback would do no more than node:crypto does. */
function start({ password, salt, iterations, keylen }: Job): Promise<DerivedKey> | undefined {
  const hasher = defaultHasher();
  if (hasher.info.backend === 'fallback') return undefined;
  return hasher.pbkdf2(password, salt, iterations, keylen).then(toBuffer);
}

/**
 * PBKDF2 (RFC 8018, 5.2) with the signature, the results and the errors of `crypto.pbkdf2`; without a callback it returns
 * a promise, as `util.promisify(crypto.pbkdf2)` does.
 *
 * With digest `sha256` the calls of equal `iterations` and `keylen` that are made at about the same time share the lanes of
 * the native kernels, on threads of phsync's own. Handed to node:crypto are other digests, keys of no bytes, passwords and
 * salts above 1 MiB, more than MAX_PBKDF2_WORK iterations × blocks of 32 bytes, whatever is called in FIPS mode or without
 * the native backend, and all that node:crypto refuses.
 *
 * @throws {TypeError} {RangeError} as `crypto.pbkdf2` does, with its codes (`ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`,
 *   `ERR_CRYPTO_INVALID_DIGEST`); the promise form rejects with them.
 * @throws {PhsyncError} `config-backend` or `config-kernel`, if PHSYNC_BACKEND or PHSYNC_KERNEL cannot be had.
 * @example
 * const key = await pbkdf2('password', 'salt', 600_000, 32, 'sha256');
 * key.toString('hex'); // '669cfe52482116fda1aa2cbe409b2f56c8e4563752b7a28f6eaab614ee005178'
 * @example
 * pbkdf2('password', 'salt', 2, 32, 'sha256', (error, key) => {
 *   if (error) throw error;
 *   console.log(key.toString('hex')); // ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43
 * });
 */
export function pbkdf2(
  password: Pbkdf2Bytes,
  salt: Pbkdf2Bytes,
  iterations: number,
  keylen: number,
  digest: string,
): Promise<DerivedKey>;
// The last one is what util.promisify goes by.
export function pbkdf2(
  password: Pbkdf2Bytes,
  salt: Pbkdf2Bytes,
  iterations: number,
  keylen: number,
  digest: string,
  callback: Pbkdf2Callback,
): void;
export function pbkdf2(
  password: unknown,
  salt: unknown,
  iterations: unknown,
  keylen: unknown,
  digest: unknown,
  callback?: unknown,
): Promise<DerivedKey> | undefined {
  const args: Arguments = [password, salt, iterations, withoutMinusZero(keylen), digest];
  // node:crypto takes a function in the digest's place for the callback, and then lacks a digest.
  if (callback === undefined && typeof digest !== 'function') return promised(args);
  const job = typeof callback === 'function' ? jobOf(args) : undefined;
  const key = job && start(job);
  if (key === undefined) {
    nodePbkdf2(...args, callback);
    return undefined;
  }
  // Outside of the promise: what the callback throws is an uncaught exception, no unhandled rejection. The promise and the
  // immediate keep the asynchronous context of this call.
  const call = (...result: readonly unknown[]): void => {
    setImmediate(callback as (...result: readonly unknown[]) => void, ...result);
  };
  key.then(
    (buffer) => call(null, buffer),
    (error: unknown) => call(error),
  );
  return undefined;
}

async function promised(args: Arguments): Promise<DerivedKey> {
  const job = jobOf(args);
  return (job && start(job)) ?? nodePromise(...args);
}

let backend: Backend | undefined;

/**
 * `crypto.pbkdf2Sync`: `pbkdf2` on the calling thread, which works the blocks of a long key off side by side.
 *
 * @throws As `pbkdf2` does.
 * @example pbkdf2Sync('password', 'salt', 2, 4, 'sha256').toString('hex'); // 'ae4d0c95'
 */
export function pbkdf2Sync(
  password: Pbkdf2Bytes,
  salt: Pbkdf2Bytes,
  iterations: number,
  keylen: number,
  digest: string,
): DerivedKey {
  const args: Arguments = [password, salt, iterations, withoutMinusZero(keylen), digest];
  const job = jobOf(args);
  if (job === undefined) return nodePbkdf2Sync(...args);
  backend ??= openBackend(selectBackend({}).choice);
  if (backend.name === 'fallback') return nodePbkdf2Sync(...args);
  const bytes = copyItem(job.password, utf8OrBytes);
  try {
    const saltBytes = copyItem(job.salt, utf8OrBytes);
    const derivedKey = secretBytes(keylen);
    const ends = (item: Uint8Array): Uint32Array => Uint32Array.of(0, item.length);
    backend.pbkdf2Batch(bytes, ends(bytes), saltBytes, ends(saltBytes), iterations, keylen, derivedKey);
    return toBuffer(derivedKey);
  } finally {
    bytes.fill(0);
  }
}

/**
 * PBKDF2-HMAC-SHA256 of many passwords, each with its salt, on all threads: n × keylen bytes. See `Hasher.pbkdf2Batch`.
 *
 * @example
 * const keys = await pbkdf2Batch({ passwords: ['password', 'passwd'], salts: ['salt', 'NaCl'], iterations: 2, keylen: 4 });
 * Buffer.from(keys).toString('hex'); // 'ae4d0c95c820f011'
 */
export async function pbkdf2Batch(input: Pbkdf2BatchInput): Promise<Uint8Array> {
  return defaultHasher().pbkdf2Batch(input);
}
