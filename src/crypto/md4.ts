/** MD4 (RFC 1320), one shot: OpenSSL 3 keeps it in a provider that is not loaded, and FIPS mode has none. */

import { secretBytes } from './secret-bytes.js';

const BLOCK = 64;
// RFC 1320 3.4: the word order of the second and third round; the first takes the words as they come.
const ROUND2 = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15] as const;
const ROUND3 = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15] as const;
const SHIFTS = [
  [3, 7, 11, 19],
  [3, 5, 9, 13],
  [3, 9, 11, 15],
] as const;

function rotl32(x: number, s: number): number {
  return (x << s) | (x >>> (32 - s));
}

function compress(state: Int32Array, words: Int32Array): void {
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  for (let i = 0; i < 48; i++) {
    const step = i & 15;
    let mixed: number;
    if (i < 16) {
      mixed = ((b & c) | (~b & d)) + words[step]!;
    } else if (i < 32) {
      mixed = ((b & c) | (b & d) | (c & d)) + words[ROUND2[step]!]! + 0x5a827999;
    } else {
      mixed = (b ^ c ^ d) + words[ROUND3[step]!]! + 0x6ed9eba1;
    }
    const turned = rotl32((a + mixed) | 0, SHIFTS[i >> 4]![i & 3]!);
    a = d;
    d = c;
    c = b;
    b = turned;
  }
  state[0] = state[0]! + a;
  state[1] = state[1]! + b;
  state[2] = state[2]! + c;
  state[3] = state[3]! + d;
}

/**
 * The 16-byte digest, which the caller owns; every other trace of the message is wiped.
 *
 * @example md4(Buffer.from('Password', 'utf16le')) // the NT hash a4f49c406510bdcab6824ee7c30fd852
 */
export function md4(message: Uint8Array): Uint8Array {
  const state = new Int32Array(secretBytes(16).buffer);
  state.set([0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476]);
  const words = new Int32Array(secretBytes(BLOCK).buffer);
  const tail = secretBytes(2 * BLOCK);
  const load32le = (bytes: Uint8Array, at: number) => {
    for (let w = 0; w < 16; w++, at += 4) {
      words[w] = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    }
  };
  try {
    const whole = message.length - (message.length % BLOCK);
    for (let at = 0; at < whole; at += BLOCK) {
      load32le(message, at);
      compress(state, words);
    }
    const rest = message.length - whole;
    tail.set(message.subarray(whole));
    tail[rest] = 0x80;
    // RFC 1320 3.2: the length in bits, 64 of them, ends the last block.
    const end = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    const lengths = new DataView(tail.buffer);
    lengths.setUint32(end - 8, message.length << 3, true);
    lengths.setUint32(end - 4, Math.floor(message.length / 2 ** 29), true);
    for (let at = 0; at < end; at += BLOCK) {
      load32le(tail, at);
      compress(state, words);
    }
    const digest = secretBytes(16);
    const view = new DataView(digest.buffer);
    for (let w = 0; w < 4; w++) {
      view.setInt32(4 * w, state[w]!, true);
    }
    return digest;
  } finally {
    state.fill(0);
    words.fill(0);
    tail.fill(0);
  }
}
