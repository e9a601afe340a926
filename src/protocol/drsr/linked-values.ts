/** REPLVALINF_V1 and _V3 (MS-DRSR 5.166, 5.167): values of forward links, which replicate one by one. */

import type { NdrReader } from '../ndr/ndr-reader.js';
import { type DsName, readDsName } from './dsname.js';

export interface LinkedValue {
  /** The object that holds the link. */
  readonly object: DsName;
  readonly attrTyp: number;
  /** A view; undefined when not sent. */
  readonly value: Uint8Array | undefined;
  /** False: the link was removed. */
  readonly isPresent: boolean;
}

/** The range of cNumValues. */
export const MAX_LINKED_VALUES = 1_048_576;
const MAX_VALUE_SIZE = 26_214_400;
/** V3's VALUE_META_DATA_EXT is longer: three unused DWORDs, padding, timeExpired. */
const SIZES = { 6: 72, 9: 96 } as const;

/** The array behind rgValues; V6 holds REPLVALINF_V1, V9 holds REPLVALINF_V3. */
export function readLinkedValues(reader: NdrReader, count: number, version: 6 | 9): LinkedValue[] {
  return reader.within(version === 6 ? 'REPLVALINF_V1' : 'REPLVALINF_V3', () => {
    const size = SIZES[version];
    const maxCount = reader.u32();
    if (maxCount !== count) {
      throw reader.fail('conformance', `rgValues: max_count is ${maxCount}, cNumValues ${count}`);
    }
    if (count === 0) {
      // No element, no padding for it.
      return [];
    }
    reader.align(8);
    reader.need(count * size);
    const start = reader.offset;
    const end = start + count * size;
    const view = new DataView(reader.bytes.buffer, reader.bytes.byteOffset, reader.bytes.byteLength);
    reader.offset = end;
    const values: LinkedValue[] = [];
    for (let at = start; at < end; at += size) {
      if (view.getUint32(at, true) === 0) {
        throw reader.fail('null-pointer', `linked value ${values.length}: pObject is null`);
      }
      const valLen = view.getUint32(at + 8, true);
      const present = view.getUint32(at + 12, true) !== 0;
      if (valLen > MAX_VALUE_SIZE || (valLen > 0 && !present)) {
        throw reader.fail(
          valLen > MAX_VALUE_SIZE ? 'limit' : 'null-pointer',
          `linked value ${values.length}: valLen is ${valLen}, at most ${MAX_VALUE_SIZE}, and pVal set, expected`,
        );
      }
      const object = readDsName(reader);
      let value: Uint8Array | undefined;
      if (present) {
        reader.conformance('pVal', valLen, 1);
        value = reader.view(valLen);
      }
      values.push({
        object,
        attrTyp: view.getUint32(at + 4, true),
        value,
        isPresent: view.getUint32(at + 16, true) !== 0,
      });
    }
    return values;
  });
}
