/** Protocol towers: what interface, over which protocols, at which address (C706 appendix L; MS-RPCE 2.2.1.2). */

import { guidFromText, guidToText } from '../dtyp/guid.js';
import { NdrReader } from '../ndr/ndr-reader.js';
import { NdrWriter } from '../ndr/ndr-writer.js';
import { NDR, type Syntax } from '../rpc/bind-pdus.js';

/** Protocol identifiers, the first byte of a floor's left-hand side (C706 appendix I). */
const Protocol = { tcp: 0x07, ip: 0x09, connectionOriented: 0x0b, uuid: 0x0d } as const;
/** Five in a TCP tower; named pipes and HTTP have no more than six. */
const MAX_FLOORS = 16;

/** A tower that asks for `syntax` over NDR and TCP, port and address left open. */
export function encodeTcpTower(syntax: Syntax): Uint8Array {
  const writer = new NdrWriter(128);
  // Floors are packed: lengths stand at any offset, byte by byte.
  const u16 = (value: number) => writer.u8(value & 0xff).u8(value >>> 8);
  u16(5);
  for (const { uuid, major, minor } of [syntax, NDR]) {
    u16(19);
    writer.u8(Protocol.uuid).raw(guidFromText(uuid));
    u16(major);
    u16(2);
    u16(minor);
  }
  for (const [protocol, size] of [
    [Protocol.connectionOriented, 2],
    [Protocol.tcp, 2],
    [Protocol.ip, 4],
  ] as const) {
    u16(1);
    writer.u8(protocol);
    u16(size);
    writer.zeros(size);
  }
  return writer.finish();
}

export interface Tower {
  /** UUID and major version of the first floor; undefined when that floor is something else. */
  readonly interfaceId: string | undefined;
  readonly major: number | undefined;
  /** TCP port, where a floor names one. */
  readonly port: number | undefined;
}

/** @throws ProtocolError when a floor overruns the tower. */
export function decodeTower(bytes: Uint8Array): Tower {
  const reader = new NdrReader(bytes, 'tower');
  const u16 = () => reader.u8() | (reader.u8() << 8);
  const floors = u16();
  if (floors > MAX_FLOORS) {
    throw reader.fail('limit', `${floors} floors, at most ${MAX_FLOORS} taken`);
  }
  let interfaceId: string | undefined;
  let major: number | undefined;
  let port: number | undefined;
  for (let floor = 0; floor < floors; floor++) {
    const left = reader.view(u16());
    const right = reader.view(u16());
    if (floor === 0 && left[0] === Protocol.uuid && left.length === 19) {
      interfaceId = guidToText(left.subarray(1, 17));
      major = left[17]! | (left[18]! << 8);
    }
    if (left[0] === Protocol.tcp && right.length === 2) {
      // Ports are in network order.
      port = (right[0]! << 8) | right[1]!;
    }
  }
  return { interfaceId, major, port };
}
