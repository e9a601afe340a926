/** DES on single blocks (FIPS 46-3), table-driven: OpenSSL 3 keeps single DES in a provider that is not loaded. */

// The standard's tables; bit 1 is the first bit of the first byte.
// biome-ignore format: the tables stand in rows as in the standard
const IP = [
  58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8,
  57, 49, 41, 33, 25, 17,  9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
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
/** S1 to S8: the four rows of each, one hex digit an entry. */
const S = [
  'e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d',
  'f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9',
  'a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c',
  '7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e',
  '2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453',
  'c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d',
  '4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c',
  'd2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b',
];
/** Left shifts of C and D before each round's key. */
const SHIFTS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1] as const;

/** An S-box and P in one: 64 words a box, indexed by the six bits as they enter. */
const SP = new Int32Array(8 * 64);
for (let box = 0; box < 8; box++) {
  for (let six = 0; six < 64; six++) {
    const four = Number.parseInt(S[box]![(six & 0x20) | ((six & 1) << 4) | ((six >> 1) & 15)]!, 16);
    for (let to = 0; to < 32; to++) {
      const from = P[to]! - 1;
      if (from >> 2 === box && (four >> (3 - (from & 3))) & 1) SP[64 * box + six]! |= 1 << (31 - to);
    }
  }
}

/**
 * A permutation's two output words (IP and its inverse: 32 bits each; PC-1: the 28 bits of C and of D) by input
 * position and input byte.
 */
function byBytes(table: readonly number[]): Int32Array {
  const words = new Int32Array(8 * 256 * 2);
  const half = table.length / 2;
  for (let to = 0; to < table.length; to++) {
    const from = table[to]! - 1;
    const bit = 1 << (half - 1 - (to % half));
    for (let byte = 0; byte < 256; byte++) {
      if ((byte >> (7 - (from & 7))) & 1) words[2 * (256 * (from >> 3) + byte) + (to < half ? 0 : 1)]! |= bit;
    }
  }
  return words;
}

const INITIAL = byBytes(IP);
const CHOICE1 = byBytes(PC1);
const inverse = new Array<number>(64);
for (const [to, from] of IP.entries()) inverse[from - 1] = to + 1;
const FINAL = byBytes(inverse);

/** PC-2 by 7-bit chunk of C‖D (56 bits, 8 chunks): the eight 6-bit groups of a round key, four to a word. */
const CHOICE2 = new Int32Array(8 * 128 * 2);
for (const [to, place] of PC2.entries()) {
  const from = place - 1;
  const group = Math.floor(to / 6);
  const bit = 1 << (8 * (3 - (group & 3)) + 5 - (to % 6));
  for (let chunk = 0; chunk < 128; chunk++) {
    if ((chunk >> (6 - (from % 7))) & 1) CHOICE2[2 * (128 * Math.floor(from / 7) + chunk) + (group >> 2)]! |= bit;
  }
}

function rotl28(x: number, s: number): number {
  return ((x << s) | (x >>> (28 - s))) & 0x0fffffff;
}

/** Eight bytes from `at` through a table of `byBytes`, into `pair`. */
function permute(table: Int32Array, bytes: Uint8Array, at: number, pair: Int32Array): void {
  let high = 0;
  let low = 0;
  for (let i = 0; i < 8; i++) {
    const entry = 2 * (256 * i + bytes[at + i]!);
    high |= table[entry]!;
    low |= table[entry + 1]!;
  }
  pair[0] = high;
  pair[1] = low;
}

/** One key's schedule; the same object can be keyed again, which spares the allocation. */
export class Des {
  readonly #keys = new Int32Array(32);
  readonly #pair = new Int32Array(2);
  readonly #bytes = new Uint8Array(8);

  /** Takes the 8-byte key at `at`; its parity bits are ignored. The key stays the caller's. */
  setKey(key: Uint8Array, at = 0): this {
    if (key.length < at + 8) throw new RangeError(`a DES key has 8 bytes, not ${key.length - at}`);
    permute(CHOICE1, key, at, this.#pair);
    let c = this.#pair[0]!;
    let d = this.#pair[1]!;
    for (let round = 0; round < 16; round++) {
      c = rotl28(c, SHIFTS[round]!);
      d = rotl28(d, SHIFTS[round]!);
      let high = 0;
      let low = 0;
      for (let i = 0; i < 4; i++) {
        const ofC = 2 * (128 * i + ((c >>> (21 - 7 * i)) & 127));
        const ofD = 2 * (128 * (4 + i) + ((d >>> (21 - 7 * i)) & 127));
        high |= CHOICE2[ofC]! | CHOICE2[ofD]!;
        low |= CHOICE2[ofC + 1]! | CHOICE2[ofD + 1]!;
      }
      this.#keys[2 * round] = high;
      this.#keys[2 * round + 1] = low;
    }
    return this;
  }

  /** Encrypts the 8 bytes at `at` in place. */
  encrypt(block: Uint8Array, at = 0): void {
    this.#block(block, at, 0, 2);
  }

  /** Decrypts the 8 bytes at `at` in place. */
  decrypt(block: Uint8Array, at = 0): void {
    this.#block(block, at, 30, -2);
  }

  #block(block: Uint8Array, at: number, first: number, step: number): void {
    if (block.length < at + 8) throw new RangeError(`a DES block has 8 bytes, not ${block.length - at}`);
    const keys = this.#keys;
    permute(INITIAL, block, at, this.#pair);
    let left = this.#pair[0]!;
    let right = this.#pair[1]!;
    for (let round = 0, k = first; round < 16; round++, k += step) {
      const high = keys[k]!;
      const low = keys[k + 1]!;
      // E takes bit 32 first, then 1 to 5, then 4 to 9 …: after one turn to the right the groups start every 4 bits.
      const turned = (right >>> 1) | (right << 31);
      const f =
        SP[((turned >>> 26) ^ (high >>> 24)) & 63]! ^
        SP[64 + (((turned >>> 22) ^ (high >>> 16)) & 63)]! ^
        SP[128 + (((turned >>> 18) ^ (high >>> 8)) & 63)]! ^
        SP[192 + (((turned >>> 14) ^ high) & 63)]! ^
        SP[256 + (((turned >>> 10) ^ (low >>> 24)) & 63)]! ^
        SP[320 + (((turned >>> 6) ^ (low >>> 16)) & 63)]! ^
        SP[384 + (((turned >>> 2) ^ (low >>> 8)) & 63)]! ^
        SP[448 + ((((turned << 2) | (turned >>> 30)) ^ low) & 63)]!;
      const next = left ^ f;
      left = right;
      right = next;
    }
    // The preoutput is R‖L.
    const bytes = this.#bytes;
    for (let i = 0; i < 4; i++) {
      bytes[i] = right >>> (24 - 8 * i);
      bytes[4 + i] = left >>> (24 - 8 * i);
    }
    permute(FINAL, bytes, 0, this.#pair);
    for (let i = 0; i < 4; i++) {
      block[at + i] = this.#pair[0]! >>> (24 - 8 * i);
      block[at + 4 + i] = this.#pair[1]! >>> (24 - 8 * i);
    }
  }

  /** Forgets the key. */
  wipe(): void {
    this.#keys.fill(0);
    this.#pair.fill(0);
    this.#bytes.fill(0);
  }
}
