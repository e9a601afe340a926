/**
 * Memory that the main thread and the workers both see, in pieces that are wiped and used again. V8 does not count
 * SharedArrayBuffers towards its collections: made anew for every slice, they would pile up in the workers.
 */

/** The smallest piece; larger ones are powers of two. */
const MIN_PIECE = 4096;
/** The largest piece: V8 sends no thread a SharedArrayBuffer of 4 GiB. */
const MAX_PIECE = 2 ** 31;
/** Larger pieces are left to the collector. */
const MAX_KEPT_PIECE = 4 << 20;
/** How much idle memory is kept at most. */
const MAX_KEPT = 16 << 20;
/** Where typed arrays begin: a boundary of 8 bytes. */
// Not by a mask: lengths go up to 2 GiB, which does not fit the words of bitwise operators.
const align = (size: number): number => Math.ceil(size / 8) * 8;

/** One slice's memory: arrays are cut from it, one behind the other. */
export class Region {
  readonly #memory: SharedArrayBuffer;
  #used = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory;
  }

  get size(): number {
    return this.#memory.byteLength;
  }

  /** Zeroed bytes. */
  bytes(length: number): Uint8Array<SharedArrayBuffer> {
    const at = this.#used;
    this.#used = at + align(length);
    return new Uint8Array(this.#memory, at, length);
  }

  /** Zeroed words. */
  words(length: number): Uint32Array<SharedArrayBuffer> {
    const at = this.#used;
    this.#used = at + align(length * Uint32Array.BYTES_PER_ELEMENT);
    return new Uint32Array(this.#memory, at, length);
  }

  copy(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
    const copy = this.bytes(bytes.length);
    copy.set(bytes);
    return copy;
  }

  copyWords(words: Uint32Array): Uint32Array<SharedArrayBuffer> {
    const copy = this.words(words.length);
    copy.set(words);
    return copy;
  }

  wipe(): void {
    // In words of 8 bytes: in shared memory V8 stores one element after another.
    new Float64Array(this.#memory, 0, this.#used / 8).fill(0);
    this.#used = 0;
  }
}

/** Bytes that `arrays` arrays of `size` bytes together take at most. */
export const regionSize = (size: number, arrays: number): number => size + 8 * arrays;

export class SharedMemory {
  /** By size. */
  readonly #idle = new Map<number, Region[]>();
  #kept = 0;

  /**
   * A zeroed region for `size` bytes (see `regionSize`). Give it back when no worker can write to it any more.
   *
   * @throws {RangeError} for more than 2 GiB, or what else cannot be had.
   */
  take(size: number): Region {
    if (size > MAX_PIECE) {
      throw new RangeError(`one slice of the work: expected at most ${MAX_PIECE} bytes, got ${size}`);
    }
    let piece = MIN_PIECE;
    while (piece < size) piece *= 2;
    const region = this.#idle.get(piece)?.pop();
    if (region === undefined) return new Region(new SharedArrayBuffer(piece));
    this.#kept -= piece;
    return region;
  }

  /** Wipes a region and keeps it for the next slice. */
  release(region: Region): void {
    region.wipe();
    const { size } = region;
    if (size > MAX_KEPT_PIECE || this.#kept + size > MAX_KEPT) return;
    this.#kept += size;
    const idle = this.#idle.get(size);
    if (idle === undefined) this.#idle.set(size, [region]);
    else idle.push(region);
  }
}
