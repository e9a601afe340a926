/** USN_VECTOR, UPTODATE_VECTOR_V1_EXT and V2_EXT (MS-DRSR 5.209, 5.207, 5.208): how far a replica has come. */

import type { NdrReader } from '../ndr/ndr-reader.js';
import type { NdrWriter } from '../ndr/ndr-writer.js';

/** A DC's high-water mark; only with the invocation id of that DC does it mean anything. */
export interface UsnVector {
  readonly usnHighObjUpdate: bigint;
  /** Returned unchanged: Samba 4.17 starts the cycle over otherwise. */
  readonly usnReserved: bigint;
  readonly usnHighPropUpdate: bigint;
}

export interface UpToDateCursor {
  /** Invocation id, 16 bytes. */
  readonly uuidDsa: Uint8Array;
  readonly usnHighPropUpdate: bigint;
}

/** Cursors taken from a peer: one for each DC that the domain ever had. */
export const MAX_CURSORS = 100_000;

export const NO_USN: UsnVector = { usnHighObjUpdate: 0n, usnReserved: 0n, usnHighPropUpdate: 0n };

export function readUsnVector(reader: NdrReader): UsnVector {
  return { usnHighObjUpdate: reader.i64(), usnReserved: reader.i64(), usnHighPropUpdate: reader.i64() };
}

export function writeUsnVector(writer: NdrWriter, vector: UsnVector): void {
  writer.u64(vector.usnHighObjUpdate).u64(vector.usnReserved).u64(vector.usnHighPropUpdate);
}

/** The referent of a pUpToDateVecSrc: V2_EXT, whose cursors also carry a time, or V1_EXT. */
export function readUpToDateVector(reader: NdrReader): UpToDateCursor[] {
  return reader.within('UPTODATE_VECTOR_EXT', () => {
    const maxCount = reader.u32();
    reader.align(8);
    const dwVersion = reader.u32();
    reader.u32();
    const count = reader.u32();
    reader.u32();
    if (dwVersion !== 1 && dwVersion !== 2) {
      throw reader.fail('unsupported-version', `dwVersion is ${dwVersion}, 1 or 2 expected`);
    }
    const size = dwVersion === 2 ? 32 : 24;
    if (count !== maxCount || count > MAX_CURSORS) {
      throw reader.fail('conformance', `cNumCursors is ${count}, at most ${MAX_CURSORS}, max_count ${maxCount}`);
    }
    reader.need(count * size);
    const cursors: UpToDateCursor[] = [];
    for (let i = 0; i < count; i++) {
      cursors.push({ uuidDsa: new Uint8Array(reader.guid()), usnHighPropUpdate: reader.i64() });
      if (dwVersion === 2) {
        reader.view(8); // timeLastSyncSuccess
      }
    }
    return cursors;
  });
}

/**
 * The referent of a pUpToDateVecDest: V1_EXT. The structure demands increasing uuidDsa: the cursors go back in the
 * order in which a server sent them, which is that.
 */
export function writeUpToDateVector(writer: NdrWriter, cursors: readonly UpToDateCursor[]): void {
  writer.u32(cursors.length).align(8);
  writer.u32(1).u32(0).u32(cursors.length).u32(0);
  for (const { uuidDsa, usnHighPropUpdate } of cursors) {
    writer.guid(uuidDsa).u64(usnHighPropUpdate);
  }
}
