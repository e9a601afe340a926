/** The fields of MC-NBFX records: lengths, names, dictionary strings, and text values of every kind (2.2.3). */

import { guidToText } from '../dtyp/guid.js';
import { ProtocolError } from '../errors.js';
import { DEFAULT_LIMITS, type NbfxLimits } from './limits.js';
import { RecordType } from './records.js';
import { STATIC_STRINGS } from './static-dictionary.js';
import { dateTimeToText, decimalToText, doubleToText, singleToText, timeSpanToText } from './text-values.js';
import { decodeName, decodeUtf8, isAscii } from './utf8.js';

export const LETTERS: readonly string[] = Array.from({ length: 26 }, (_, i) => String.fromCharCode(0x61 + i));

/** Not the whole message at once: V8 lays what is larger than 128 KiB where only a full collection looks. */
const WINDOW = 16_384;

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Bytes of a text record's value by (type − 80h) / 2; -1 where a length or an id stands before it. */
const VALUE_SIZE = new Int8Array(31).fill(-1);
for (const [type, size] of [
  [RecordType.Zero, 0],
  [RecordType.One, 0],
  [RecordType.False, 0],
  [RecordType.True, 0],
  [RecordType.Int8, 1],
  [RecordType.Int16, 2],
  [RecordType.Int32, 4],
  [RecordType.Int64, 8],
  [RecordType.Float, 4],
  [RecordType.Double, 8],
  [RecordType.Decimal, 16],
  [RecordType.DateTime, 8],
  [RecordType.Empty, 0],
  [RecordType.UniqueId, 16],
  [RecordType.TimeSpan, 8],
  [RecordType.Uuid, 16],
  [RecordType.UInt64, 8],
  [RecordType.Bool, 1],
] as const) {
  VALUE_SIZE[(type - 0x80) >> 1] = size;
}

/** The size of a fixed-size text record's value, else -1. `type` is even. */
export function fixedSize(type: number): number {
  return VALUE_SIZE[(type - 0x80) >> 1] ?? -1;
}

export class RecordInput {
  protected readonly buf: Buffer;
  protected readonly end: number;
  protected readonly limits: NbfxLimits;
  protected pos = 0;
  // A part of the message as Latin-1, and where it stands; see `shareTexts`.
  #window = '';
  #windowAt = 0;
  #shared = false;

  constructor(bytes: Uint8Array, limits: Partial<NbfxLimits>) {
    this.buf = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = bytes.byteLength;
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    if (this.end > this.limits.maxBytes) {
      throw this.error('nbfx-limit', 'message', `${this.end} bytes, at most ${this.limits.maxBytes} are taken`, 0);
    }
  }

  /** An error at `offset`, by default here. */
  error(code: string, structure: string, what: string, offset = this.pos): ProtocolError {
    return new ProtocolError(code, `${structure} at offset ${offset}: ${what}`, { structure, offset });
  }

  protected need(size: number, structure: string): void {
    if (size > this.end - this.pos) {
      throw this.error('nbfx-truncated', structure, `${size} bytes expected, ${this.end - this.pos} left`);
    }
  }

  protected byte(structure: string): number {
    if (this.pos >= this.end) {
      throw this.error('nbfx-truncated', structure, 'the message ends');
    }
    return this.buf[this.pos++]!;
  }

  /** Strict: at most five bytes, 31 bits, and no zero at the end that a shorter form would leave out. */
  protected int31(structure: string): number {
    const first = this.byte(structure);
    if (first < 0x80) {
      return first;
    }
    const offset = this.pos - 1;
    let value = first & 0x7f;
    for (let shift = 7; shift <= 28; shift += 7) {
      const byte = this.byte(structure);
      if (byte < 0x80) {
        if (byte === 0 || (shift === 28 && byte > 7)) {
          break;
        }
        return value + byte * 2 ** shift;
      }
      value += (byte & 0x7f) * 2 ** shift;
    }
    throw this.error('nbfx-value', structure, 'not a MultiByteInt31', offset);
  }

  /** A string of MC-NBFX 2.1.3 used as name, prefix or namespace. */
  protected name(structure: string, mayBeEmpty = false): string {
    const size = this.int31(structure);
    if (size > this.limits.maxNameBytes) {
      throw this.error('nbfx-limit', structure, `${size} bytes, at most ${this.limits.maxNameBytes} are taken`);
    }
    if (size === 0 && !mayBeEmpty) {
      throw this.error('nbfx-value', structure, 'an empty name');
    }
    this.need(size, structure);
    const text = decodeName(this.buf, this.pos, this.pos + size);
    if (text === undefined) {
      throw this.error('nbfx-value', structure, 'not UTF-8');
    }
    this.pos += size;
    return text;
  }

  /** A DictionaryString (MC-NBFX 2.1.4). */
  protected dictionary(structure: string): string {
    const offset = this.pos;
    const id = this.int31(structure);
    const text = (id & 1) === 0 ? STATIC_STRINGS[id >>> 1] : undefined;
    if (text === undefined) {
      throw this.error('nbfx-value', structure, `${id} is no id of the static dictionary`, offset);
    }
    return text;
  }

  /** The length before Chars, Bytes and UnicodeChars records; `wide` is 0, 1 or 2 for 8, 16 or 32 bits. */
  protected length(wide: number, structure: string): number {
    this.need(1 << wide, structure);
    const offset = this.pos;
    const { buf } = this;
    const size = wide === 0 ? buf[offset]! : wide === 1 ? buf.readUInt16LE(offset) : buf.readUInt32LE(offset);
    this.pos += 1 << wide;
    if (size > this.limits.maxTextBytes) {
      throw this.error('nbfx-limit', structure, `${size} bytes, at most ${this.limits.maxTextBytes} are taken`, offset);
    }
    this.need(size, structure);
    return size;
  }

  /** Passes over the value of the text record `type` (even). */
  protected passText(type: number): void {
    const size = fixedSize(type);
    if (size >= 0) {
      this.need(size, 'text record');
      this.pos += size;
    } else if (type === RecordType.Dictionary) {
      this.dictionary('DictionaryText');
    } else if (type === RecordType.QNameDictionary) {
      this.byte('QNameDictionaryText');
      this.dictionary('QNameDictionaryText');
    } else if (type === RecordType.StartList) {
      for (let item = this.listItem(); item >= 0; item = this.listItem()) {
        this.passText(item);
      }
    } else {
      const wide = sizedRecord(type);
      if (wide < 0) {
        throw this.error('nbfx-record', 'text record', `no record has the type 0x${type.toString(16)}`, this.pos - 1);
      }
      const length = this.length(wide, 'text record');
      this.pos += length;
    }
  }

  /** The type of a list's next item, or -1 at its end. */
  protected listItem(): number {
    const type = this.byte('StartListText');
    if (type === RecordType.EndList) {
      return -1;
    }
    if (type < RecordType.Zero || (type & 1) === 1 || type === RecordType.StartList) {
      throw this.error('nbfx-record', 'StartListText', `0x${type.toString(16)} in a list`, this.pos - 1);
    }
    return type;
  }

  /** The characters of the text record `type` (even), whose value begins here. */
  protected text(type: number): string {
    if (type === RecordType.Chars8) {
      return this.chars(this.length(0, 'Chars8Text'));
    }
    const offset = this.pos;
    const { buf } = this;
    const size = fixedSize(type);
    if (size >= 0) {
      this.need(size, 'text record');
      this.pos += size;
    }
    switch (type) {
      case RecordType.Zero:
        return '0';
      case RecordType.One:
        return '1';
      case RecordType.False:
        return 'false';
      case RecordType.True:
        return 'true';
      case RecordType.Int8:
        return String(buf.readInt8(offset));
      case RecordType.Int16:
        return String(buf.readInt16LE(offset));
      case RecordType.Int32:
        return String(buf.readInt32LE(offset));
      case RecordType.Int64:
        return String(buf.readBigInt64LE(offset));
      case RecordType.UInt64:
        return String(buf.readBigUInt64LE(offset));
      case RecordType.Float:
        return singleToText(buf.readFloatLE(offset));
      case RecordType.Double:
        return doubleToText(buf.readDoubleLE(offset));
      case RecordType.Decimal:
        // wReserved of OLE DECIMAL is ignored.
        return this.defined(
          decimalToText(
            buf[offset + 2]!,
            buf[offset + 3]!,
            buf.readUInt32LE(offset + 4),
            buf.readBigUInt64LE(offset + 8),
          ),
          'DecimalText',
          offset,
        );
      case RecordType.DateTime:
        return this.defined(dateTimeToText(buf.readBigUInt64LE(offset)), 'DateTimeText', offset);
      case RecordType.TimeSpan:
        return timeSpanToText(buf.readBigInt64LE(offset));
      case RecordType.UniqueId:
        return `urn:uuid:${guidToText(buf.subarray(offset, offset + 16))}`;
      case RecordType.Uuid:
        return guidToText(buf.subarray(offset, offset + 16));
      case RecordType.Bool:
        return this.defined(buf[offset] === 0 ? 'false' : buf[offset] === 1 ? 'true' : undefined, 'BoolText', offset);
      case RecordType.Empty:
        return '';
      case RecordType.Dictionary:
        return this.dictionary('DictionaryText');
      case RecordType.QNameDictionary: {
        const letter = LETTERS[this.byte('QNameDictionaryText')];
        return `${this.defined(letter, 'QNameDictionaryText', offset)}:${this.dictionary('QNameDictionaryText')}`;
      }
      case RecordType.StartList: {
        const items: string[] = [];
        let size = 0;
        for (let item = this.listItem(); item >= 0; item = this.listItem()) {
          const text = this.text(item);
          items.push(text);
          size += text.length + 1;
          if (size > this.limits.maxTextBytes) {
            throw this.error('nbfx-limit', 'StartListText', `more than ${this.limits.maxTextBytes} characters`);
          }
        }
        return items.join(' ');
      }
      case RecordType.Chars16:
        return this.chars(this.length(1, 'Chars16Text'));
      case RecordType.Chars32:
        return this.chars(this.length(2, 'Chars32Text'));
      case RecordType.Bytes8:
      case RecordType.Bytes16:
      case RecordType.Bytes32:
        return this.rawBytes(type).toString('base64');
      case RecordType.UnicodeChars8:
      case RecordType.UnicodeChars16:
      case RecordType.UnicodeChars32:
        return this.unicodeChars(this.length((type - RecordType.UnicodeChars8) >> 1, 'UnicodeCharsText'));
      default:
        throw this.error('nbfx-record', 'text record', `no record has the type 0x${type.toString(16)}`, offset - 1);
    }
  }

  /** The length of a Bytes8/16/32 record, whose bytes are there and come next. */
  protected bytesLength(type: number): number {
    return this.length((type - RecordType.Bytes8) >> 1, 'BytesText');
  }

  /** A view of the value of a Bytes8/16/32 record. */
  protected rawBytes(type: number): Buffer {
    const size = this.bytesLength(type);
    const bytes = this.buf.subarray(this.pos, this.pos + size);
    this.pos += size;
    return bytes;
  }

  /**
   * From here on texts may share the memory of a larger string: a third of the time, where many are read and none is
   * kept for longer than the others.
   */
  shareTexts(): void {
    this.#shared = true;
  }

  private chars(size: number): string {
    const { pos } = this;
    if (this.#shared && size <= WINDOW && isAscii(this.buf, pos, pos + size)) {
      if (pos + size > this.#windowAt + this.#window.length || pos < this.#windowAt) {
        this.#window = this.buf.toString('latin1', pos, Math.min(pos + WINDOW, this.end));
        this.#windowAt = pos;
      }
      this.pos = pos + size;
      return this.#window.substring(pos - this.#windowAt, this.pos - this.#windowAt);
    }
    const text = this.defined(decodeUtf8(this.buf, this.pos, this.pos + size), 'CharsText', this.pos);
    this.pos += size;
    return text;
  }

  private unicodeChars(size: number): string {
    const text = size % 2 === 0 ? this.buf.toString('utf16le', this.pos, this.pos + size) : undefined;
    // A lone surrogate is no character: it could not be written as UTF-8 again.
    const known = this.defined(
      text === undefined || LONE_SURROGATE.test(text) ? undefined : text,
      'UnicodeCharsText',
      this.pos,
    );
    this.pos += size;
    return known;
  }

  private defined(text: string | undefined, structure: string, offset: number): string {
    if (text === undefined) {
      throw this.error('nbfx-value', structure, 'not a value of this record', offset);
    }
    return text;
  }
}

/** 0, 1 or 2 for records with a length of 8, 16 or 32 bits; -1 for others. */
function sizedRecord(type: number): number {
  if (type >= RecordType.Chars8 && type <= RecordType.Bytes32) {
    return ((type - RecordType.Chars8) >> 1) % 3;
  }
  return type >= RecordType.UnicodeChars8 && type <= RecordType.UnicodeChars32
    ? (type - RecordType.UnicodeChars8) >> 1
    : -1;
}
