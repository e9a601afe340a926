/** IDL_DRSGetNCChanges (opnum 3), the reply: DRS_MSG_GETCHGREPLY_V6 and _V9 (MS-DRSR 4.1.10.2). */

import { ProtocolError } from '../errors.js';
import { NdrReader } from '../ndr/ndr-reader.js';
import { type DsName, readDsName } from './dsname.js';
import { type LinkedValue, MAX_LINKED_VALUES, readLinkedValues } from './linked-values.js';
import { type PrefixTable, readPrefixEntries, readPrefixTableHead } from './prefix-table.js';
import { type ReplicatedObject, readObjectList } from './replicated-objects.js';
import { readUpToDateVector, readUsnVector, type UpToDateCursor, type UsnVector } from './vectors.js';
import { isKnownStatus, win32Error } from './win32-errors.js';

export interface ChangesReply<Name extends string = string> {
  readonly version: 6 | 9;
  /** 16 bytes each, copies. */
  readonly uuidDsaObjSrc: Uint8Array;
  readonly uuidInvocIdSrc: Uint8Array;
  readonly nc: DsName | undefined;
  /** Where the next request starts, with `uuidInvocIdSrc`. */
  readonly usnvecTo: UsnVector;
  /** In the last reply of a cycle. */
  readonly upToDateVector: readonly UpToDateCursor[] | undefined;
  /** Of the server: for ATTRTYPs in values, such as objectClass. */
  readonly prefixTable: PrefixTable;
  /** EXOP_ERR: 1 is success; 0 without an extended operation. */
  readonly ulExtendedRet: number;
  /** In the server's order. GUIDs, SIDs and values are views on the reply. */
  readonly objects: readonly ReplicatedObject<Name>[];
  readonly fMoreData: boolean;
  /** With DRS_GET_NC_SIZE: the server's estimate for the naming context; else 0. */
  readonly cNumNcSizeObjects: number;
  readonly linkedValues: readonly LinkedValue[];
  readonly dwDRSError: number;
}

/** What stands before the objects: enough to ask for the next reply. */
export type ChangesReplyHead = Pick<ChangesReply, 'nc' | 'uuidInvocIdSrc' | 'usnvecTo' | 'fMoreData'>;

/**
 * The head of a reply that goes on with another one, from its first bytes.
 * @param stub the beginning of the reply's stub.
 * @returns undefined where there is no next reply, or where that takes more of the stub to tell.
 */
export function decodeChangesReplyHead(stub: Uint8Array): ChangesReplyHead | undefined {
  const reader = new NdrReader(stub, 'DRSGetNCChanges reply');
  try {
    const { hasNC, fMoreData, uuidInvocIdSrc, usnvecTo, dwDRSError } = readFixedPart(reader, readVersion(reader));
    if (!fMoreData || dwDRSError !== 0) return undefined;
    return { nc: hasNC ? readDsName(reader) : undefined, uuidInvocIdSrc, usnvecTo, fMoreData };
  } catch (error) {
    // The whole reply will tell what is wrong with it.
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/**
 * @param attributes OID → name: what of the objects' attributes is kept.
 * @throws ProtocolError on a status other than 0, a version other than 6 and 9, and a malformed stub.
 */
export function decodeGetNCChangesReply<Name extends string>(
  stub: Uint8Array,
  attributes: ReadonlyMap<string, Name>,
): ChangesReply<Name> {
  refuseStatus(stub);
  const reader = new NdrReader(stub, 'DRSGetNCChanges reply');
  const version = readVersion(reader);
  const reply = reader.within(`DRS_MSG_GETCHGREPLY_V${version}`, () => readReply(reader, version, attributes));
  const status = reader.u32();
  reader.end();
  if (status !== 0) {
    throw win32Error('DRSGetNCChanges', status);
  }
  return reply;
}

function readVersion(reader: NdrReader): 6 | 9 {
  const version = reader.u32();
  if (version !== 6 && version !== 9) {
    throw reader.fail(
      version === 2 || version === 7 ? 'compressed-reply' : 'unsupported-reply-version',
      `the reply has version ${version}${version === 2 || version === 7 ? ', which is compressed,' : ''} 6 or 9 expected`,
    );
  }
  const tag = reader.u32();
  if (tag !== version) {
    throw reader.fail('conformance', `the union's tag is ${tag}, pdwOutVersion ${version}`);
  }
  return version;
}

/** The status stands last; a failed call's message need not be of a version that can be read. */
function refuseStatus(stub: Uint8Array): void {
  if (stub.length >= 4) {
    const status = new DataView(stub.buffer, stub.byteOffset, stub.byteLength).getUint32(stub.length - 4, true);
    if (isKnownStatus(status)) {
      throw win32Error('DRSGetNCChanges', status);
    }
  }
}

/** The fixed part of DRS_MSG_GETCHGREPLY_V6 and _V9, with what it says of the pointees behind it. */
function readFixedPart(reader: NdrReader, version: 6 | 9) {
  reader.align(8);
  const uuidDsaObjSrc = new Uint8Array(reader.guid());
  const uuidInvocIdSrc = new Uint8Array(reader.guid());
  const hasNC = reader.pointer();
  readUsnVector(reader); // usnvecFrom repeats the request's.
  const usnvecTo = readUsnVector(reader);
  const hasVector = reader.pointer();
  const prefixCount = readPrefixTableHead(reader);
  const ulExtendedRet = reader.u32();
  const cNumObjects = reader.u32();
  reader.u32(); // cNumBytes: the server's own measure.
  const hasObjects = reader.pointer();
  const fMoreData = reader.u32() !== 0;
  const cNumNcSizeObjects = reader.u32();
  reader.u32(); // cNumNcSizeValues
  const cNumValues = reader.u32();
  if (cNumValues > MAX_LINKED_VALUES) {
    throw reader.fail('limit', `cNumValues is ${cNumValues}, at most ${MAX_LINKED_VALUES} taken`);
  }
  const hasValues = reader.pointer();
  if (cNumValues > 0 && !hasValues) {
    throw reader.fail('null-pointer', `rgValues is null with cNumValues ${cNumValues}`);
  }
  const dwDRSError = reader.u32();
  return {
    version,
    uuidDsaObjSrc,
    uuidInvocIdSrc,
    hasNC,
    usnvecTo,
    hasVector,
    prefixCount,
    ulExtendedRet,
    cNumObjects,
    hasObjects,
    fMoreData,
    cNumNcSizeObjects,
    cNumValues,
    hasValues,
    dwDRSError,
  };
}

function readReply<Name extends string>(
  reader: NdrReader,
  version: 6 | 9,
  attributes: ReadonlyMap<string, Name>,
): ChangesReply<Name> {
  const fixed = readFixedPart(reader, version);
  const { hasNC, hasVector, prefixCount, hasObjects, hasValues, cNumObjects, cNumValues } = fixed;
  const nc = hasNC ? readDsName(reader) : undefined;
  const upToDateVector = hasVector ? readUpToDateVector(reader) : undefined;
  const prefixTable = readPrefixEntries(reader, prefixCount);
  const objects = hasObjects ? readObjectList(reader, attrTypNames(prefixTable, attributes)) : [];
  if (objects.length !== cNumObjects) {
    throw reader.fail('conformance', `${objects.length} objects in the list, cNumObjects is ${cNumObjects}`);
  }
  const linkedValues = hasValues ? readLinkedValues(reader, cNumValues, version) : [];
  const { uuidDsaObjSrc, uuidInvocIdSrc, usnvecTo, ulExtendedRet, fMoreData, cNumNcSizeObjects, dwDRSError } = fixed;
  return {
    version,
    uuidDsaObjSrc,
    uuidInvocIdSrc,
    nc,
    usnvecTo,
    upToDateVector,
    prefixTable,
    ulExtendedRet,
    objects,
    fMoreData,
    cNumNcSizeObjects,
    linkedValues,
    dwDRSError,
  };
}

function attrTypNames<Name extends string>(
  table: PrefixTable,
  attributes: ReadonlyMap<string, Name>,
): Map<number, Name> {
  const names = new Map<number, Name>();
  for (const [oid, name] of attributes) {
    const attrTyp = table.attrTypOf(oid);
    if (attrTyp !== undefined) {
      names.set(attrTyp, name);
    }
  }
  return names;
}
