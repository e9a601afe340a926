/** Which objects a first synchronization has certainly not shown yet: a Bloom filter of one MiB, however many come. */

const BITS = 23;

export class SeenFilter {
  readonly #bits = new Uint8Array(2 ** (BITS - 3));

  /** False: this GUID was never added. True: it was, or (at 200,000 GUIDs in 0.2 % of cases) it was not. */
  addAndTell(guid: Uint8Array): boolean {
    const x = load32le(guid, 0) ^ load32le(guid, 12);
    const y = load32le(guid, 4) ^ load32le(guid, 8);
    const first = Math.imul(x ^ (x >>> 15) ^ y, 0x9e3779b1) >>> (32 - BITS);
    const second = Math.imul(x + (y ^ (y >>> 13)), 0x85ebca6b) >>> (32 - BITS);
    const firstMask = 1 << (first & 7);
    const secondMask = 1 << (second & 7);
    const there = (this.#bits[first >>> 3]! & firstMask) !== 0 && (this.#bits[second >>> 3]! & secondMask) !== 0;
    this.#bits[first >>> 3]! |= firstMask;
    this.#bits[second >>> 3]! |= secondMask;
    return there;
  }
}

function load32le(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
