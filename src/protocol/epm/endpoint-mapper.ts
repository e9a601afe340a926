/** Endpoint mapper client: ept_map, opnum 3 (C706 appendix O; MS-RPCE 2.2.1.2.5). */

import { ProtocolError } from '../errors.js';
import { NdrReader } from '../ndr/ndr-reader.js';
import { NdrWriter } from '../ndr/ndr-writer.js';
import type { Syntax } from '../rpc/bind-pdus.js';
import type { RpcClient } from '../rpc/rpc-client.js';
import { decodeTower, encodeTcpTower, type Tower } from './tower.js';

/** Where the endpoint mapper itself listens. */
export const EPM_PORT = 135;
/** The interface to bind, without authentication. */
export const EPM_INTERFACE = { interfaceId: 'e1af8308-5d1f-11c9-91a4-08002b14a0fa', version: 3 } as const;

const EPT_MAP = 3;
const EPT_S_NOT_REGISTERED = 0x16c9_a0d6;
const MAX_TOWERS = 4;
const MAX_TOWER_SIZE = 1024;

/**
 * The TCP port at which the server offers the interface.
 *
 * @param client bound to `EPM_INTERFACE` at `EPM_PORT`
 * @throws ProtocolError `endpoint-not-registered`, `epm-failed`, or what a malformed reply is
 * @example
 * const client = await RpcClient.connect(transport, EPM_INTERFACE);
 * const port = await mapTcpPort(client, { uuid: 'e3514235-4b06-11d1-ab04-00c04fc2dcd2', major: 4, minor: 0 });
 */
export async function mapTcpPort(client: RpcClient, syntax: Syntax): Promise<number> {
  const { towers, status } = decodeEptMapReply(await client.request(EPT_MAP, encodeEptMap(syntax)));
  const what = `interface ${syntax.uuid} v${syntax.major}.${syntax.minor}`;
  if (status !== 0 && status !== EPT_S_NOT_REGISTERED) {
    throw new ProtocolError('epm-failed', `the endpoint mapper failed for ${what}: 0x${status.toString(16)}`, {
      status,
    });
  }
  const port = towers.find(
    (tower) => tower.port && tower.interfaceId === syntax.uuid.toLowerCase() && tower.major === syntax.major,
  )?.port;
  if (port === undefined) {
    throw new ProtocolError(
      'endpoint-not-registered',
      `the endpoint mapper knows no TCP port for ${what}: is this a domain controller, and its service running?`,
      { status },
    );
  }
  return port;
}

function encodeEptMap(syntax: Syntax): Uint8Array {
  const tower = encodeTcpTower(syntax);
  const writer = new NdrWriter(256);
  // object: null UUID behind a pointer, as every client sends it.
  writer.pointer(true).zeros(16);
  writer.pointer(true).u32(tower.length).u32(tower.length).raw(tower).align(4);
  // entry_handle: none yet.
  return writer.zeros(20).u32(MAX_TOWERS).finish();
}

/** @throws ProtocolError when it is malformed or has more than was asked for. */
export function decodeEptMapReply(stub: Uint8Array): { readonly towers: Tower[]; readonly status: number } {
  const reader = new NdrReader(stub, 'ept_map reply');
  reader.view(20);
  const count = reader.u32();
  const max = reader.u32();
  const offset = reader.u32();
  const actual = reader.u32();
  if (count > MAX_TOWERS || max > MAX_TOWERS || offset !== 0 || actual !== count || actual > max) {
    throw reader.fail(
      'conformance',
      `num_towers ${count}, max_count ${max}, offset ${offset}, actual_count ${actual}; ${MAX_TOWERS} were asked for`,
    );
  }
  const present = Array.from({ length: count }, () => reader.pointer());
  const towers: Tower[] = [];
  for (const there of present) {
    if (there) {
      reader.align(4);
      const size = reader.count('max_count of twr_t', MAX_TOWER_SIZE, 1);
      const length = reader.u32();
      if (length !== size) {
        throw reader.fail('conformance', `tower_length is ${length}, max_count ${size}`);
      }
      towers.push(decodeTower(reader.view(length)));
    }
  }
  return { towers, status: reader.u32() };
}
