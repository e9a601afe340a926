/** Byte strings of any lengths as one, with n + 1 offsets: what goes in, what is refused. */

import { types } from 'node:util';
import { secretBytes, secretCopy } from '../crypto/secret-bytes.js';
import { checkUint8Array, kindOf } from './arguments.js';
import type { Region } from './shared-memory.js';
import type { FlatItems } from './types.js';

/** Offsets are 32-bit words. */
const MAX_BYTES = 2 ** 32 - 1;

/** How the items of a list become bytes. */
export interface Encoding<T> {
  /** What an item may be, as an error says it. */
  readonly expected: string;
  is(item: unknown): item is T;
  size(item: T): number;
  /** Writes the item's `size` bytes at `at`. */
  write(item: T, bytes: Buffer, at: number): void;
}

/** Strings as UTF-8, as node:crypto takes them, and bytes as they are. */
export const utf8OrBytes: Encoding<string | Uint8Array> = {
  expected: 'a string or a Uint8Array',
  is: (item) => typeof item === 'string' || types.isUint8Array(item),
  size: (item) => (typeof item === 'string' ? Buffer.byteLength(item) : item.length),
  write(item, bytes, at) {
    if (typeof item === 'string') bytes.write(item, at);
    else bytes.set(item, at);
  },
};

/** Strings as UTF-16LE, lone surrogates as they stand. */
export const utf16 = {
  expected: 'a string',
  is: (item: unknown) => typeof item === 'string',
  size: (item: string) => 2 * item.length,
  write(item: string, bytes: Uint8Array, at: number) {
    // Not Buffer's `write`: for texts as short as passwords the call into C++ costs more than this.
    for (let i = 0; i < item.length; i++, at += 2) {
      const unit = item.charCodeAt(i);
      bytes[at] = unit;
      bytes[at + 1] = unit >>> 8;
    }
  },
} satisfies Encoding<string>;

function checkSize(name: string, size: number): void {
  if (size > MAX_BYTES) throw new RangeError(`${name}: expected at most ${MAX_BYTES} bytes together, got ${size}`);
}

function checkFlat(name: string, { bytes, offsets }: FlatItems): number {
  checkUint8Array(`${name}.bytes`, bytes);
  if (!types.isUint32Array(offsets)) {
    throw new TypeError(`${name}.offsets: expected a Uint32Array, got ${kindOf(offsets)}`);
  }
  if (offsets.length === 0) throw new RangeError(`${name}.offsets: expected one more than there are items, got 0`);
  for (let i = 1; i < offsets.length; i++) {
    if (offsets[i - 1]! > offsets[i]!) throw new RangeError(`${name}.offsets: must not descend, as they do at ${i}`);
  }
  const end = offsets.at(-1)!;
  if (end > bytes.length) {
    throw new RangeError(`${name}.offsets: expected to end within ${bytes.length} bytes, got ${end}`);
  }
  return offsets.length - 1;
}

const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

export function checkItem<T>(name: string, item: unknown, encoding: Encoding<T>): asserts item is T {
  if (!encoding.is(item)) throw new TypeError(`${name}: expected ${encoding.expected}, got ${kindOf(item)}`);
}

/** Checks a list or flat items and returns how many items there are. */
export function checkItems<T>(name: string, value: unknown, encoding: Encoding<T>): number {
  if (!isList(value)) {
    if (typeof value !== 'object' || value === null || types.isTypedArray(value)) {
      throw new TypeError(`${name}: expected an array, or an object with bytes and offsets, got ${kindOf(value)}`);
    }
    return checkFlat(name, value as FlatItems);
  }
  let size = 0;
  // Not forEach: it would pass over holes.
  for (let i = 0; i < value.length; i++) {
    const item: unknown = value[i];
    checkItem(`${name}[${i}]`, item, encoding);
    size += encoding.size(item);
  }
  checkSize(name, size);
  return value.length;
}

/** A copy of one item, for its owner to wipe. */
export function copyItem<T>(item: T, encoding: Encoding<T>): Uint8Array<ArrayBuffer> {
  const bytes = secretBytes(encoding.size(item));
  encoding.write(item, Buffer.from(bytes.buffer), 0);
  return bytes;
}

/**
 * A copy of `n` checked items, the first at offset 0; whoever called wipes `bytes`.
 *
 * @throws {RangeError} where another thread has changed the offsets since they were checked.
 */
export function copyItems<T>(
  name: string,
  items: readonly T[] | FlatItems,
  n: number,
  encoding: Encoding<T>,
): FlatItems {
  if (!isList(items)) {
    const { bytes, offsets } = items as FlatItems;
    const own = new Uint32Array(offsets);
    const count = checkFlat(name, { bytes, offsets: own });
    if (count !== n) throw new RangeError(`${name}.offsets: expected ${n} items as before, got ${count}`);
    const from = own[0]!;
    return { bytes: secretCopy(bytes.subarray(from, own[n])), offsets: own.map((at) => at - from) };
  }
  const list = items as readonly T[];
  const offsets = new Uint32Array(list.length + 1);
  let size = 0;
  for (let i = 0; i < list.length; i++) {
    size += encoding.size(list[i]!);
    offsets[i + 1] = size;
  }
  const bytes = secretBytes(size);
  const buffer = Buffer.from(bytes.buffer);
  for (let i = 0; i < list.length; i++) encoding.write(list[i]!, buffer, offsets[i]!);
  return { bytes, offsets };
}

/** Byte strings as one, a copy for its owner to wipe; what is missing takes no bytes. */
export function joinBytes(items: readonly (Uint8Array | undefined)[]): FlatItems {
  const offsets = new Uint32Array(items.length + 1);
  items.forEach((item, i) => {
    offsets[i + 1] = offsets[i]! + (item?.length ?? 0);
  });
  const bytes = secretBytes(offsets.at(-1)!);
  items.forEach((item, i) => {
    if (item !== undefined) bytes.set(item, offsets[i]!);
  });
  return { bytes, offsets };
}

/** Bytes of shared memory that the items from `from` to `to` take, in two arrays. */
export const sizeOfItems = ({ offsets }: FlatItems, from: number, to: number): number =>
  offsets[to]! - offsets[from]! + (to - from + 1) * offsets.BYTES_PER_ELEMENT;

/** Copies the items from `from` to `to` into shared memory. */
export function layItems({ bytes, offsets }: FlatItems, from: number, to: number, memory: Region): FlatItems {
  const laid = memory.copyWords(offsets.subarray(from, to + 1));
  const first = offsets[from]!;
  for (let i = 0; i < laid.length; i++) laid[i]! -= first;
  return { bytes: memory.copy(bytes.subarray(first, offsets[to]!)), offsets: laid };
}
