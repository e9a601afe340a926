import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeEptMapReply, EPM_INTERFACE, mapTcpPort } from '#src/protocol/epm/endpoint-mapper.js';
import { decodeTower, encodeTcpTower } from '#src/protocol/epm/tower.js';
import { ProtocolError } from '#src/protocol/errors.js';
import { RpcClient } from '#src/protocol/rpc/rpc-client.js';
import { bindAck, response, SimulatedTransport, unhex } from '../rpc/simulated-server.js';

const DRSUAPI = { uuid: 'e3514235-4b06-11d1-ab04-00c04fc2dcd2', major: 4, minor: 0 };
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

// C706 appendix L and I, by hand: five floors, the first two UUIDs with versions, then RPC, TCP (big-endian port), IP.
const tower = (port: string, address: string) =>
  [
    '0500',
    '1300 0d 354251e3064bd111ab0400c04fc2dcd2 0400 0200 0000',
    '1300 0d 045d888aeb1cc9119fe808002b104860 0200 0200 0000',
    '0100 0b 0200 0000',
    `0100 07 0200 ${port}`,
    `0100 09 0400 ${address}`,
  ]
    .join('')
    .replaceAll(' ', '');

/** entry_handle, num_towers, max_count, offset, actual_count, one referent, its twr_t (75 bytes), status. */
const reply = (port: string, status = '00000000') =>
  unhex(
    `${'00'.repeat(20)} 01000000 04000000 00000000 01000000 03000000 4b000000 4b000000 ${tower(port, '7f000001')} 00 ${status}`,
  );
const NOT_REGISTERED = unhex(`${'00'.repeat(20)} 00000000 04000000 00000000 00000000 d6a0c916`);

describe('towers', () => {
  test('ours, byte for byte', () => {
    expect(hex(encodeTcpTower(DRSUAPI))).toBe(tower('0000', '00000000'));
  });

  test("the server's", () => {
    const bytes = unhex(tower('c001', '7f000001'));
    expect(decodeTower(bytes)).toEqual({ interfaceId: DRSUAPI.uuid, major: 4, port: 49_153 });
  });

  test('a named pipe has no TCP port', () => {
    const pipe = unhex(
      `0500${tower('0000', '00000000').slice(4, 104)} 01000b02000000 01000f0600 5c7069706500 010011 0200 6100`,
    );
    expect(decodeTower(pipe)).toMatchObject({ major: 4, port: undefined });
  });

  test.each([
    ['nothing', ''],
    ['floors that are not there', '0500'],
    ['a floor beyond the end', '0100ffff0d'],
    ['65535 floors', 'ffff'],
  ])('%s: refused', (_, bytes) => {
    expect(() => decodeTower(unhex(bytes))).toThrow(ProtocolError);
  });
});

describe('mapTcpPort (simulated server)', () => {
  const ask = async (stub: Uint8Array) => {
    const transport = new SimulatedTransport((bytes) => [
      bytes[2] === 11 ? bindAck(bytes[12]!) : response(bytes[12]!, stub),
    ]);
    const client = await RpcClient.connect(transport, EPM_INTERFACE);
    return { port: mapTcpPort(client, DRSUAPI), transport };
  };

  test('the port, and the request: object, tower, entry_handle, four towers at most', async () => {
    const { port, transport } = await ask(reply('c001'));
    expect(await port).toBe(49_153);
    const request = hex(transport.sent[1]!.subarray(24));
    expect(request).toBe(
      `00000200${'00'.repeat(16)}04000200${'4b000000'.repeat(2)}${tower('0000', '00000000')}00${'00'.repeat(20)}04000000`,
    );
  });

  test.each([
    ['not registered', NOT_REGISTERED, 'endpoint-not-registered'],
    ['port 0', reply('0000'), 'endpoint-not-registered'],
    ['another interface', unhex(hex(reply('c001')).replace('354251e3', '354251e4')), 'endpoint-not-registered'],
    ['another status', reply('c001', '05000000'), 'epm-failed'],
    ['more towers than asked for', unhex(`${'00'.repeat(20)} 05000000 05000000 00000000 05000000`), 'conformance'],
    ['actual_count above max_count', unhex(`${'00'.repeat(20)} 02000000 01000000 00000000 02000000`), 'conformance'],
    ['a tower of 4 GiB', unhex(`${'00'.repeat(20)} 01000000 04000000 00000000 01000000 03000000 ffffffff`), 'limit'],
    ['lengths that differ', unhex(hex(reply('c001')).replace('4b0000004b', '4b0000004a')), 'conformance'],
    ['an empty reply', new Uint8Array(0), 'truncated'],
  ])('%s', async (_, stub, code) => {
    const { port } = await ask(stub);
    await expect(port).rejects.toMatchObject({ name: 'ProtocolError', code });
  });
});

test('fuzz: only ProtocolErrors from towers and replies', () => {
  const whole = reply('c001');
  const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 });
  const changed = changes.map((list) => {
    const bytes = whole.slice();
    for (const [at, byte] of list) {
      bytes[at] = byte;
    }
    return bytes;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), changed), fc.nat(120), (bytes, length) => {
      for (const decode of [decodeEptMapReply, decodeTower]) {
        for (const input of [bytes, bytes.subarray(0, length)]) {
          try {
            decode(input);
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
        }
      }
    }),
    { numRuns: 2000 },
  );
});
