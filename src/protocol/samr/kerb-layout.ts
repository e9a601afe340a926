/** What KERB_STORED_CREDENTIAL and KERB_STORED_CREDENTIAL_NEW share (MS-SAMR 2.2.10.4 to 2.2.10.7): offsets into one buffer. */

import { secretBytes } from '../../crypto/secret-bytes.js';
import { ProtocolError } from '../errors.js';

/** KERB_KEY_DATA, and with its iteration count KERB_KEY_DATA_NEW. */
export interface KerbKeyData {
  readonly reserved1: number;
  readonly reserved2: number;
  readonly reserved3: number;
  /** Of KERB_KEY_DATA_NEW only; 0 in KERB_KEY_DATA. */
  readonly iterationCount: number;
  /** Signed: 18, 17, 20, 19, 3, 1, 23, and -140 for RC4 too. */
  readonly keyType: number;
  /** From the structure's start. */
  readonly keyOffset: number;
  /** KeyLength bytes. */
  readonly key: Uint8Array;
}

/** Bytes that no field points at: a zero entry after the last one, and what Windows 2003 adds. */
export interface Gap {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** What both have; every byte array of a parsed one is a view. */
export interface StoredCredentialBase {
  readonly flags: number;
  /** UTF-16LE; see `saltText`. */
  readonly defaultSalt: Uint8Array;
  readonly defaultSaltMaximumLength: number;
  readonly defaultSaltOffset: number;
  /** Bytes in all. */
  readonly size: number;
  readonly gaps: readonly Gap[];
}

/** DefaultSalt as text: `ADATUM.COMApril`. A salt is no secret. */
export function saltText({ defaultSalt }: Pick<StoredCredentialBase, 'defaultSalt'>): string {
  return Buffer.from(defaultSalt.buffer, defaultSalt.byteOffset, defaultSalt.length).toString('utf16le');
}

/** How one of the two is made. */
export interface Shape {
  readonly structure: string;
  readonly revision: number;
  readonly headerSize: number;
  /** Bytes of a key entry. */
  readonly entrySize: number;
}

/** Bytes of a KERB_KEY_DATA_NEW; KERB_KEY_DATA has four less, for want of an iteration count. */
export const NEW_ENTRY_SIZE = 24;

/** A parse under way: bounds are checked here and nowhere else. */
export class LayoutReader {
  readonly view: DataView;
  readonly #bytes: Uint8Array;
  readonly #shape: Shape;
  #at: number;
  readonly #taken: [start: number, end: number][] = [];

  /** @throws ProtocolError `malformed` for fewer bytes than the header has, or another revision. */
  constructor(bytes: Uint8Array, shape: Shape) {
    this.#bytes = bytes;
    this.#shape = shape;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = shape.headerSize;
    if (bytes.length < shape.headerSize) {
      throw this.#malformed(`a header of ${shape.headerSize} bytes expected, not ${bytes.length},`, 0);
    }
    const revision = this.view.getUint16(0, true);
    if (revision !== shape.revision) throw this.#malformed(`Revision ${shape.revision} expected, not ${revision},`, 0);
  }

  #malformed(what: string, offset: number): ProtocolError {
    const { structure } = this.#shape;
    return new ProtocolError('malformed', `${structure}: ${what} at offset ${offset}`, { structure, offset });
  }

  /** The next `count` entries; their keys are cut out by `keys` once the last entry's end is known. */
  entries(count: number): number[] {
    const { entrySize } = this.#shape;
    if (this.#at + count * entrySize > this.#bytes.length) {
      throw this.#malformed(`${count} key entries of ${entrySize} bytes reach past the end:`, this.#at);
    }
    const starts = Array.from({ length: count }, (_, i) => this.#at + i * entrySize);
    this.#at += count * entrySize;
    return starts;
  }

  /** A field's bytes behind all entries; of none, the offset does not matter. */
  region(what: string, offset: number, length: number): Uint8Array {
    if (length > 0) {
      if (offset < this.#at || offset + length > this.#bytes.length) {
        throw this.#malformed(
          `${what}: ${length} bytes between ${this.#at} and ${this.#bytes.length} expected, not`,
          offset,
        );
      }
      this.#taken.push([offset, offset + length]);
    }
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + (length > 0 ? offset : 0), length);
  }

  keys(starts: readonly number[]): KerbKeyData[] {
    const isNew = this.#shape.entrySize === NEW_ENTRY_SIZE;
    return starts.map((start) => {
      const at = start + (isNew ? 12 : 8);
      const keyOffset = this.view.getUint32(at + 8, true);
      return {
        reserved1: this.view.getUint16(start, true),
        reserved2: this.view.getUint16(start + 2, true),
        reserved3: this.view.getUint32(start + 4, true),
        iterationCount: isNew ? this.view.getUint32(start + 8, true) : 0,
        keyType: this.view.getInt32(at, true),
        keyOffset,
        key: this.region('key', keyOffset, this.view.getUint32(at + 4, true)),
      };
    });
  }

  /** DefaultSaltLength, DefaultSaltMaximumLength and DefaultSaltOffset, from `at` on. */
  salt(at: number): Pick<StoredCredentialBase, 'defaultSalt' | 'defaultSaltMaximumLength' | 'defaultSaltOffset'> {
    const length = this.view.getUint16(at, true);
    if (length % 2 !== 0) throw this.#malformed(`an even DefaultSaltLength expected, not ${length},`, at);
    const defaultSaltOffset = this.view.getUint32(at + 4, true);
    return {
      defaultSalt: this.region('DefaultSalt', defaultSaltOffset, length),
      defaultSaltMaximumLength: this.view.getUint16(at + 2, true),
      defaultSaltOffset,
    };
  }

  /** Everything behind the entries that nothing was read from. */
  gaps(): Gap[] {
    const gaps: Gap[] = [];
    let at = this.#at;
    const taken = this.#taken.sort(([a], [b]) => a - b);
    for (const [start, end] of [...taken, [this.#bytes.length, this.#bytes.length] as const]) {
      if (start > at) {
        gaps.push({ offset: at, bytes: new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + at, start - at) });
      }
      at = Math.max(at, end);
    }
    return gaps;
  }
}

/** Header (but its own fields), entries, salt, keys and gaps where the value says that they stand. */
export function writeLayout(
  value: StoredCredentialBase,
  keys: readonly KerbKeyData[],
  saltAt: number,
  shape: Shape,
): { bytes: Uint8Array<ArrayBuffer>; view: DataView } {
  const { headerSize, entrySize, structure, revision } = shape;
  const bytes = secretBytes(value.size);
  const view = new DataView(bytes.buffer);
  const entriesEnd = headerSize + keys.length * entrySize;
  if (entriesEnd > value.size)
    throw new RangeError(`${structure}: ${keys.length} keys need more than ${value.size} bytes`);
  const put = (what: string, offset: number, content: Uint8Array): void => {
    if (content.length === 0) return;
    if (offset < entriesEnd || offset + content.length > value.size) {
      throw new RangeError(`${structure}: ${what} at ${offset} lies outside of ${entriesEnd} to ${value.size}`);
    }
    bytes.set(content, offset);
  };
  view.setUint16(0, revision, true);
  view.setUint16(2, value.flags, true);
  view.setUint16(saltAt, value.defaultSalt.length, true);
  view.setUint16(saltAt + 2, value.defaultSaltMaximumLength, true);
  view.setUint32(saltAt + 4, value.defaultSaltOffset, true);
  for (const [i, key] of keys.entries()) {
    const start = headerSize + i * entrySize;
    view.setUint16(start, key.reserved1, true);
    view.setUint16(start + 2, key.reserved2, true);
    view.setUint32(start + 4, key.reserved3, true);
    if (entrySize === NEW_ENTRY_SIZE) view.setUint32(start + 8, key.iterationCount, true);
    const at = start + entrySize - 12;
    view.setInt32(at, key.keyType, true);
    view.setUint32(at + 4, key.key.length, true);
    view.setUint32(at + 8, key.keyOffset, true);
  }
  for (const { offset, bytes: content } of value.gaps) put('gap', offset, content);
  put('DefaultSalt', value.defaultSaltOffset, value.defaultSalt);
  for (const { keyOffset, key } of keys) put('key', keyOffset, key);
  return { bytes, view };
}

/** A key to be laid out anew. */
export interface NewKey {
  readonly keyType: number;
  readonly key: Uint8Array;
  readonly iterationCount?: number;
}

/**
 * Offsets as Windows since 2008 gives them: entries, one of zeros, the salt, the keys in the entries' order.
 * Windows 2003 leaves four more bytes before the salt and 16 zeros after the keys: that layout is written only for what
 * was parsed with it.
 */
export function layOut(
  lists: readonly (readonly NewKey[])[],
  salt: Uint8Array,
  { headerSize, entrySize }: Shape,
): { base: Omit<StoredCredentialBase, 'flags'>; lists: KerbKeyData[][] } {
  const count = lists.reduce((sum, list) => sum + list.length, 0);
  const defaultSaltOffset = headerSize + (count + 1) * entrySize;
  let at = defaultSaltOffset + salt.length;
  const placed = lists.map((list) =>
    list.map(({ keyType, key, iterationCount = 0 }) => {
      const keyOffset = at;
      at += key.length;
      return { reserved1: 0, reserved2: 0, reserved3: 0, iterationCount, keyType, keyOffset, key };
    }),
  );
  const base = {
    defaultSalt: salt,
    defaultSaltMaximumLength: salt.length,
    defaultSaltOffset,
    size: at,
    gaps: [{ offset: defaultSaltOffset - entrySize, bytes: new Uint8Array(entrySize) }],
  };
  return { base, lists: placed };
}
