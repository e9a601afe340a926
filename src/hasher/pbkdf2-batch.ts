/** PBKDF2-HMAC-SHA256 (RFC 8018, 5.2) of many passwords on the pool. */

import { secretBytes } from '../crypto/secret-bytes.js';
import { checkInteger, checkObject, checkSignal } from './arguments.js';
import { type Batch, type Engine, runBatch } from './batches.js';
import { checkItems, copyItems, layItems, sizeOfItems, utf8OrBytes } from './flat-items.js';
import { regionSize } from './shared-memory.js';
import { DIGEST_SIZE, MAX_PBKDF2_BYTES, MAX_PBKDF2_WORK, type Pbkdf2BatchInput } from './types.js';
import type { Pbkdf2Slice } from './worker.js';

/** Blocks T_i of a derived key. */
export const blocksOf = (keylen: number): number => Math.ceil(keylen / DIGEST_SIZE);

/** Checks what one derived key may take: at most MAX_PBKDF2_WORK. */
export function checkPbkdf2Work(iterations: unknown, keylen: unknown): void {
  checkInteger('iterations', iterations, 1, MAX_PBKDF2_WORK);
  checkInteger('keylen', keylen, 0, MAX_PBKDF2_BYTES);
  const work = iterations * blocksOf(keylen);
  if (work > MAX_PBKDF2_WORK) {
    throw new RangeError(`iterations: expected at most ${MAX_PBKDF2_WORK} times the blocks of keylen, got ${work}`);
  }
}

/** Checks a `pbkdf2Batch` and returns how many items it has. */
export function checkPbkdf2Batch(input: Pbkdf2BatchInput): number {
  checkObject('input', input, ['passwords', 'salts', 'iterations', 'keylen', 'signal']);
  const n = checkItems('passwords', input.passwords, utf8OrBytes);
  const salts = checkItems('salts', input.salts, utf8OrBytes);
  if (salts !== n) throw new RangeError(`salts: expected ${n}, one a password, got ${salts}`);
  const { iterations, keylen, signal } = input;
  checkPbkdf2Work(iterations, keylen);
  if (signal !== undefined) checkSignal('signal', signal);
  if (n * keylen > MAX_PBKDF2_BYTES) {
    throw new RangeError(`keylen: expected at most ${MAX_PBKDF2_BYTES} bytes for all items, got ${n * keylen}`);
  }
  return n;
}

/** The arguments were checked. */
export async function runPbkdf2Batch(engine: Engine, n: number, input: Pbkdf2BatchInput): Promise<Uint8Array> {
  const { iterations, keylen } = input;
  if (keylen === 0) return new Uint8Array(0);
  const blocks = blocksOf(keylen);
  const passwords = copyItems('passwords', input.passwords, n, utf8OrBytes);
  const salts = copyItems('salts', input.salts, n, utf8OrBytes);
  const derivedKeys = secretBytes(n * keylen);
  const batch: Batch<Pbkdf2Slice> = {
    jobs: n,
    iterations: iterations * blocks,
    lanes: Math.ceil(engine.lanes / blocks),
    size: (from, to) =>
      regionSize(sizeOfItems(passwords, from, to) + sizeOfItems(salts, from, to) + (to - from) * keylen, 5),
    lay(from, to, memory) {
      const laidPasswords = layItems(passwords, from, to, memory);
      const laidSalts = layItems(salts, from, to, memory);
      return {
        operation: 'pbkdf2',
        kernel: engine.kernel,
        passwords: laidPasswords.bytes,
        passwordOffsets: laidPasswords.offsets,
        salts: laidSalts.bytes,
        saltOffsets: laidSalts.offsets,
        iterations,
        keylen,
        derivedKeys: memory.bytes((to - from) * keylen),
      };
    },
    take: (from, _, slice) => derivedKeys.set(slice.derivedKeys, from * keylen),
    wipe: () => passwords.bytes.fill(0),
  };
  try {
    await runBatch(engine, batch, input.signal);
  } catch (error) {
    derivedKeys.fill(0);
    throw error;
  }
  return derivedKeys;
}
