/** DSNAME (MS-DRSR 5.50): an object's GUID, SID and distinguished name. */

import type { NdrReader } from '../ndr/ndr-reader.js';
import { utf16le } from '../ndr/ndr-reader.js';
import type { NdrWriter } from '../ndr/ndr-writer.js';

export interface DsName {
  /** 16 bytes, all zero when absent. From a reply: a view on it. */
  readonly guid: Uint8Array;
  /** The bytes of the SID; undefined for an object without one. From a reply: a view on it. */
  readonly sid: Uint8Array | undefined;
  /** Empty when absent. */
  readonly dn: string;
}

/** Characters of a distinguished name taken from a peer; the structure's own range ends at 10,485,761. */
const MAX_NAME = 65_536;
/** The Sid field's fixed size (NT4SID). */
const SID_SIZE = 28;
/** structLen, SidLen, Guid, Sid and NameLen. */
const FIXED_SIZE = 4 + 4 + 16 + SID_SIZE + 4;

const NO_GUID = new Uint8Array(16);

/** The referent of a DSNAME pointer. */
export function readDsName(reader: NdrReader): DsName {
  return reader.within('DSNAME', () => {
    const maxCount = reader.u32();
    reader.u32(); // structLen repeats what the counts say.
    const sidLength = reader.u32();
    if (sidLength > SID_SIZE) {
      throw reader.fail('limit', `SidLen is ${sidLength}, at most ${SID_SIZE} taken`);
    }
    const guid = reader.view(16);
    const sid = reader.view(SID_SIZE);
    const nameLength = reader.u32();
    if (nameLength > MAX_NAME) {
      throw reader.fail('limit', `NameLen is ${nameLength}, at most ${MAX_NAME} taken`);
    }
    if (maxCount !== nameLength + 1) {
      throw reader.fail('conformance', `max_count is ${maxCount}, NameLen ${nameLength} and a NUL expected`);
    }
    const dn = utf16le(reader.view(nameLength * 2));
    reader.view(2);
    return { guid, sid: sidLength === 0 ? undefined : sid.subarray(0, sidLength), dn };
  });
}

/** The referent of a DSNAME pointer. @throws RangeError when GUID or SID has a wrong size. */
export function writeDsName(writer: NdrWriter, name: Partial<DsName>): void {
  const { guid = NO_GUID, sid = NO_GUID.subarray(0, 0), dn = '' } = name;
  if (sid.length > SID_SIZE) {
    throw new RangeError(`a DSNAME's SID has at most ${SID_SIZE} bytes, not ${sid.length}`);
  }
  writer.u32(dn.length + 1);
  writer.u32(FIXED_SIZE + 2 * (dn.length + 1)).u32(sid.length);
  writer
    .guid(guid)
    .raw(sid)
    .zeros(SID_SIZE - sid.length);
  writer.u32(dn.length);
  for (let i = 0; i <= dn.length; i++) {
    writer.u16(i < dn.length ? dn.charCodeAt(i) : 0);
  }
}
