/** Which objects a connector has certainly no row of: a Bloom filter of two MiB, however many there are. */

const BITS = 24;

export class SeenFilter {
  readonly #bits = new Uint8Array(2 ** (BITS - 3));

  add(guid: Uint8Array): void {
    const first = firstOf(guid);
    const second = secondOf(guid);
    this.#bits[first >>> 3]! |= 1 << (first & 7);
    this.#bits[second >>> 3]! |= 1 << (second & 7);
  }

  /** False: this GUID was never added. True: it was, or (at 1,000,000 GUIDs in 1.3 % of cases) it was not. */
  has(guid: Uint8Array): boolean {
    const first = firstOf(guid);
    if ((this.#bits[first >>> 3]! & (1 << (first & 7))) === 0) return false;
    const second = secondOf(guid);
    return (this.#bits[second >>> 3]! & (1 << (second & 7))) !== 0;
  }
}

function firstOf(guid: Uint8Array): number {
  const y = load32le(guid, 4) ^ load32le(guid, 8);
  const x = load32le(guid, 0) ^ load32le(guid, 12);
  return Math.imul(x ^ (x >>> 15) ^ y, 0x9e3779b1) >>> (32 - BITS);
}

function secondOf(guid: Uint8Array): number {
  const y = load32le(guid, 4) ^ load32le(guid, 8);
  const x = load32le(guid, 0) ^ load32le(guid, 12);
  return Math.imul(x + (y ^ (y >>> 13)), 0x85ebca6b) >>> (32 - BITS);
}

function load32le(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
