/**
 * DES decryption of single blocks (FIPS 46-3), with the tables as the standard prints them: bit 1 is the first bit.
 * One byte holds one bit. That costs some 20 µs a block, which is little beside the PBKDF2 that follows it.
 */

/** Bytes of a DES block, and of a key with its parity bits. */
export const DES_BLOCK_SIZE = 8;

// biome-ignore format: the tables stand in rows as in the standard
const IP = [
  58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8,
  57, 49, 41, 33, 25, 17,  9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
];
// biome-ignore format: as above
const E = [
  32,  1,  2,  3,  4,  5,  4,  5,  6,  7,  8,  9,  8,  9, 10, 11, 12, 13, 12, 13, 14, 15, 16, 17,
  16, 17, 18, 19, 20, 21, 20, 21, 22, 23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32,  1,
];
// biome-ignore format: as above
const P = [
  16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
];
// biome-ignore format: as above
const PC1 = [
  57, 49, 41, 33, 25, 17,  9,  1, 58, 50, 42, 34, 26, 18, 10,  2, 59, 51, 43, 35, 27, 19, 11,  3, 60, 52, 44, 36,
  63, 55, 47, 39, 31, 23, 15,  7, 62, 54, 46, 38, 30, 22, 14,  6, 61, 53, 45, 37, 29, 21, 13,  5, 28, 20, 12,  4,
];
// biome-ignore format: as above
const PC2 = [
  14, 17, 11, 24,  1,  5,  3, 28, 15,  6, 21, 10, 23, 19, 12,  4, 26,  8, 16,  7, 27, 20, 13,  2,
  41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];
// biome-ignore format: as above
const S = [
  [
    14,  4, 13,  1,  2, 15, 11,  8,  3, 10,  6, 12,  5,  9,  0,  7,  0, 15,  7,  4, 14,  2, 13,  1, 10,  6, 12, 11,  9,  5,  3,  8,
     4,  1, 14,  8, 13,  6,  2, 11, 15, 12,  9,  7,  3, 10,  5,  0, 15, 12,  8,  2,  4,  9,  1,  7,  5, 11,  3, 14, 10,  0,  6, 13,
  ], [
    15,  1,  8, 14,  6, 11,  3,  4,  9,  7,  2, 13, 12,  0,  5, 10,  3, 13,  4,  7, 15,  2,  8, 14, 12,  0,  1, 10,  6,  9, 11,  5,
     0, 14,  7, 11, 10,  4, 13,  1,  5,  8, 12,  6,  9,  3,  2, 15, 13,  8, 10,  1,  3, 15,  4,  2, 11,  6,  7, 12,  0,  5, 14,  9,
  ], [
    10,  0,  9, 14,  6,  3, 15,  5,  1, 13, 12,  7, 11,  4,  2,  8, 13,  7,  0,  9,  3,  4,  6, 10,  2,  8,  5, 14, 12, 11, 15,  1,
    13,  6,  4,  9,  8, 15,  3,  0, 11,  1,  2, 12,  5, 10, 14,  7,  1, 10, 13,  0,  6,  9,  8,  7,  4, 15, 14,  3, 11,  5,  2, 12,
  ], [
     7, 13, 14,  3,  0,  6,  9, 10,  1,  2,  8,  5, 11, 12,  4, 15, 13,  8, 11,  5,  6, 15,  0,  3,  4,  7,  2, 12,  1, 10, 14,  9,
    10,  6,  9,  0, 12, 11,  7, 13, 15,  1,  3, 14,  5,  2,  8,  4,  3, 15,  0,  6, 10,  1, 13,  8,  9,  4,  5, 11, 12,  7,  2, 14,
  ], [
     2, 12,  4,  1,  7, 10, 11,  6,  8,  5,  3, 15, 13,  0, 14,  9, 14, 11,  2, 12,  4,  7, 13,  1,  5,  0, 15, 10,  3,  9,  8,  6,
     4,  2,  1, 11, 10, 13,  7,  8, 15,  9, 12,  5,  6,  3,  0, 14, 11,  8, 12,  7,  1, 14,  2, 13,  6, 15,  0,  9, 10,  4,  5,  3,
  ], [
    12,  1, 10, 15,  9,  2,  6,  8,  0, 13,  3,  4, 14,  7,  5, 11, 10, 15,  4,  2,  7, 12,  9,  5,  6,  1, 13, 14,  0, 11,  3,  8,
     9, 14, 15,  5,  2,  8, 12,  3,  7,  0,  4, 10,  1, 13, 11,  6,  4,  3,  2, 12,  9,  5, 15, 10, 11, 14,  1,  7,  6,  0,  8, 13,
  ], [
     4, 11,  2, 14, 15,  0,  8, 13,  3, 12,  9,  7,  5, 10,  6,  1, 13,  0, 11,  7,  4,  9,  1, 10, 14,  3,  5, 12,  2, 15,  8,  6,
     1,  4, 11, 13, 12,  3,  7, 14, 10, 15,  6,  8,  0,  5,  9,  2,  6, 11, 13,  8,  1,  4, 10,  7,  9,  5,  0, 15, 14,  2,  3, 12,
  ], [
    13,  2,  8,  4,  6, 15, 11,  1, 10,  9,  3, 14,  5,  0, 12,  7,  1, 15, 13,  8, 10,  3,  7,  4, 12,  5,  6, 11,  0, 14,  9,  2,
     7, 11,  4,  1,  9, 12, 14,  2,  0,  6, 10, 13, 15,  3,  5,  8,  2,  1, 14,  7,  4, 10,  8, 13, 15, 12,  9,  0,  3,  5,  6, 11,
  ],
];
/** Left shifts of C and D before each round's key. */
const SHIFTS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];

function toBits(bytes: Uint8Array, bits: Uint8Array): void {
  for (let i = 0; i < bits.length; i++) bits[i] = (bytes[i >> 3]! >> (7 - (i & 7))) & 1;
}

/** PC-1, the shifts and PC-2: the 16 round keys of 48 bits, one after another. */
function roundKeys(key: Uint8Array, keys: Uint8Array): void {
  const bits = new Uint8Array(64);
  const CD = new Uint8Array(56);
  toBits(key, bits);
  for (let i = 0; i < 56; i++) CD[i] = bits[PC1[i]! - 1]!;
  let shift = 0;
  for (let round = 0; round < 16; round++) {
    shift += SHIFTS[round]!;
    for (let i = 0; i < 48; i++) {
      const from = PC2[i]! - 1;
      keys[48 * round + i] = from < 28 ? CD[(from + shift) % 28]! : CD[28 + ((from - 28 + shift) % 28)]!;
    }
  }
  bits.fill(0);
  CD.fill(0);
}

/**
 * Decrypts the 8-byte `block` under the 8-byte `key` (its parity bits are ignored) into `output`, which may be `block`.
 * Wipes what it made of the key and the block; all three arrays are the caller's.
 */
export function desDecrypt(key: Uint8Array, block: Uint8Array, output: Uint8Array): void {
  const keys = new Uint8Array(16 * 48);
  const input = new Uint8Array(64);
  const preoutput = new Uint8Array(64);
  const f = new Uint8Array(32);
  let L: Uint8Array = new Uint8Array(32);
  let R: Uint8Array = new Uint8Array(32);
  roundKeys(key, keys);
  toBits(block, input);
  for (let i = 0; i < 32; i++) {
    L[i] = input[IP[i]! - 1]!;
    R[i] = input[IP[32 + i]! - 1]!;
  }
  // Deciphering is enciphering with the round keys from the last to the first.
  for (let round = 15; round >= 0; round--) {
    for (let box = 0; box < 8; box++) {
      let six = 0;
      for (let i = 6 * box; i < 6 * box + 6; i++) six = (six << 1) | (R[E[i]! - 1]! ^ keys[48 * round + i]!);
      // The outer two bits choose the row, the inner four the column.
      const four = S[box]![(six & 0x20) | ((six & 1) << 4) | ((six >> 1) & 15)]!;
      for (let i = 0; i < 4; i++) f[4 * box + i] = (four >> (3 - i)) & 1;
    }
    for (let i = 0; i < 32; i++) L[i]! ^= f[P[i]! - 1]!;
    [L, R] = [R, L];
  }
  preoutput.set(R);
  preoutput.set(L, 32);
  output.fill(0, 0, DES_BLOCK_SIZE);
  // The inverse of IP: bit i of the preoutput goes where IP took bit i from.
  for (let i = 0; i < 64; i++) {
    const to = IP[i]! - 1;
    output[to >> 3]! |= preoutput[i]! << (7 - (to & 7));
  }
  for (const array of [keys, input, preoutput, f, L, R]) array.fill(0);
}
