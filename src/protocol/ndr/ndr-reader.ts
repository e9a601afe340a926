/** NDR 2.0 transfer syntax, little-endian, reading (C706 chapter 14). */

import { ProtocolError } from '../errors.js';

/**
 * Reads one stub or structure. Alignment counts from the start of the bytes given. Whatever the peer sends that sizes
 * work is checked against a limit of ours and against the bytes that are left, before anything is allocated.
 * Every failure is a ProtocolError with `structure` (the innermost `within`) and `offset`.
 */
export class NdrReader {
  readonly bytes: Uint8Array;
  offset: number;
  readonly #view: DataView;
  #structure: string;

  constructor(bytes: Uint8Array, structure: string, offset = 0) {
    this.bytes = bytes;
    this.offset = offset;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#structure = structure;
  }

  /** Name of the structure being read, for errors. */
  get structure(): string {
    return this.#structure;
  }

  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  /** Runs `read` with errors naming `structure`. */
  within<T>(structure: string, read: () => T): T {
    const outer = this.#structure;
    this.#structure = structure;
    // No `finally`: when `read` throws, the error has taken the inner name already and this reader is done with.
    const value = read();
    this.#structure = outer;
    return value;
  }

  fail(code: string, message: string): ProtocolError {
    return new ProtocolError(code, `${this.#structure} at offset ${this.offset}: ${message}`, {
      structure: this.#structure,
      offset: this.offset,
    });
  }

  /** Refuses early when fewer than `size` bytes are left. */
  need(size: number): void {
    if (size > this.bytes.length - this.offset) {
      throw this.fail('truncated', `${size} bytes expected, ${this.bytes.length - this.offset} left`);
    }
  }

  align(size: 2 | 4 | 8): void {
    const rest = this.offset & (size - 1);
    if (rest !== 0) {
      this.need(size - rest);
      this.offset += size - rest;
    }
  }

  u8(): number {
    this.need(1);
    return this.bytes[this.offset++]!;
  }

  u16(): number {
    this.align(2);
    this.need(2);
    const value = this.#view.getUint16(this.offset, true);
    this.offset += 2;
    return value;
  }

  u32(): number {
    this.align(4);
    this.need(4);
    const value = this.#view.getUint32(this.offset, true);
    this.offset += 4;
    return value;
  }

  i32(): number {
    return this.u32() | 0;
  }

  /** hyper / ULONGLONG */
  u64(): bigint {
    this.align(8);
    this.need(8);
    const value = this.#view.getBigUint64(this.offset, true);
    this.offset += 8;
    return value;
  }

  i64(): bigint {
    return BigInt.asIntN(64, this.u64());
  }

  /** A view, not a copy, of the next `size` bytes; no alignment. */
  view(size: number): Uint8Array {
    this.need(size);
    const value = this.bytes.subarray(this.offset, this.offset + size);
    this.offset += size;
    return value;
  }

  /** 16 raw bytes of a GUID (alignment 4); see dtyp/guid for its text. A view. */
  guid(): Uint8Array {
    this.align(4);
    return this.view(16);
  }

  /** A referent id: false is the null pointer. The referent itself is deferred; its reader comes back for it. */
  pointer(): boolean {
    return this.u32() !== 0;
  }

  /** A [ref] or otherwise never-null pointer. */
  referent(): void {
    if (!this.pointer()) {
      throw this.fail('null-pointer', 'null referent id where a value must stand');
    }
  }

  /**
   * A count that the peer names (max_count, actual_count, cNum…): refused above `limit`, or when not even
   * `elementSize` bytes an element can be left.
   */
  count(what: string, limit: number, elementSize: number): number {
    const count = this.u32();
    if (count > limit) {
      throw this.fail('limit', `${what} is ${count}, at most ${limit} taken`);
    }
    if (count * elementSize > this.remaining) {
      throw this.fail('truncated', `${what} is ${count}, too many for the ${this.remaining} bytes left`);
    }
    return count;
  }

  /** A conformant array's max_count, which must equal the count that the structure named. */
  conformance(what: string, expected: number, elementSize: number): void {
    const count = this.u32();
    if (count !== expected) {
      throw this.fail('conformance', `${what}: max_count is ${count}, the structure says ${expected}`);
    }
    if (count * elementSize > this.remaining) {
      throw this.fail('truncated', `${what}: ${count} elements do not fit in the ${this.remaining} bytes left`);
    }
  }

  /** [string] wchar_t*: conformant varying UTF-16 with its NUL. `limit` counts characters. */
  string(what: string, limit: number): string {
    const max = this.u32();
    const offset = this.u32();
    const actual = this.u32();
    if (offset !== 0 || actual > max) {
      throw this.fail('conformance', `${what}: offset ${offset}, actual_count ${actual}, max_count ${max}`);
    }
    if (actual > limit) {
      throw this.fail('limit', `${what} has ${actual} characters, at most ${limit} taken`);
    }
    const text = utf16le(this.view(actual * 2));
    const end = text.indexOf('\0');
    return end < 0 ? text : text.slice(0, end);
  }

  /** Nothing but padding may follow; returns what is left for callers that know better. */
  end(allowed = 7): void {
    if (this.remaining > allowed) {
      throw this.fail('trailing-bytes', `${this.remaining} bytes too many`);
    }
  }
}

const utf16 = new TextDecoder('utf-16le', { ignoreBOM: true });

/** UTF-16LE bytes as text, a leading U+FEFF included; lone surrogates become U+FFFD. */
export function utf16le(bytes: Uint8Array): string {
  return utf16.decode(bytes);
}
