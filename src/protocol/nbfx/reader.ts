/** Reads MC-NBFX documents element by element: children, and text as string, bytes, boolean, integer or time. */

import { NodeType } from './cursor.js';
import { fixedSize } from './record-input.js';
import { RecordType } from './records.js';
import { StretchCursor } from './stretches.js';
import { dateTimeToMs, parseDateTime } from './text-values.js';
import { decodeName } from './utf8.js';

export { NodeType, type NodeTypeCode } from './cursor.js';
export type { Mark, Stretch } from './stretches.js';

/**
 * After a start element, consume it with exactly one of `readText`, `readBytes`, …, `skip`, or a loop
 * `while (reader.nextChild())` over its children.
 *
 * @example
 * const reader = new NbfxReader(bytes);
 * reader.root();
 * while (reader.nextChild()) {
 *   if (reader.localName === 'Name') name = reader.readText();
 *   else reader.skip();
 * }
 * reader.finish();
 * @throws ProtocolError `nbfx-truncated`, `nbfx-record`, `nbfx-value`, `nbfx-structure`, `nbfx-namespace`, `nbfx-limit`
 */
export class NbfxReader extends StretchCursor {
  /** Goes to the document's root element. */
  root(): void {
    if (this.next() !== NodeType.start) {
      throw this.error('nbfx-structure', 'document', 'no root element');
    }
  }

  /** Asks that nothing follows the root element. */
  finish(): void {
    if (this.depth !== 0 || this.next() !== NodeType.done) {
      throw this.error('nbfx-structure', 'document', 'more than one root element');
    }
  }

  /** Goes to the next child element, past whitespace; false: the parent's end was passed. */
  nextChild(): boolean {
    if (!this.pendingEnd && this.arrayLeft === 0 && this.depth > 0 && this.pos < this.end) {
      const type = this.buf[this.pos]!;
      if (type >= RecordType.ShortElement && type < RecordType.Zero) {
        this.pos++;
        this.start(type);
        return true;
      }
      if (type === RecordType.EndElement) {
        this.pos++;
        this.pop();
        return false;
      }
    }
    for (;;) {
      const node = this.next();
      if (node === NodeType.start) {
        return true;
      }
      if (node !== NodeType.text) {
        return false;
      }
      if (/[^ \t\r\n]/.test(this.currentText())) {
        throw this.error('nbfx-structure', 'text record', 'text between elements', this.textPos);
      }
    }
  }

  /** Passes over the element whose start was just read, with all that is in it. */
  skip(): void {
    const outside = this.depth - 1;
    while (this.depth > outside) {
      this.next();
    }
  }

  /** The text of the element whose start was just read, up to and past its end. */
  readText(): string {
    const type = this.#soleText();
    if (type < 0) {
      return this.#readMixedText();
    }
    const text = this.text(type);
    this.pop();
    return text;
  }

  /** As `readText`, for short texts that recur, such as property names: they come from a cache. */
  readRecurringText(): string {
    const type = this.#soleText();
    if (type === RecordType.Chars8) {
      const size = this.length(0, 'Chars8Text');
      const text = decodeName(this.buf, this.pos, this.pos + size);
      if (text === undefined) {
        throw this.error('nbfx-value', 'Chars8Text', 'not UTF-8');
      }
      this.pos += size;
      this.pop();
      return text;
    }
    return type < 0 ? this.#readMixedText() : this.#readSole(type);
  }

  /** As `readText`, for base64: Bytes records, or characters. */
  readBytes(): Uint8Array {
    const pair = this.#readBytesPair();
    if (pair !== undefined) {
      return pair;
    }
    const type = this.#soleText();
    if (isBytes(type)) {
      const bytes = new Uint8Array(this.bytesLength(type));
      copy(this.buf, this.pos, bytes, 0, bytes.length);
      this.pos += bytes.length;
      this.pop();
      return bytes;
    }
    const offset = this.pos;
    const text = (type < 0 ? this.#readMixedText() : this.#readSole(type)).replace(/[ \t\r\n]+/g, '');
    if (text.length % 4 !== 0 || /[^A-Za-z0-9+/]/.test(text.replace(/={1,2}$/, ''))) {
      throw this.error('nbfx-value', 'base64Binary', 'not base64', offset);
    }
    return new Uint8Array(Buffer.from(text, 'base64'));
  }

  /** What .NET and we make of most byte strings: whole groups of three, then the rest with the element's end. */
  #readBytesPair(): Uint8Array | undefined {
    const { pos, end, buf } = this;
    if (this.arrayLeft > 0 || this.pendingEnd || pos >= end || !isBytes(buf[pos]!)) {
      return undefined;
    }
    this.pos++;
    const whole = this.bytesLength(buf[pos]!);
    const first = this.pos;
    const next = first + whole;
    if (whole % 3 === 0 && next < end && isBytes(buf[next]! - 1)) {
      this.pos = next + 1;
      const rest = this.bytesLength(buf[next]! - 1);
      // In characters that limit is reached earlier: the way over all records tells.
      if (whole + rest <= this.limits.maxTextBytes / 2) {
        const bytes = new Uint8Array(whole + rest);
        copy(buf, first, bytes, 0, whole);
        copy(buf, this.pos, bytes, whole, rest);
        this.pos += rest;
        this.pop();
        return bytes;
      }
    }
    this.pos = pos;
    return undefined;
  }

  /** As `readText`, for xs:boolean (and .NET's `True` and `False`). */
  readBoolean(): boolean {
    const type = this.#soleText();
    if (type >= RecordType.Zero && type <= RecordType.True) {
      this.pop();
      return type === RecordType.One || type === RecordType.True;
    }
    const offset = this.pos;
    const text = (type < 0 ? this.#readMixedText() : this.#readSole(type)).trim();
    if (text === 'true' || text === '1' || text === 'True') {
      return true;
    }
    if (text === 'false' || text === '0' || text === 'False') {
      return false;
    }
    throw this.error('nbfx-value', 'boolean', 'neither true nor false', offset);
  }

  /** As `readText`, for an integer that a JS number holds exactly. */
  readInteger(): number {
    const type = this.#soleText();
    if (type >= RecordType.Zero && type <= RecordType.Int32 && type !== RecordType.False && type !== RecordType.True) {
      const size = fixedSize(type);
      this.need(size, 'integer record');
      const value = size === 0 ? (type === RecordType.One ? 1 : 0) : this.buf.readIntLE(this.pos, size);
      this.pos += size;
      this.pop();
      return value;
    }
    const offset = this.pos;
    const text = (type < 0 ? this.#readMixedText() : this.#readSole(type)).trim();
    const value = /^[+-]?\d{1,20}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value)) {
      throw this.error('nbfx-value', 'integer', 'not an integer that fits', offset);
    }
    return value === 0 ? 0 : value;
  }

  /** As `readText`, for xs:dateTime; digits below milliseconds are cut, no zone means UTC. */
  readDateTime(): Date {
    const type = this.#soleText();
    const offset = this.pos;
    let ms: number | undefined;
    if (type === RecordType.DateTime) {
      this.need(8, 'DateTimeText');
      ms = dateTimeToMs(this.buf.readUInt32LE(offset), this.buf.readUInt32LE(offset + 4));
      this.pos += 8;
      this.pop();
    } else {
      ms = parseDateTime(type < 0 ? this.#readMixedText() : this.#readSole(type));
    }
    if (ms === undefined) {
      throw this.error('nbfx-value', 'dateTime', 'not an xs:dateTime', offset);
    }
    return new Date(ms);
  }

  /** The (even) type of the one text "with end element" that is all of this element, its value being next; else -1. */
  #soleText(): number {
    if (this.arrayLeft === 0 && this.pos < this.end && !this.pendingEnd) {
      const type = this.buf[this.pos]!;
      if (type > RecordType.Zero && (type & 1) === 1) {
        this.checkEnd(type);
        this.pos++;
        return type - 1;
      }
    }
    return -1;
  }

  #readSole(type: number): string {
    const text = this.text(type);
    this.pop();
    return text;
  }

  /** Several text records, none, or text between comments. Neighbouring Bytes records are one base64 text. */
  #readMixedText(): string {
    const parts: string[] = [];
    // Bytes are copied, not kept as views: a record may carry one byte, and a view takes a hundred.
    let bytes = Buffer.alloc(0);
    let byteCount = 0;
    let size = 0;
    for (;;) {
      const node = this.next();
      if (node === NodeType.start) {
        throw this.error('nbfx-structure', 'element', 'an element where text is expected');
      }
      if (node === NodeType.text && this.textType >= RecordType.Bytes8 && this.textType <= RecordType.Bytes32) {
        const back = this.pos;
        this.pos = this.textPos;
        const chunk = this.rawBytes(this.textType);
        this.pos = back;
        size += chunk.length;
        if (byteCount + chunk.length > bytes.length) {
          const grown = Buffer.alloc(2 * (byteCount + chunk.length));
          bytes.copy(grown, 0, 0, byteCount);
          bytes = grown;
        }
        chunk.copy(bytes, byteCount);
        byteCount += chunk.length;
      } else {
        if (byteCount > 0) {
          parts.push(bytes.toString('base64', 0, byteCount));
          byteCount = 0;
        }
        if (node !== NodeType.text) {
          return parts.length === 1 ? parts[0]! : parts.join('');
        }
        const piece = this.currentText();
        if (piece !== '') {
          parts.push(piece);
          size += piece.length;
        }
      }
      if (size > this.limits.maxTextBytes) {
        throw this.error('nbfx-limit', 'text', `more than ${this.limits.maxTextBytes} characters in one element`);
      }
    }
  }
}

/** Of an even type. */
function isBytes(type: number): boolean {
  return type === RecordType.Bytes8 || type === RecordType.Bytes16 || type === RecordType.Bytes32;
}

/** `set` has to make a view first, which takes longer than copying a SID. */
function copy(from: Uint8Array, start: number, to: Uint8Array, at: number, size: number): void {
  if (size > 64) {
    to.set(from.subarray(start, start + size), at);
    return;
  }
  for (let i = 0; i < size; i++) {
    to[at + i] = from[start + i]!;
  }
}
