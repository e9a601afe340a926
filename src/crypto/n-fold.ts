/** n-fold and DR, the key derivation of the simplified profile (RFC 3961 5.1 and 5.3), over AES (RFC 3962 4 and 6). */

import { createCipheriv } from 'node:crypto';
import { secretBytes } from './secret-bytes.js';

const AES_BLOCK = 16;

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));

/**
 * Stretches or shrinks `input` to `size` bytes: copies of it, each turned right by 13 bits more than the one before, up to
 * the least common multiple of both lengths, added up `size` bytes at a time in ones' complement.
 *
 * @example nFold(Buffer.from('012345'), 8) // be072631276b1955 (RFC 3961 A.1)
 */
export function nFold(input: Uint8Array, size: number): Uint8Array {
  const bits = 8 * input.length;
  const total = (input.length * size) / greatestCommonDivisor(input.length, size);
  const sums = new Array<number>(size).fill(0);
  for (let at = 0; at < total; at++) {
    const turn = 13 * Math.floor(at / input.length);
    // The bit of the input that the byte at `at` begins with.
    const from = (((8 * (at % input.length) - turn) % bits) + bits) % bits;
    const high = input[from >> 3]!;
    const low = input[((from >> 3) + 1) % input.length]!;
    sums[at % size]! += (((high << 8) | low) >> (8 - (from & 7))) & 0xff;
  }
  // Ones' complement: what leaves at the top comes in at the bottom, until nothing leaves.
  let carry = 0;
  do {
    for (let i = size - 1; i >= 0; i--) {
      const sum = sums[i]! + carry;
      sums[i] = sum & 0xff;
      carry = sum >> 8;
    }
  } while (carry !== 0);
  return Uint8Array.from(sums);
}

/** DK for AES, whose random-to-key is nothing: a key of the same size from `key` and `constant`. The caller wipes it. */
export function deriveAesKey(key: Uint8Array, constant: Uint8Array): Uint8Array<ArrayBuffer> {
  const derived = secretBytes(key.length);
  // One block under a zero IV is one under none at all: each K_i is the one before it, encrypted.
  const cipher = createCipheriv(`aes-${8 * key.length}-ecb`, key, null).setAutoPadding(false);
  let block = nFold(constant, AES_BLOCK);
  for (let at = 0; at < derived.length; at += AES_BLOCK) {
    const next = cipher.update(block);
    derived.set(next, at);
    next.fill(0);
    block = derived.subarray(at, at + AES_BLOCK);
  }
  cipher.final();
  return derived;
}
