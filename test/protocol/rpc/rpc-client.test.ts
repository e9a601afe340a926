import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProtocolError } from '#src/protocol/errors.js';
import { RpcClient } from '#src/protocol/rpc/rpc-client.js';
import type { SecurityContext } from '#src/protocol/rpc/security-context.js';
import { MessageStream } from '#src/protocol/ssp/ntlm/message-stream.js';
import { NtlmContext } from '#src/protocol/ssp/ntlm/ntlm-context.js';
import {
  type BindAckFields,
  bindAck,
  fault,
  pdu,
  response,
  type Script,
  SimulatedTransport,
  sealedResponse,
  serverStream,
  unhex,
} from './simulated-server.js';

const INTERFACE = { interfaceId: 'e3514235-4b06-11d1-ab04-00c04fc2dcd2', version: 4 };
const KEY = new Uint8Array(16).fill(0x55);
// MS-NLMP 4.2.4's CHALLENGE_MESSAGE.
const CHALLENGE = unhex(
  '4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef00000000000000002400240044000000' +
    '060070170000000f53006500720076006500720002000c0044006f006d00610069006e0001000c0053006500720076006500720000000000',
);

const ntlm = () =>
  new NtlmContext({
    user: 'User',
    domain: 'Domain',
    password: 'Password',
    random: (n) => new Uint8Array(n).fill(0x55),
    now: () => new Date(0),
  });

const u16 = (bytes: Uint8Array, at: number) => bytes[at]! | (bytes[at + 1]! << 8);
const typeOf = (bytes: Uint8Array) => bytes[2];
const callIdOf = (bytes: Uint8Array) => u16(bytes, 12);
const isLast = (bytes: Uint8Array) => (bytes[3]! & 2) !== 0;

async function errorOf(promise: Promise<unknown>): Promise<ProtocolError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ProtocolError);
  return error as ProtocolError;
}

/** Binds without security against a server that answers each whole request by `answer`. */
async function plain(answer: Script, pieceSize = 0, maxReplyBytes?: number) {
  const transport = new SimulatedTransport((bytes, index) => {
    if (typeOf(bytes) === 11) return [bindAck(callIdOf(bytes))];
    return isLast(bytes) ? answer(bytes, index) : [];
  }, pieceSize);
  const options = maxReplyBytes === undefined ? INTERFACE : { ...INTERFACE, maxReplyBytes };
  return { transport, client: await RpcClient.connect(transport, options) };
}

/** Binds with NTLM against a server that answers each whole request with what `answer` seals. */
async function secured(answer: (stream: MessageStream, callId: number) => readonly Uint8Array[], maxRecv = 5840) {
  const stream = serverStream(KEY);
  const transport = new SimulatedTransport((bytes) => {
    if (typeOf(bytes) === 11) return [bindAck(callIdOf(bytes), { token: CHALLENGE, maxRecv })];
    return typeOf(bytes) === 0 && isLast(bytes) ? answer(stream, callIdOf(bytes)) : [];
  });
  return { transport, client: await RpcClient.connect(transport, { ...INTERFACE, security: ntlm() }) };
}

describe('bind (simulated server)', () => {
  test('the bytes of an unauthenticated bind', async () => {
    const { transport } = await plain(() => []);
    // C706 12.6.4.3, by hand; flags: first and last fragment, concurrent multiplexing.
    expect(Buffer.from(transport.sent[0]!).toString('hex')).toBe(
      '05000b13 10000000 4800 0000 01000000 d016 d016 00000000 01000000 0000 0100'.replaceAll(' ', '') +
        '354251e3064bd111ab0400c04fc2dcd204000000045d888aeb1cc9119fe808002b10486002000000',
    );
  });

  test('NTLM: header signing asked for, auth3 as third leg', async () => {
    const { transport, client } = await secured(() => []);
    const [bind, auth3] = transport.sent as [Uint8Array, Uint8Array];
    expect([typeOf(bind), bind[3]]).toEqual([11, 0x17]);
    expect(u16(bind, 10)).toBe(40);
    expect(Array.from(bind.subarray(72, 80))).toEqual([10, 6, 0, 0, 1, 0, 0, 0]);
    expect([typeOf(auth3), callIdOf(auth3)]).toEqual([16, callIdOf(bind)]);
    expect(transport.sent).toHaveLength(2);
    expect(client.sessionKey()).toEqual(KEY);
  });

  test('a context that expects an answer gets alter_context, until it is complete', async () => {
    class SimulatedContext implements SecurityContext {
      readonly authType = 9;
      readonly signatureSize = 16;
      complete = false;
      readonly taken: (string | undefined)[] = [];
      async step(token: Uint8Array | undefined): Promise<Uint8Array | undefined> {
        this.taken.push(token && Buffer.from(token).toString());
        this.complete = this.taken.length === 4;
        return this.complete ? undefined : Uint8Array.of(this.taken.length);
      }
      seal(): Uint8Array {
        return new Uint8Array(16);
      }
      unseal(): void {}
      sessionKey(): Uint8Array {
        return KEY;
      }
      dispose(): void {}
    }
    const security = new SimulatedContext();
    const transport = new SimulatedTransport((bytes, index) => [
      bindAck(callIdOf(bytes), { type: index === 0 ? 12 : 15, authType: 9, token: Buffer.from(`leg ${index}`) }),
    ]);
    await RpcClient.connect(transport, { ...INTERFACE, security });
    expect(security.taken).toEqual([undefined, 'leg 0', 'leg 1', 'leg 2']);
    expect(transport.sent.map(typeOf)).toEqual([11, 14, 14]);

    const endless = new SimulatedContext();
    Object.defineProperty(endless, 'complete', { get: () => false, set: () => undefined });
    endless.step = async () => Uint8Array.of(1);
    const again = new SimulatedTransport((bytes, index) => [
      bindAck(callIdOf(bytes), { type: index === 0 ? 12 : 15, authType: 9, token: Uint8Array.of(1) }),
    ]);
    const error = await errorOf(RpcClient.connect(again, { ...INTERFACE, security: endless }));
    expect(error.code).toBe('limit');
  });

  const ack = (fields: BindAckFields) => (id: number) => bindAck(id, { token: CHALLENGE, ...fields });
  test.each<[string, string, (id: number) => Uint8Array]>([
    ['bind_nak: protocol version', 'bind-refused', (callId) => pdu({ type: 13, callId, body: unhex('0400 01 0500') })],
    ['bind_nak: invalid checksum', 'logon-failure', (callId) => pdu({ type: 13, callId, body: unhex('0900 00') })],
    ['bind_nak cut off', 'truncated', (callId) => pdu({ type: 13, callId, body: unhex('09') })],
    ['fault: access denied', 'logon-failure', (callId) => fault(callId, 5)],
    ['fault: too busy', 'bind-refused', (callId) => fault(callId, 0x1c010014)],
    ['abstract syntax not supported', 'interface-unknown', ack({ result: 2, reason: 1 })],
    ['transfer syntax not supported', 'bind-refused', ack({ result: 2, reason: 2 })],
    ['another transfer syntax', 'malformed', ack({ syntax: '33057171babe37498319b5dbef9ccc3601000000' })],
    ['two results', 'malformed', ack({ results: 2 })],
    ['tiny fragments', 'malformed', ack({ maxRecv: 1000 })],
    ['no header signing', 'weak-security', ack({ flags: 3 })],
    ['another auth_type', 'malformed', ack({ authType: 9 })],
    ['no token', 'malformed', (id) => bindAck(id)],
    ['another call', 'malformed', (id) => bindAck(id + 1, { token: CHALLENGE })],
    ['a response', 'malformed', (id) => response(id, new Uint8Array(4))],
    ['shutdown', 'connection-closed', () => pdu({ type: 17, callId: 0, body: unhex('') })],
    ['big-endian', 'data-representation', (callId) => pdu({ type: 12, callId, drep: 0, body: unhex('') })],
    ['another protocol', 'not-rpc', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    [
      'auth_length beyond the PDU',
      'malformed',
      (callId) => pdu({ type: 12, callId, authLength: 500, body: unhex('') }),
    ],
    [
      'frag_length below the header',
      'malformed',
      (callId) => pdu({ type: 12, callId, fragLength: 15, body: unhex('') }),
    ],
    [
      'frag_length beyond what was agreed',
      'limit',
      (callId) => pdu({ type: 12, callId, fragLength: 5841, body: unhex('') }),
    ],
  ])('%s → %s', async (_, code, answer) => {
    const transport = new SimulatedTransport((bytes) => [answer(callIdOf(bytes))]);
    const security = ntlm();
    const error = await errorOf(RpcClient.connect(transport, { ...INTERFACE, security }));
    expect(error.code).toBe(code);
    // A failed connect ends what it was given.
    expect(transport.closed).toBe(true);
    expect(() => security.sessionKey()).toThrow(ProtocolError);
  });

  test('the peer closes instead of an answer, or within one', async () => {
    const silent = await errorOf(RpcClient.connect(new SimulatedTransport(() => 'close'), INTERFACE));
    expect(silent.code).toBe('connection-closed');
    const half = new SimulatedTransport((bytes) => [bindAck(callIdOf(bytes)).subarray(0, 30)]);
    const connecting = errorOf(RpcClient.connect(half, INTERFACE));
    setTimeout(() => half.close(), 10);
    expect((await connecting).message).toContain('in the middle of a PDU');
  });
});

describe('calls without security (simulated server)', () => {
  const stub = Uint8Array.from({ length: 10_007 }, (_, i) => i % 251);

  test.each([0, 1, 7, 4096])('a reply in fragments, delivered in pieces of %i bytes', async (pieceSize) => {
    const { client } = await plain((bytes) => {
      const callId = callIdOf(bytes);
      return [
        response(callId, stub.subarray(0, 5000), 1),
        response(callId, stub.subarray(5000, 10_000), 0),
        response(callId, stub.subarray(10_000), 2),
      ];
    }, pieceSize);
    expect(await client.request(7, new Uint8Array(3))).toEqual(stub);
  });

  test('several PDUs in one piece', async () => {
    const { client } = await plain((bytes) => [
      Buffer.concat([
        response(callIdOf(bytes), stub.subarray(0, 100), 1),
        response(callIdOf(bytes), stub.subarray(100, 120), 2),
      ]),
    ]);
    expect(await client.request(7, new Uint8Array(3))).toEqual(stub.subarray(0, 120));
  });

  test.each([0, 1, 5816, 5817, 20_000])('a request of %i bytes is cut into fragments that fit', async (size) => {
    const { client, transport } = await plain((bytes) => [response(callIdOf(bytes), Uint8Array.of(1, 2))]);
    await client.request(9, stub.length < size ? new Uint8Array(size).fill(3) : stub.subarray(0, size));
    const fragments = transport.sent.slice(1);
    let left = size;
    for (const [i, fragment] of fragments.entries()) {
      expect(fragment.length).toBeLessThanOrEqual(5840);
      expect(u16(fragment, 8)).toBe(fragment.length);
      expect(fragment[3]).toBe((i === 0 ? 1 : 0) | (i === fragments.length - 1 ? 2 : 0));
      expect(u16(fragment, 22)).toBe(9);
      expect(u16(fragment, 16)).toBe(left & 0xffff);
      left -= fragment.length - 24;
    }
    expect(left).toBe(0);
  });

  test('calls asked for at once go out one after another', async () => {
    const { client, transport } = await plain((bytes) => [response(callIdOf(bytes), Uint8Array.of(bytes[22]!))]);
    const replies = await Promise.all([1, 2, 3].map((opnum) => client.request(opnum, new Uint8Array(0))));
    expect(replies.map((reply) => reply[0])).toEqual([1, 2, 3]);
    expect(transport.sent.slice(1).map(callIdOf)).toEqual([2, 3, 4]);
  });

  describe('where the server agrees to concurrent multiplexing', () => {
    /** A server that answers nothing by itself. */
    async function multiplexed(flags = 0x13) {
      const transport = new SimulatedTransport((bytes) =>
        typeOf(bytes) === 11 ? [bindAck(callIdOf(bytes), { flags })] : [],
      );
      const client = await RpcClient.connect(transport, INTERFACE);
      const settled = () => new Promise((resolve) => setImmediate(resolve));
      const asked = () => transport.sent.slice(1).map(callIdOf);
      const answer = (...pdus: Uint8Array[]) => {
        transport.deliver(...pdus);
        return settled();
      };
      return { client, transport, asked, answer, settled };
    }
    const part = (callId: number, byte: number, flags: number) => response(callId, Uint8Array.of(byte), flags);
    const none = new Uint8Array(0);

    test('a call goes out once the one before it has begun to be answered, and no third one', async () => {
      const { client, asked, answer, settled } = await multiplexed();
      const replies = [1, 2, 3].map((opnum) => client.request(opnum, none));
      await settled();
      expect(asked()).toEqual([2]);
      await answer(part(2, 1, 1));
      expect(asked()).toEqual([2, 3]);
      await answer(part(3, 3, 1));
      expect(asked()).toEqual([2, 3]);
      // Replies in turns, as two threads of a server may write them; the later call is answered first.
      await answer(part(2, 2, 0), part(3, 4, 2));
      expect(await replies[1]).toEqual(Uint8Array.of(3, 4));
      expect(asked()).toEqual([2, 3, 4]);
      await answer(part(2, 5, 2), part(4, 6, 3));
      expect(await replies[0]).toEqual(Uint8Array.of(1, 2, 5));
      expect(await replies[2]).toEqual(Uint8Array.of(6));
    });

    test('what asks from within the first fragment of a reply is asked while the rest is on its way', async () => {
      const { client, asked, answer } = await multiplexed();
      const told: number[][] = [];
      let second: Promise<Uint8Array> | undefined;
      const first = client.request(1, none, (begin) => {
        told.push([...begin]);
        second = client.request(2, none);
      });
      await answer(part(2, 1, 1));
      expect(asked()).toEqual([2, 3]);
      await answer(part(2, 2, 0), part(2, 3, 2), part(3, 4, 3));
      expect([await first, await second]).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(4)]);
      expect(told).toEqual([[1]]);
    });

    test('where it does not, the call waits for the whole reply, and then not for who reads it', async () => {
      const { client, asked, answer } = await multiplexed(3);
      const order: string[] = [];
      const first = client.request(1, none).then(() => order.push(`read, ${asked().length} asked`));
      const second = client.request(2, none);
      await answer(part(2, 1, 1));
      expect(asked()).toEqual([2]);
      await answer(part(2, 2, 2), part(3, 3, 3));
      await Promise.all([first, second]);
      expect(order).toEqual(['read, 2 asked']);
    });

    test('a fault to one call leaves the other one be; a reply to neither ends both', async () => {
      const { client, answer } = await multiplexed();
      const first = client.request(1, none);
      const second = errorOf(client.request(2, none));
      await answer(part(2, 1, 1), fault(3, 0x1c010002));
      expect(await second).toMatchObject({ code: 'rpc-fault', status: 0x1c010002 });
      await answer(part(2, 2, 2));
      expect(await first).toEqual(Uint8Array.of(1, 2));
      const both = [client.request(1, none), client.request(2, none)].map(errorOf);
      const waiting = errorOf(client.request(3, none));
      await answer(part(4, 1, 1), part(9, 1, 3));
      for (const error of await Promise.all(both)) {
        expect(error).toMatchObject({ code: 'malformed', message: 'call_id 9 answered, 4 or 5 was asked' });
      }
      expect((await waiting).code).toBe('connection-dead');
    });
  });

  test('a fault names itself, and the connection goes on', async () => {
    const { client } = await plain((bytes) =>
      bytes[22] === 99 ? [fault(callIdOf(bytes), 0x1c010002)] : [response(callIdOf(bytes), Uint8Array.of(1))],
    );
    const error = await errorOf(client.request(99, new Uint8Array(0)));
    expect(error).toMatchObject({ code: 'rpc-fault', status: 0x1c010002 });
    expect(error.message).toContain('nca_s_op_rng_error');
    expect(await client.request(1, new Uint8Array(0))).toEqual(Uint8Array.of(1));
  });

  test.each<[string, string, (id: number) => Uint8Array[]]>([
    ['another call_id', 'malformed', (id) => [response(id + 1, Uint8Array.of(1))]],
    ['a first fragment without PFC_FIRST_FRAG', 'malformed', (id) => [response(id, Uint8Array.of(1), 2)]],
    [
      'two first fragments',
      'malformed',
      (id) => [response(id, Uint8Array.of(1), 1), response(id, Uint8Array.of(1), 3)],
    ],
    ['a bind_ack', 'malformed', (id) => [bindAck(id)]],
    ['a response without its header', 'truncated', (callId) => [pdu({ type: 2, callId, body: unhex('00000000') })]],
    [
      'a fault without its status',
      'truncated',
      (callId) => [pdu({ type: 3, callId, body: unhex('0000000000000000') })],
    ],
  ])('%s → %s, and the client is dead', async (_, code, answer) => {
    const { client, transport } = await plain((bytes) => answer(callIdOf(bytes)));
    const first = client.request(1, new Uint8Array(0));
    const second = client.request(1, new Uint8Array(0));
    const error = await errorOf(first);
    expect(error.code).toBe(code);
    expect(await errorOf(second)).toMatchObject({ code: 'connection-dead', cause: error });
    expect(transport.closed).toBe(true);
  });

  test('a reply above the limit, by size and by crumbs', async () => {
    const big = new Uint8Array(5000);
    const flood = await plain(
      (bytes) => [1, 0, 0, 0, 2].map((flags) => response(callIdOf(bytes), big, flags)),
      0,
      20_000,
    );
    expect((await errorOf(flood.client.request(1, big))).code).toBe('limit');
    // Fragments of no bytes at all never reach a limit of bytes.
    const crumbs = Array.from({ length: 100 }, (_, i) => i);
    const { client } = await plain(
      (bytes) => crumbs.map((i) => response(callIdOf(bytes), new Uint8Array(0), i === 0 ? 1 : 0)),
      0,
      20_000,
    );
    expect((await errorOf(client.request(1, big))).code).toBe('limit');
  });

  test('close ends a running call', async () => {
    const { client } = await plain(() => []);
    const running = errorOf(client.request(1, new Uint8Array(0)));
    await new Promise((resolve) => setTimeout(resolve, 5));
    client.close();
    expect((await running).code).toBe('connection-closed');
    expect((await errorOf(client.request(1, new Uint8Array(0)))).code).toBe('connection-dead');
  });
});

describe('calls at packet privacy (simulated server)', () => {
  const stub = Uint8Array.from({ length: 6007 }, (_, i) => i % 251);

  test.each([0, 1, 15, 16, 17, 5776, 5777, 20_000])('a request of %i bytes opens at the server', async (size) => {
    const { client, transport } = await secured((stream, id) => [sealedResponse(stream, id, Uint8Array.of(1))]);
    const sent = Uint8Array.from({ length: size }, (_, i) => (i * 7) % 251);
    await client.request(3, sent);
    const server = new MessageStream(KEY, 'client-to-server', true);
    const opened: number[] = [];
    for (const fragment of transport.sent.slice(2)) {
      expect(fragment.length).toBeLessThanOrEqual(5840);
      const signedTo = fragment.length - 16;
      const trailer = signedTo - 8;
      const signature = fragment.slice(signedTo);
      expect(Array.from(fragment.subarray(trailer, trailer + 2))).toEqual([10, 6]);
      expect((trailer - 24) % 16).toBe(0);
      expect(server.unseal(fragment, 24, trailer, signedTo)).toEqual(signature);
      opened.push(...fragment.subarray(24, trailer - fragment[trailer + 2]!));
    }
    expect(Uint8Array.from(opened)).toEqual(sent);
  });

  test('a reply in sealed fragments', async () => {
    const { client } = await secured((stream, id) => [
      sealedResponse(stream, id, stub.subarray(0, 4000), 1),
      sealedResponse(stream, id, stub.subarray(4000), 2),
    ]);
    expect(await client.request(3, new Uint8Array(3))).toEqual(stub);
    expect(await client.request(3, new Uint8Array(3))).toEqual(stub);
  });

  test('any changed byte of a sealed fragment is found', async () => {
    const length = 24 + 16 + 8 + 16;
    for (let at = 0; at < length; at++) {
      const { client } = await secured((stream, id) => {
        const bytes = sealedResponse(stream, id, stub.subarray(0, 13));
        bytes[at]! ^= 0x80;
        // What makes the client wait for more: the length, which it must believe until it has all.
        return at === 8 || at === 9 ? [bytes, new Uint8Array(40_000)] : [bytes];
      });
      const error = await errorOf(client.request(3, new Uint8Array(3)));
      expect(error.code, `byte ${at}: ${error.message}`).not.toBe('rpc-fault');
      client.close();
    }
  });

  test.each<[string, string, (stream: MessageStream, id: number) => Uint8Array[]]>([
    ['without signature', 'unprotected', (_, id) => [response(id, stub.subarray(0, 16))]],
    ['by another mechanism', 'malformed', (stream, id) => [sealedResponse(stream, id, stub.subarray(0, 16), 3, 2, 9)]],
    [
      'fragments swapped',
      'bad-signature',
      (stream, id) => {
        const first = sealedResponse(stream, id, stub.subarray(0, 16), 1);
        const second = sealedResponse(stream, id, stub.subarray(16, 32), 1);
        return [second, first];
      },
    ],
    [
      'a fragment twice',
      'bad-signature',
      (stream, id) => {
        const first = sealedResponse(stream, id, stub.subarray(0, 16), 1);
        const second = sealedResponse(stream, id, stub.subarray(16, 32), 0);
        return [first, second, second.slice()];
      },
    ],
    [
      'more padding than stub',
      'malformed',
      (stream, id) => {
        const bytes = sealedResponse(stream, id, stub.subarray(0, 16));
        bytes[24 + 16 + 2] = 17;
        return [bytes];
      },
    ],
  ])('%s → %s', async (_, code, answer) => {
    const { client, transport } = await secured(answer);
    expect((await errorOf(client.request(3, new Uint8Array(3)))).code).toBe(code);
    expect(transport.closed).toBe(true);
  });

  test('the first call after auth3 tells whether the logon was taken', async () => {
    for (const status of [5, 0x721, 0x1c01000b]) {
      const { client, transport } = await secured((_, id) => [fault(id, status)]);
      expect(await errorOf(client.request(0, stub))).toMatchObject({ code: 'logon-failure', status });
      expect(transport.closed).toBe(true);
    }
    let calls = 0;
    const { client } = await secured((stream, id) =>
      calls++ === 0 ? [sealedResponse(stream, id, Uint8Array.of(1))] : [fault(id, 5)],
    );
    await client.request(0, stub);
    expect(await errorOf(client.request(0, stub))).toMatchObject({ code: 'rpc-fault', status: 5 });
  });

  test('a fault with a signature moves the streams on; a forged one ends the connection', async () => {
    const faultStub = unhex('f7060000 00000000');
    let calls = 0;
    const make = (forge: boolean) =>
      secured((stream, id) => {
        calls += 1;
        if (calls > 1) return [sealedResponse(stream, id, Uint8Array.of(1))];
        // status and reserved2 stand in the clear before the (empty) sealed part.
        const body = new Uint8Array(8 + 8 + 8 + 16);
        body.set(faultStub, 8);
        body.set([10, 6, 0, 0, 1, 0, 0, 0], 16);
        const bytes = pdu({ type: 3, callId: id, body, authLength: 16 });
        bytes.set(stream.seal(bytes, 32, 32, 40), 40);
        if (forge) bytes[24]! ^= 1;
        return [bytes];
      });
    const { client } = await make(false);
    expect(await errorOf(client.request(0, stub))).toMatchObject({ code: 'rpc-fault', status: 0x6f7 });
    expect(await client.request(0, stub)).toEqual(Uint8Array.of(1));
    calls = 0;
    const forged = await make(true);
    expect((await errorOf(forged.client.request(0, stub))).code).toBe('rpc-fault');
    expect((await errorOf(forged.client.request(0, stub))).code).toBe('connection-dead');
  });
});

describe('fuzz (simulated server)', () => {
  const anything = fc.uint8Array({ minLength: 0, maxLength: 200 });
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 });
  const changed = (bytes: Uint8Array, list: readonly (readonly [number, number])[]) => {
    const copy = bytes.slice();
    for (const [at, byte] of list) {
      copy[at % copy.length] = byte;
    }
    return copy;
  };
  /** The answer, then the end of the stream: nothing may wait for ever. */
  const run = async (
    bindAnswer: (id: number) => Uint8Array,
    callAnswer: (id: number) => Uint8Array,
    secure: boolean,
  ) => {
    const transport = new SimulatedTransport((bytes) => {
      const type = typeOf(bytes);
      if (type === 16) return [];
      return [type === 0 ? callAnswer(callIdOf(bytes)) : bindAnswer(callIdOf(bytes))];
    });
    const receive = transport.receive.bind(transport);
    let waiting = 0;
    transport.receive = async () => {
      waiting += 1;
      return waiting > 6
        ? undefined
        : Promise.race([receive(), new Promise<undefined>((r) => setTimeout(r, 2, undefined))]);
    };
    try {
      const client = await RpcClient.connect(transport, secure ? { ...INTERFACE, security: ntlm() } : INTERFACE);
      await client.request(0, new Uint8Array(8));
      client.close();
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
    }
  };

  test('any bytes instead of a bind_ack or a response', async () => {
    await fc.assert(
      fc.asyncProperty(anything, fc.boolean(), async (bytes, atBind) => {
        const ack = (id: number) => bindAck(id);
        await (atBind
          ? run(
              () => bytes,
              () => bytes,
              false,
            )
          : run(ack, () => bytes, false));
      }),
      { numRuns: 300 },
    );
  });

  test('real PDUs with bytes changed', async () => {
    const stub = Uint8Array.from({ length: 40 }, (_, i) => i);
    await fc.assert(
      fc.asyncProperty(changes, fc.constantFrom('ack', 'response', 'sealed', 'fault'), async (list, which) => {
        const ack = (id: number) => bindAck(id, { token: CHALLENGE });
        const sealed = (id: number) => sealedResponse(serverStream(KEY), id, stub);
        switch (which) {
          case 'ack':
            return run((id) => changed(ack(id), list), sealed, true);
          case 'response':
            return run(
              (id) => bindAck(id),
              (id) => changed(response(id, stub), list),
              false,
            );
          case 'sealed':
            return run(ack, (id) => changed(sealed(id), list), true);
          case 'fault':
            return run(ack, (id) => changed(fault(id, 5), list), true);
        }
      }),
      { numRuns: 600 },
    );
  });
});
