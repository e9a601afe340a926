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

// One set for all calls, none of which can interrupt another: allocating it anew took half of a call's time.
const STATE = new Int32Array(secretBytes(16).buffer);
const WORDS = new Int32Array(secretBytes(BLOCK).buffer);
const TAIL = secretBytes(2 * BLOCK);
const TAIL_VIEW = new DataView(TAIL.buffer);

function load32le(bytes: Uint8Array, at: number): void {
  for (let w = 0; w < 16; w++, at += 4) {
    WORDS[w] = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  }
}

/**
 * The 16-byte digest, which the caller owns; every other trace of the message is wiped.
 *
 * @example md4(Buffer.from('Password', 'utf16le')) // the NT hash a4f49c406510bdcab6824ee7c30fd852
 */
export function md4(message: Uint8Array): Uint8Array {
  try {
    STATE[0] = 0x67452301;
    STATE[1] = 0xefcdab89;
    STATE[2] = 0x98badcfe;
    STATE[3] = 0x10325476;
    const whole = message.length - (message.length % BLOCK);
    for (let at = 0; at < whole; at += BLOCK) {
      load32le(message, at);
      compress(STATE, WORDS);
    }
    const rest = message.length - whole;
    TAIL.set(whole === 0 ? message : message.subarray(whole));
    TAIL[rest] = 0x80;
    // RFC 1320 3.2: the length in bits, 64 of them, ends the last block.
    const end = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    TAIL_VIEW.setUint32(end - 8, message.length << 3, true);
    TAIL_VIEW.setUint32(end - 4, Math.floor(message.length / 2 ** 29), true);
    for (let at = 0; at < end; at += BLOCK) {
      load32le(TAIL, at);
      compress(STATE, WORDS);
    }
    const digest = secretBytes(16);
    for (let i = 0; i < 16; i++) digest[i] = STATE[i >> 2]! >>> (8 * (i & 3));
    return digest;
  } finally {
    STATE.fill(0);
    WORDS.fill(0);
    TAIL.fill(0);
  }
}
