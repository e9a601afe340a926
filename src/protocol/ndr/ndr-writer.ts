/** NDR 2.0 transfer syntax, little-endian, writing (C706 chapter 14). */

/**
 * Grows as needed; alignment counts from the first byte. Referents are written by `pointer(present)` in place and by
 * the caller afterwards, in NDR's order: embedded pointers' values follow the structure that holds them.
 */
export class NdrWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;
  #referents = 0;

  constructor(capacity = 512) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  #room(size: number): number {
    const at = this.#length;
    if (at + size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, at + size));
      grown.set(this.#bytes);
      // The old bytes may hold secrets.
      this.#bytes.fill(0);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = at + size;
    return at;
  }

  align(size: 2 | 4 | 8): this {
    const rest = this.#length & (size - 1);
    if (rest !== 0) {
      this.#room(size - rest);
    }
    return this;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    this.align(2);
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    this.align(4);
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u64(value: bigint): this {
    this.align(8);
    const at = this.#room(8);
    this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  zeros(size: number): this {
    this.#room(size);
    return this;
  }

  /** 16 raw bytes of a GUID, alignment 4. */
  guid(bytes: Uint8Array): this {
    if (bytes.length !== 16) {
      throw new RangeError(`a GUID has 16 bytes, not ${bytes.length}`);
    }
    return this.align(4).raw(bytes);
  }

  /** A referent id: 0 for the null pointer, else 0x00020000 and on in steps of 4, as Windows numbers them. */
  pointer(present: boolean): this {
    return this.u32(present ? 0x0002_0000 + 4 * this.#referents++ : 0);
  }

  /** [string] wchar_t*: conformant varying, UTF-16LE, with NUL. */
  string(text: string): this {
    const count = text.length + 1;
    this.u32(count).u32(0).u32(count);
    const at = this.#room(count * 2);
    for (let i = 0; i < text.length; i++) {
      this.#view.setUint16(at + i * 2, text.charCodeAt(i), true);
    }
    return this;
  }

  /** The bytes written so far; a view on the writer's memory. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
