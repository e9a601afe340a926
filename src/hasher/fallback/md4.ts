/** MD4 (RFC 1320), one message at a time. */

/** Bytes of an MD4 digest. */
export const MD4_SIZE = 16;

/** Rotation amounts of rounds 1, 2 and 3 (section 3.4), by step modulo 4. */
const ROTATIONS = [
  [3, 7, 11, 19],
  [3, 5, 9, 13],
  [3, 9, 11, 15],
] as const;
/** The order of the message words in rounds 2 and 3. */
const ORDER_2 = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15] as const;
const ORDER_3 = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15] as const;

function rotl32(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}

/** One application of the compression function: `state` (A, B, C, D) absorbs the 16 words of X. */
function compress(state: Uint32Array, X: Uint32Array): void {
  let [A, B, C, D] = state as unknown as [number, number, number, number];
  for (let i = 0; i < 48; i++) {
    const step = i & 15;
    let sum: number;
    let s: number;
    if (i < 16) {
      sum = A + ((B & C) | (~B & D)) + X[step]!;
      s = ROTATIONS[0][i & 3]!;
    } else if (i < 32) {
      sum = A + ((B & C) | (B & D) | (C & D)) + X[ORDER_2[step]!]! + 0x5a827999;
      s = ROTATIONS[1][i & 3]!;
    } else {
      sum = A + (B ^ C ^ D) + X[ORDER_3[step]!]! + 0x6ed9eba1;
      s = ROTATIONS[2][i & 3]!;
    }
    A = D;
    D = C;
    C = B;
    B = rotl32(sum, s);
  }
  state[0]! += A;
  state[1]! += B;
  state[2]! += C;
  state[3]! += D;
}

/** MD4 of `message`, 16 bytes. Wipes its own copies of the message; the message and the digest are the caller's. */
export function md4(message: Uint8Array): Uint8Array {
  const state = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  const X = new Uint32Array(16);
  // The rest of the message, 0x80, zeros, and its length in bits: one or two blocks.
  const whole = message.length & ~63;
  const tail = new Uint8Array(message.length - whole < 56 ? 64 : 128);
  const tailView = new DataView(tail.buffer);
  const messageView = new DataView(message.buffer, message.byteOffset, message.byteLength);
  try {
    tail.set(message.subarray(whole));
    tail[message.length - whole] = 0x80;
    tailView.setUint32(tail.length - 8, message.length << 3, true);
    tailView.setUint32(tail.length - 4, Math.floor(message.length / 0x2000_0000), true);

    const absorb = (view: DataView, length: number): void => {
      for (let block = 0; block < length; block += 64) {
        for (let i = 0; i < 16; i++) X[i] = view.getUint32(block + 4 * i, true);
        compress(state, X);
      }
    };
    absorb(messageView, whole);
    absorb(tailView, tail.length);

    const digest = new Uint8Array(MD4_SIZE);
    const digestView = new DataView(digest.buffer);
    for (let i = 0; i < 4; i++) digestView.setUint32(4 * i, state[i]!, true);
    return digest;
  } finally {
    tail.fill(0);
    X.fill(0);
    state.fill(0);
  }
}
