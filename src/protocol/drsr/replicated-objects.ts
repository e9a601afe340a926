/** REPLENTINFLIST and what hangs on it (MS-DRSR 5.162; ENTINF 5.53, ATTRBLOCK 5.9, PROPERTY_META_DATA_EXT 5.158). */

import { dstimeToDate } from '../dtyp/time.js';
import type { NdrReader } from '../ndr/ndr-reader.js';
import { type DsName, readDsName } from './dsname.js';

/** Objects of one reply; requests ask for some thousand at most. */
const MAX_OBJECTS = 100_000;
const MAX_ATTRIBUTES = 10_000;
const MAX_VALUES = 1_000_000;
/** The range of ATTRVAL's valLen. */
const MAX_VALUE_SIZE = 26_214_400;
/** Fixed part of a REPLENTINFLIST: eight fields of 4 bytes. */
const ENTRY_SIZE = 32;
const ATTR_SIZE = 12;
const ATTRVAL_SIZE = 8;
const META_DATA_SIZE = 40;

const NO_BYTES = new Uint8Array(0);

/** PROPERTY_META_DATA_EXT, read from the reply when asked. */
export class PropertyMetaData {
  readonly #view: DataView;
  readonly #offset: number;

  constructor(view: DataView, offset: number) {
    this.#view = view;
    this.#offset = offset;
  }

  /** dwVersion: how often the attribute was changed. */
  get version(): number {
    return this.#view.getUint32(this.#offset, true);
  }

  /** timeChanged: the originating time, in whole seconds. */
  get timeChanged(): Date {
    return dstimeToDate(this.#view.getBigInt64(this.#offset + 8, true));
  }

  /** uuidDsaOriginating: invocation id of the DC where the change was made, 16 bytes, a view. */
  get originatingInvocationId(): Uint8Array {
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#offset + 16, 16);
  }

  /** usnOriginating. */
  get originatingUsn(): bigint {
    return this.#view.getBigInt64(this.#offset + 32, true);
  }
}

export interface ReplicatedAttribute {
  readonly attrTyp: number;
  /** Views on the reply. Empty: the attribute was there once and has no value now. */
  readonly values: readonly Uint8Array[];
  readonly metaData: PropertyMetaData | undefined;
}

export interface ReplicatedObject<Name extends string = string> {
  readonly name: DsName;
  /** ENTINF's ulFlags. */
  readonly ulFlags: number;
  readonly isNCPrefix: boolean;
  /** A view; undefined when not sent. */
  readonly parentGuid: Uint8Array | undefined;
  readonly attributes: ReadonlyMap<Name, ReplicatedAttribute>;
}

/** One object's fixed part, before its pointees are read. */
interface Entry {
  readonly ulFlags: number;
  readonly attrCount: number;
  readonly hasAttributes: boolean;
  readonly isNCPrefix: boolean;
  readonly hasParentGuid: boolean;
  readonly hasMetaData: boolean;
}

/**
 * The list behind pObjects. NDR defers every pointee, depth first, and pNextEntInf is the first pointer of its structure:
 * so all fixed parts stand first, and then the pointees of the last object, of the one before it, up to the first.
 * Read in a loop: a list as long as a page would take the recursion of the IDL too deep.
 * @param names ATTRTYP → name: what of the attributes is kept; the rest is passed over.
 * @returns in the server's order.
 */
export function readObjectList<Name extends string>(
  reader: NdrReader,
  names: ReadonlyMap<number, Name>,
): ReplicatedObject<Name>[] {
  const view = new DataView(reader.bytes.buffer, reader.bytes.byteOffset, reader.bytes.byteLength);
  const entries = reader.within('REPLENTINFLIST', () => readEntries(reader, view));
  const objects = new Array<ReplicatedObject<Name>>(entries.length);
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = entries[i]!;
    const name = readDsName(reader);
    const attributes = new Map<Name, MutableAttribute>();
    const positions = entry.hasAttributes
      ? reader.within('ATTRBLOCK', () => readAttributes(reader, view, entry.attrCount, names, attributes))
      : [];
    const parentGuid = entry.hasParentGuid ? reader.guid() : undefined;
    if (entry.hasMetaData) {
      reader.within('PROPERTY_META_DATA_EXT_VECTOR', () => {
        readMetaData(reader, view, entry.attrCount, positions);
      });
    }
    objects[i] = { name, ulFlags: entry.ulFlags, isNCPrefix: entry.isNCPrefix, parentGuid, attributes };
  }
  return objects;
}

interface MutableAttribute {
  readonly attrTyp: number;
  readonly values: Uint8Array[];
  metaData: PropertyMetaData | undefined;
}

/** A kept attribute and its index in the ATTRBLOCK, which is its index in the metadata vector too. */
interface Position {
  readonly index: number;
  readonly attribute: MutableAttribute;
}

function readEntries(reader: NdrReader, view: DataView): Entry[] {
  const entries: Entry[] = [];
  reader.align(4);
  for (let more = true; more; ) {
    if (entries.length === MAX_OBJECTS) {
      throw reader.fail('limit', `more than ${MAX_OBJECTS} objects`);
    }
    reader.need(ENTRY_SIZE);
    const at = reader.offset;
    const attrCount = view.getUint32(at + 12, true);
    const hasAttributes = view.getUint32(at + 16, true) !== 0;
    if (view.getUint32(at + 4, true) === 0) {
      throw reader.fail('null-pointer', `object ${entries.length}: pName is null`);
    }
    if (attrCount > MAX_ATTRIBUTES || (attrCount > 0 && !hasAttributes)) {
      throw reader.fail(
        attrCount > MAX_ATTRIBUTES ? 'limit' : 'null-pointer',
        `object ${entries.length}: attrCount is ${attrCount}, at most ${MAX_ATTRIBUTES}, and pAttr set, expected`,
      );
    }
    entries.push({
      ulFlags: view.getUint32(at + 8, true),
      attrCount,
      hasAttributes,
      isNCPrefix: view.getUint32(at + 20, true) !== 0,
      hasParentGuid: view.getUint32(at + 24, true) !== 0,
      hasMetaData: view.getUint32(at + 28, true) !== 0,
    });
    more = view.getUint32(at, true) !== 0;
    reader.offset = at + ENTRY_SIZE;
  }
  return entries;
}

function readAttributes<Name extends string>(
  reader: NdrReader,
  view: DataView,
  count: number,
  names: ReadonlyMap<number, Name>,
  attributes: Map<Name, MutableAttribute>,
): Position[] {
  const positions: Position[] = [];
  reader.conformance('pAttr', count, ATTR_SIZE);
  const heads = reader.offset;
  reader.offset += count * ATTR_SIZE;
  for (let index = 0; index < count; index++) {
    const head = heads + index * ATTR_SIZE;
    const attrTyp = view.getUint32(head, true);
    const valCount = view.getUint32(head + 4, true);
    const present = view.getUint32(head + 8, true) !== 0;
    if (valCount > MAX_VALUES || (valCount > 0 && !present)) {
      throw reader.fail(
        valCount > MAX_VALUES ? 'limit' : 'null-pointer',
        `attribute 0x${attrTyp.toString(16)}: valCount is ${valCount}, at most ${MAX_VALUES}, and pAVal set, expected`,
      );
    }
    const name = names.get(attrTyp);
    const values: Uint8Array[] | undefined = name === undefined ? undefined : [];
    if (present) {
      readValues(reader, view, attrTyp, valCount, values);
    }
    if (name !== undefined && values !== undefined) {
      const attribute: MutableAttribute = { attrTyp, values, metaData: undefined };
      attributes.set(name, attribute);
      positions.push({ index, attribute });
    }
  }
  return positions;
}

function readValues(
  reader: NdrReader,
  view: DataView,
  attrTyp: number,
  count: number,
  values: Uint8Array[] | undefined,
): void {
  reader.conformance('pAVal', count, ATTRVAL_SIZE);
  const heads = reader.offset;
  reader.offset += count * ATTRVAL_SIZE;
  for (let i = 0; i < count; i++) {
    const valLen = view.getUint32(heads + i * ATTRVAL_SIZE, true);
    if (view.getUint32(heads + i * ATTRVAL_SIZE + 4, true) === 0) {
      if (valLen > 0) {
        throw reader.fail('null-pointer', `attribute 0x${attrTyp.toString(16)}: pVal is null with valLen ${valLen}`);
      }
      values?.push(NO_BYTES);
      continue;
    }
    if (valLen > MAX_VALUE_SIZE) {
      throw reader.fail('limit', `attribute 0x${attrTyp.toString(16)}: valLen is ${valLen}, at most ${MAX_VALUE_SIZE}`);
    }
    reader.conformance('pVal', valLen, 1);
    const start = reader.offset;
    reader.offset = start + valLen;
    values?.push(reader.bytes.subarray(start, start + valLen));
  }
}

function readMetaData(reader: NdrReader, view: DataView, attrCount: number, positions: readonly Position[]): void {
  const maxCount = reader.u32();
  reader.align(8);
  const count = reader.u32();
  if (count !== maxCount || count !== attrCount) {
    throw reader.fail('conformance', `cNumProps is ${count}, max_count ${maxCount}, for ${attrCount} attributes`);
  }
  if (count === 0) {
    // No element, no padding for it.
    return;
  }
  reader.align(8);
  reader.need(count * META_DATA_SIZE);
  const start = reader.offset;
  reader.offset += count * META_DATA_SIZE;
  for (const { index, attribute } of positions) {
    attribute.metaData = new PropertyMetaData(view, start + index * META_DATA_SIZE);
  }
}
