/** AV_PAIR lists: the TargetInfo of CHALLENGE_MESSAGE and of NTLMv2_CLIENT_CHALLENGE (MS-NLMP 2.2.2.1). */

import { NdrReader } from '../../ndr/ndr-reader.js';

export const AvId = {
  eol: 0,
  nbComputerName: 1,
  nbDomainName: 2,
  flags: 6,
  timestamp: 7,
  targetName: 9,
  channelBindings: 10,
} as const;

/** MsvAvFlags: the AUTHENTICATE_MESSAGE carries a MIC. */
export const AV_FLAG_MIC = 0x2;

export interface AvPair {
  readonly id: number;
  readonly value: Uint8Array;
}

/** The pairs before MsvAvEOL, as views. @throws ProtocolError when a pair overruns or MsvAvEOL is missing. */
export function parseAvPairs(bytes: Uint8Array): AvPair[] {
  const reader = new NdrReader(bytes, 'AV_PAIR');
  const pairs: AvPair[] = [];
  for (;;) {
    // Byte by byte: AV_PAIRs are not aligned, and u16() would align.
    const id = reader.u8() | (reader.u8() << 8);
    const length = reader.u8() | (reader.u8() << 8);
    if (id === AvId.eol) {
      return pairs;
    }
    const expected = id === AvId.flags ? 4 : id === AvId.timestamp ? 8 : length;
    if (length !== expected) {
      throw reader.fail('malformed', `AvId ${id} has AvLen ${length}, expected ${expected}`);
    }
    pairs.push({ id, value: reader.view(length) });
  }
}

export function findAvPair(pairs: readonly AvPair[], id: number): Uint8Array | undefined {
  return pairs.find((pair) => pair.id === id)?.value;
}

/** The pairs and MsvAvEOL. @throws RangeError for a value above 65535 bytes. */
export function encodeAvPairs(pairs: readonly AvPair[]): Uint8Array {
  const bytes = new Uint8Array(pairs.reduce((size, pair) => size + 4 + pair.value.length, 4));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { id, value } of pairs) {
    if (value.length > 0xffff) {
      throw new RangeError(`an AV_PAIR value has at most 65535 bytes, not ${value.length}`);
    }
    view.setUint16(at, id, true);
    view.setUint16(at + 2, value.length, true);
    bytes.set(value, at + 4);
    at += 4 + value.length;
  }
  return bytes;
}
