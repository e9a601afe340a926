/** IDL_DRSGetNCChanges (opnum 3), the request: DRS_MSG_GETCHGREQ_V8 and _V10 (MS-DRSR 4.1.10.2). */

import { ProtocolError } from '../errors.js';
import { NdrWriter } from '../ndr/ndr-writer.js';
import { DRS_HANDLE_SIZE } from './bind.js';
import { type DsName, writeDsName } from './dsname.js';
import { DrsExtension } from './extensions.js';
import { destinationEntries, type PrefixTable, writePrefixEntries } from './prefix-table.js';
import { type UpToDateCursor, type UsnVector, writeUpToDateVector, writeUsnVector } from './vectors.js';

export const DRS_GET_NC_CHANGES_OPNUM = 3;

/** DRS_OPTIONS (MS-DRSR 5.41), as far as requests here use them. */
export const DrsOption = {
  WRIT_REP: 0x0000_0010,
  INIT_SYNC: 0x0000_0020,
  GET_NC_SIZE: 0x0000_1000,
  NEVER_SYNCED: 0x0020_0000,
} as const;

/** ulExtendedOp (MS-DRSR 4.1.10.2.22). */
export const ExtendedOperation = { none: 0, replObj: 6 } as const;

export interface ChangesRequest {
  /** 16 bytes. */
  readonly uuidDsaObjDest: Uint8Array;
  /** 16 bytes; of the server that `usnvecFrom` is from. */
  readonly uuidInvocIdSrc: Uint8Array;
  /** The naming context's head; with EXOP_REPL_OBJ the object. */
  readonly nc: Partial<DsName>;
  readonly usnvecFrom: UsnVector;
  /** pUpToDateVecDest: what the destination has of every DC's changes, from its last complete cycle. */
  readonly upToDateVector: readonly UpToDateCursor[] | undefined;
  readonly ulFlags: number;
  readonly cMaxObjects: number;
  readonly cMaxBytes: number;
  readonly ulExtendedOp: number;
  /** pPartialAttrSet: OIDs. */
  readonly attributes: readonly string[];
}

/**
 * dwInVersion by the server's dwFlags.
 * @throws ProtocolError `unsupported-server` when it takes neither V10 nor V8 (before Windows Server 2003).
 */
export function requestVersion(serverFlags: number): 8 | 10 {
  if ((serverFlags & DrsExtension.GETCHGREQ_V10) !== 0) {
    return 10;
  }
  if ((serverFlags & DrsExtension.GETCHGREQ_V8) !== 0) {
    return 8;
  }
  throw new ProtocolError(
    'unsupported-server',
    `DRSBind: the server's flags 0x${(serverFlags >>> 0).toString(16)} offer neither GETCHGREQ_V8 nor GETCHGREQ_V10`,
    { structure: 'DRS_EXTENSIONS_INT' },
  );
}

/** @param table gives the attributes their ATTRTYPs; prefixes that it lacks join it. */
export function encodeGetNCChangesRequest(
  handle: Uint8Array,
  version: 8 | 10,
  request: ChangesRequest,
  table: PrefixTable,
): Uint8Array {
  if (handle.length !== DRS_HANDLE_SIZE) {
    throw new RangeError(`a DRS_HANDLE has ${DRS_HANDLE_SIZE} bytes, not ${handle.length}`);
  }
  // PARTIAL_ATTR_VECTOR_V1_EXT is in increasing order.
  const attrTyps = request.attributes.map((oid) => table.makeAttid(oid)).sort((a, b) => a - b);
  const entries = destinationEntries(table, attrTyps);
  const cursors = request.upToDateVector;

  const writer = new NdrWriter(1024);
  writer.raw(handle).u32(version);
  // The union: its tag, then the arm, aligned like the widest of all arms.
  writer.u32(version).align(8);
  writer.guid(request.uuidDsaObjDest).guid(request.uuidInvocIdSrc).pointer(true);
  writeUsnVector(writer, request.usnvecFrom);
  writer.pointer(cursors !== undefined);
  writer.u32(request.ulFlags).u32(request.cMaxObjects).u32(request.cMaxBytes).u32(request.ulExtendedOp);
  writer.u64(0n); // liFsmoInfo
  writer.pointer(true); // pPartialAttrSet
  writer.pointer(false); // pPartialAttrSetEx
  writer.u32(entries.length).pointer(true); // PrefixTableDest
  if (version === 10) {
    writer.u32(0); // ulMoreFlags
  }

  writeDsName(writer, request.nc);
  if (cursors !== undefined) {
    writeUpToDateVector(writer, cursors);
  }
  writer.u32(attrTyps.length).u32(1).u32(0).u32(attrTyps.length);
  for (const attrTyp of attrTyps) {
    writer.u32(attrTyp);
  }
  writePrefixEntries(writer, entries);
  return writer.finish();
}
