import { describe, expect, it } from 'vitest';
import { DrsClient } from '#src/protocol/drsr/drs-client.js';
import { NO_USN } from '#src/protocol/drsr/vectors.js';
import { ProtocolError } from '#src/protocol/errors.js';
import { bytes, hex, stub } from './fixtures.js';

/** An RPC connection that answers from a script, and keeps what it was asked. */
function scripted(replies: [opnum: number, reply: Uint8Array][]) {
  const asked: [opnum: number, stub: string][] = [];
  return {
    asked,
    left: () => replies.length,
    rpc: {
      async request(opnum: number, data: Uint8Array): Promise<Uint8Array> {
        asked.push([opnum, hex(data)]);
        const [expected, reply] = replies.shift()!;
        expect(opnum).toBe(expected);
        // A Buffer, as sockets yield them: its slice() is no copy.
        return Buffer.from(reply);
      },
      sessionKey: () => new Uint8Array(16),
    },
  };
}

/** DRSBind's reply with another dwReplEpoch, or another status. */
function bindReply(epoch: number, status = 0): Uint8Array {
  const reply = stub('bindReply28');
  const view = new DataView(reply.buffer);
  view.setUint32(36, epoch, true);
  view.setUint32(reply.length - 4, status, true);
  return reply;
}

const HANDLE = '00000000eec6556568cf0542abbd374cc6caadc7';
const epochOf = (request: string) => Buffer.from(request, 'hex').readUInt32LE(56);
const UNBOUND = new Uint8Array(24);

describe('DrsClient.bind', () => {
  it('binds once where the replication epochs agree', async () => {
    const { rpc, asked } = scripted([[0, bindReply(0)]]);
    const client = await DrsClient.bind(rpc);
    expect(asked.map(([opnum]) => opnum)).toEqual([0]);
    expect(client.serverExtensions.dwFlags).toBe(0x2fffff6f);
  });

  it("binds again with the server's epoch, the first handle given back", async () => {
    const { rpc, asked, left } = scripted([
      [0, bindReply(3)],
      [1, UNBOUND],
      [0, bindReply(3)],
    ]);
    const client = await DrsClient.bind(rpc);
    expect(left()).toBe(0);
    expect(asked[1]).toEqual([1, HANDLE]);
    expect([epochOf(asked[0]![1]), epochOf(asked[2]![1])]).toEqual([0, 3]);
    expect(client.serverExtensions.dwReplEpoch).toBe(3);
  });

  it('binds again after 8593, which leaves no handle', async () => {
    const { rpc, asked } = scripted([
      [0, bindReply(5, 8593)],
      [0, bindReply(5)],
    ]);
    await DrsClient.bind(rpc);
    expect(asked.map(([, request]) => epochOf(request))).toEqual([0, 5]);
  });

  it.each([
    ['an epoch that changes with every bind', [bindReply(3), UNBOUND, bindReply(4)], 'replication-epoch-mismatch'],
    ['8593 with the epoch that was sent', [bindReply(0, 8593)], 'replication-epoch-mismatch'],
    ['access denied', [bindReply(0, 5)], 'access-denied'],
    ['a status without a name', [bindReply(0, 31)], 'dc-status'],
    ['no extensions', [bytes(`00000000${HANDLE}00000000`)], 'null-pointer'],
  ])('gives up on %s', async (_, replies, code) => {
    const { rpc } = scripted(replies.map((reply, i) => [i === 1 ? 1 : 0, reply]));
    const bound = DrsClient.bind(rpc);
    await expect(bound).rejects.toThrow(ProtocolError);
    await expect(bound).rejects.toMatchObject({ code });
  });
});

describe('DrsClient', () => {
  const names = new Map([['1.2.840.113556.1.4.221', 'sAMAccountName']]);
  const request = {
    uuidDsaObjDest: new Uint8Array(16),
    uuidInvocIdSrc: new Uint8Array(16),
    nc: { dn: 'DC=phs,DC=test' },
    usnvecFrom: NO_USN,
    upToDateVector: undefined,
    ulFlags: 0x30,
    cMaxObjects: 10,
    cMaxBytes: 1000,
    ulExtendedOp: 0,
  };

  it('asks in V8 where the server has no V10', async () => {
    const old = bindReply(0);
    new DataView(old.buffer).setUint32(12, 0x0fffff6f, true);
    for (const [reply, version] of [
      [old, 8],
      [bindReply(0), 10],
    ] as const) {
      const { rpc, asked } = scripted([
        [0, reply],
        [3, stub('getNCChangesReply6')],
      ]);
      const client = await DrsClient.bind(rpc);
      const { objects } = await client.getNCChanges(request, names);
      expect(objects.length).toBe(4);
      expect(Buffer.from(asked[1]![1], 'hex').readUInt32LE(20)).toBe(version);
    }
  });

  it('takes dwDRSError for the failure that it is', async () => {
    const reply = stub('getNCChangesReply6Empty');
    // After the sizes, cNumValues and rgValues.
    new DataView(reply.buffer).setUint32(8 + 16 + 16 + 8 + 24 + 24 + 4 * 12, 8456, true);
    const { rpc } = scripted([
      [0, bindReply(0)],
      [3, reply],
    ]);
    const client = await DrsClient.bind(rpc);
    await expect(client.getNCChanges(request, names)).rejects.toMatchObject({ code: 'source-disabled', status: 8456 });
  });

  it('wants as many cracked names as it gave', async () => {
    const { rpc } = scripted([
      [0, bindReply(0)],
      [12, stub('crackNamesReply')],
      [12, stub('crackNamesReply')],
    ]);
    const client = await DrsClient.bind(rpc);
    const ask = (names: string[]) => client.crackNames({ formatOffered: 7, formatDesired: 1, names });
    expect((await ask(['a', 'b', 'c'])).length).toBe(3);
    await expect(ask(['a'])).rejects.toMatchObject({ code: 'conformance' });
  });

  it('keeps a copy of its handle', async () => {
    const { rpc, asked } = scripted([
      [0, bindReply(0)],
      [1, UNBOUND],
    ]);
    const replies: Uint8Array[] = [];
    const client = await DrsClient.bind({
      sessionKey: rpc.sessionKey,
      async request(opnum, data) {
        const reply = await rpc.request(opnum, data);
        replies.push(reply);
        return reply;
      },
    });
    replies[0]!.fill(0xee);
    await client.unbind();
    expect(asked[1]).toEqual([1, HANDLE]);
  });
});
