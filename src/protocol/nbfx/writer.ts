/** Writes MC-NBFX records with the static dictionary of MC-NBFS, choosing the shortest form of each. */

import { guidFromText } from '../dtyp/guid.js';
import { multiByteInt31, RecordType } from './records.js';
import { staticId } from './static-dictionary.js';

const URN_UUID = 'urn:uuid:';
/** Where a loop over charCodeAt stops being faster than Buffer.write (measured: about 70 characters). */
const LOOP_LIMIT = 64;
/** Milliseconds from 0001-01-01 to 1970-01-01: DateTime counts ticks of 100 ns from the former. */
const UNIX_EPOCH_MS = 62_135_596_800_000;
const KIND_UTC = 1;

/** A letter's index for the one-letter prefix records, or -1. */
function letterIndex(prefix: string): number {
  const index = prefix.length === 1 ? prefix.charCodeAt(0) - 0x61 : -1;
  return index >= 0 && index < 26 ? index : -1;
}

/**
 * The calls follow the document: `startElement`, its `attribute`s and `xmlns`, its content, `endElement`. A text
 * that is followed by `endElement` takes the record type "with end element".
 */
export class NbfxWriter {
  #buf: Buffer;
  #view: DataView;
  #pos = 0;
  #depth = 0;
  /** Offset of the last record if it was text in element content, else -1: endElement folds into it. */
  #lastText = -1;
  #inAttribute = false;

  /** `sizeHint`: bytes that the message is likely to need. */
  constructor(sizeHint = 4096) {
    this.#buf = Buffer.allocUnsafe(Math.max(64, sizeHint));
    this.#view = viewOf(this.#buf);
  }

  /** The bytes so far: a view that later calls may overwrite. @throws Error when elements are open. */
  finish(): Buffer {
    if (this.#depth !== 0) {
      throw new Error(`${this.#depth} elements were not ended`);
    }
    return this.#buf.subarray(0, this.#pos);
  }

  /** A copy of the bytes so far, with elements still open: for `prepare`. */
  unfinished(): Uint8Array {
    return Uint8Array.from(this.#buf.subarray(0, this.#pos));
  }

  startElement(prefix: string, localName: string): void {
    this.#nodeName(prefix, localName, RecordType.ShortElement);
    this.#depth++;
    this.#lastText = -1;
  }

  /** Records as `prepare` made them that leave `depth` elements open. */
  startPrepared(records: Prepared, depth = 1): void {
    this.#prepared(records);
    this.#depth += depth;
    this.#lastText = -1;
  }

  /** Whole records as `prepare` made them, with as many ends as starts. */
  prepared(records: Prepared): void {
    this.#prepared(records);
    this.#lastText = -1;
  }

  endElement(): void {
    if (this.#depth === 0) {
      throw new Error('there is no element to end');
    }
    this.#depth--;
    if (this.#lastText >= 0) {
      this.#buf[this.#lastText]! |= 1;
      this.#lastText = -1;
    } else {
      this.#need(1);
      this.#buf[this.#pos++] = RecordType.EndElement;
    }
  }

  /** Namespace declaration; prefix '' is the default namespace. */
  xmlns(prefix: string, namespace: string): void {
    const id = staticId(namespace);
    const base = id === undefined ? RecordType.ShortXmlnsAttribute : RecordType.ShortDictionaryXmlnsAttribute;
    if (prefix === '') {
      this.#byte(base);
    } else {
      this.#byte(base + 1);
      this.#string(prefix);
    }
    if (id === undefined) {
      this.#string(namespace);
    } else {
      this.#int31(id);
    }
  }

  /** Its value is the one text call that follows; then `endAttribute`. */
  startAttribute(prefix: string, localName: string): void {
    this.#inAttribute = true;
    this.#nodeName(prefix, localName, RecordType.ShortAttribute);
  }

  endAttribute(): void {
    this.#inAttribute = false;
    this.#lastText = -1;
  }

  attribute(prefix: string, localName: string, value: string): void {
    this.startAttribute(prefix, localName);
    this.text(value);
    this.endAttribute();
  }

  /** Chars8/16/32. A lone surrogate becomes U+FFFD. */
  text(value: string): void {
    const length = value.length;
    if (length === 0) {
      this.#empty();
      return;
    }
    if (length < LOOP_LIMIT) {
      this.#need(length + 2);
      const buf = this.#buf;
      const at = this.#pos + 2;
      let i = 0;
      for (; i < length; i++) {
        const unit = value.charCodeAt(i);
        if (unit > 0x7f) {
          break;
        }
        buf[at + i] = unit;
      }
      if (i === length) {
        this.#lastText = this.#pos;
        buf[this.#pos] = RecordType.Chars8;
        buf[this.#pos + 1] = length;
        this.#pos = at + length;
        return;
      }
    }
    const size = Buffer.byteLength(value);
    this.#sized(RecordType.Chars8, size);
    this.#pos += this.#buf.write(value, this.#pos, size, 'utf8');
  }

  /** The dictionary's id where it has the string, else as `text`. */
  dictionaryText(value: string): void {
    const id = staticId(value);
    if (id === undefined) {
      this.text(value);
    } else {
      this.#record(RecordType.Dictionary, 0);
      this.#int31(id);
    }
  }

  /** `prefix:localName`. */
  qualifiedName(prefix: string, localName: string): void {
    const letter = letterIndex(prefix);
    const id = staticId(localName);
    if (letter < 0 || id === undefined) {
      this.text(prefix === '' ? localName : `${prefix}:${localName}`);
      return;
    }
    this.#record(RecordType.QNameDictionary, 1);
    this.#buf[this.#pos++] = letter;
    this.#int31(id);
  }

  boolean(value: boolean): void {
    this.#record(value ? RecordType.True : RecordType.False, 0);
  }

  /** The shortest integer record. @throws RangeError unless it is a safe integer. */
  integer(value: number): void {
    if (value === 0 || value === 1) {
      this.#record(value === 0 ? RecordType.Zero : RecordType.One, 0);
    } else if (value >= -0x80 && value < 0x80 && Number.isInteger(value)) {
      this.#record(RecordType.Int8, 1);
      this.#pos = this.#buf.writeInt8(value, this.#pos);
    } else if (value >= -0x8000 && value < 0x8000 && Number.isInteger(value)) {
      this.#record(RecordType.Int16, 2);
      this.#pos = this.#buf.writeInt16LE(value, this.#pos);
    } else if (value >= -0x8000_0000 && value < 0x8000_0000 && Number.isInteger(value)) {
      this.#record(RecordType.Int32, 4);
      this.#pos = this.#buf.writeInt32LE(value, this.#pos);
    } else if (Number.isSafeInteger(value)) {
      this.#record(RecordType.Int64, 8);
      this.#pos = this.#buf.writeBigInt64LE(BigInt(value), this.#pos);
    } else {
      throw new RangeError(`not a safe integer: ${value}`);
    }
  }

  double(value: number): void {
    this.#record(RecordType.Double, 8);
    this.#pos = this.#buf.writeDoubleLE(value, this.#pos);
  }

  /** DateTime of kind UTC. @throws RangeError for an invalid Date or one outside the years 1 to 9999. */
  dateTime(value: Date): void {
    const ms = value.getTime() + UNIX_EPOCH_MS;
    if (!(ms >= 0 && ms < 315_537_897_600_000)) {
      throw new RangeError('DateTime holds the years 1 to 9999');
    }
    // ms × 10,000 passes 2⁵³, so it goes in halves: the lower product stays below 2⁴⁶.
    const low = (ms % 2 ** 32) * 10_000;
    const high = Math.floor(ms / 2 ** 32) * 10_000 + Math.floor(low / 2 ** 32);
    this.#record(RecordType.DateTime, 8);
    this.#view.setUint32(this.#pos, low % 2 ** 32, true);
    this.#view.setUint32(this.#pos + 4, high + KIND_UTC * 2 ** 30, true);
    this.#pos += 8;
  }

  /**
   * Bytes8/16/32, shown as base64. .NET writes whole groups of three in one record and the one or two bytes left
   * over in a second, so that the records' base64 texts join without padding between them; so do we.
   */
  bytes(value: Uint8Array): void {
    if (value.length === 0) {
      this.#empty();
      return;
    }
    const whole = value.length - (value.length % 3);
    if (whole > 0) {
      this.#sized(RecordType.Bytes8, whole);
      this.#bytes(value, 0, whole);
    }
    if (whole < value.length) {
      this.#sized(RecordType.Bytes8, value.length - whole);
      this.#bytes(value, whole, value.length);
    }
  }

  /** `8-4-4-4-12` as 16 bytes. @throws RangeError when it is not a GUID. */
  uuid(value: string): void {
    this.#record(RecordType.Uuid, 16);
    this.#bytes(guidFromText(value));
  }

  /** `urn:uuid:…` as 16 bytes where it is one that reads back the same, any other URI as text. */
  uniqueId(value: string): void {
    if (/^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)) {
      this.#record(RecordType.UniqueId, 16);
      this.#bytes(guidFromText(value.slice(URN_UUID.length)));
    } else {
      this.text(value);
    }
  }

  /** ShortElement and ShortAttribute begin rows of the same shape: +1 prefix, +2 dictionary, then the letters. */
  #nodeName(prefix: string, localName: string, base: number): void {
    const element = base === RecordType.ShortElement;
    const id = staticId(localName);
    const letter = letterIndex(prefix);
    if (letter >= 0) {
      const letters = element
        ? id === undefined
          ? RecordType.PrefixElementA
          : RecordType.PrefixDictionaryElementA
        : id === undefined
          ? RecordType.PrefixAttributeA
          : RecordType.PrefixDictionaryAttributeA;
      this.#byte(letters + letter);
    } else {
      this.#byte(base + (prefix === '' ? 0 : 1) + (id === undefined ? 0 : 2));
      if (prefix !== '') {
        this.#string(prefix);
      }
    }
    if (id === undefined) {
      this.#string(localName);
    } else {
      this.#int31(id);
    }
  }

  /** An attribute has to have a text record; in an element .NET writes none, and some readers know no EmptyText. */
  #empty(): void {
    if (this.#inAttribute) {
      this.#record(RecordType.Empty, 0);
    }
  }

  /** A text record's type, with room for its value. */
  #record(type: number, size: number): void {
    this.#need(size + 1);
    this.#lastText = this.#pos;
    this.#buf[this.#pos++] = type;
  }

  /** A record of the 8/16/32 kind with its length, and room for its value. */
  #sized(type8: number, size: number): void {
    if (size <= 0xff) {
      this.#record(type8, size + 1);
      this.#buf[this.#pos++] = size;
    } else if (size <= 0xffff) {
      this.#record(type8 + 2, size + 2);
      this.#pos = this.#buf.writeUInt16LE(size, this.#pos);
    } else {
      this.#record(type8 + 4, size + 4);
      this.#pos = this.#buf.writeInt32LE(size, this.#pos);
    }
  }

  #string(value: string): void {
    const size = Buffer.byteLength(value);
    this.#int31(size);
    this.#need(size);
    this.#pos += this.#buf.write(value, this.#pos, size, 'utf8');
  }

  #int31(value: number): void {
    for (const byte of multiByteInt31(value)) {
      this.#byte(byte);
    }
  }

  #byte(value: number): void {
    this.#need(1);
    this.#buf[this.#pos++] = value;
  }

  #prepared({ words, length }: Prepared): void {
    // The last word's padding is overwritten by what follows.
    this.#need(4 * words.length);
    const view = this.#view;
    const at = this.#pos;
    for (let i = 0; i < words.length; i++) {
      view.setInt32(at + 4 * i, words[i]!, true);
    }
    this.#pos = at + length;
  }

  #bytes(value: Uint8Array, from = 0, to = value.length): void {
    const length = to - from;
    this.#need(length);
    if (length < LOOP_LIMIT) {
      const buf = this.#buf;
      const at = this.#pos - from;
      for (let i = from; i < to; i++) {
        buf[at + i] = value[i]!;
      }
    } else {
      this.#buf.set(value.subarray(from, to), this.#pos);
    }
    this.#pos += length;
  }

  #need(size: number): void {
    if (this.#pos + size > this.#buf.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#buf.length * 2, this.#pos + size));
      this.#buf.copy(grown, 0, 0, this.#pos);
      this.#buf = grown;
      this.#view = viewOf(grown);
    }
  }
}

/** Records ready to be written: words of four bytes, lowest first, are copied in a third of the time that bytes take. */
export interface Prepared {
  readonly words: Int32Array;
  /** In bytes; the last word may have more. */
  readonly length: number;
}

/**
 * The bytes of records that many messages repeat: `build` writes them, with elements left open or not.
 *
 * @example const keyStart = prepare((writer) => writer.startElement('c', 'Key'));
 */
export function prepare(build: (writer: NbfxWriter) => void): Prepared {
  const writer = new NbfxWriter(256);
  build(writer);
  const bytes = writer.unfinished();
  const padded = new DataView(new ArrayBuffer((bytes.length + 3) & ~3));
  bytes.forEach((byte, i) => {
    padded.setUint8(i, byte);
  });
  const words = Int32Array.from({ length: padded.byteLength / 4 }, (_, i) => padded.getInt32(4 * i, true));
  return { words, length: bytes.length };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
