import { describe, expect, it } from 'vitest';
import {
  decodeDrsBindReply,
  decodeDrsUnbindReply,
  encodeDrsBindRequest,
  encodeDrsUnbindRequest,
} from '#src/protocol/drsr/bind.js';
import { clientExtensions } from '#src/protocol/drsr/extensions.js';
import { guidFromText, guidToText } from '#src/protocol/dtyp/guid.js';
import { ProtocolError } from '#src/protocol/errors.js';
import { bytes, drsVector, hex, stub } from './fixtures.js';

/** What precedes the RPC layer's verification trailer (MS-RPCE 2.2.2.13), or the padding, in the captured requests. */
const BIND_REQUEST_SIZE = 60;

describe('DRSBind', () => {
  it.each([
    ['DsBind_req1_dat', '8ae3137102f43671'],
    ['DsBind_req2_dat', '00000000'],
  ])('encodes %s', (name, trailer) => {
    const captured = drsVector(name);
    const extensions = {
      ...clientExtensions(),
      dwFlags: 0x1ffffb7f,
      siteObjGuid: captured.slice(36, 52),
      pid: 508,
      dwReplEpoch: 0,
    };
    const clientDsa = guidFromText('6afab99c-6e26-464a-975f-f58f105218bc');
    expect(hex(encodeDrsBindRequest({ clientDsa, extensions, cb: 28 }))).toBe(
      hex(captured.subarray(0, BIND_REQUEST_SIZE)),
    );
    expect(guidToText(extensions.siteObjGuid)).toBe('267095da-67c1-4eae-b6fe-f28315e387e8');
    expect(hex(captured.subarray(BIND_REQUEST_SIZE)).startsWith(trailer)).toBe(true);
  });

  it.each([
    ['DsBind_resp1_dat', '6855c6ee-05cf-4a42-bbd3-74cc6caadc73'],
    ['DsBind_resp2_dat', '4726d752-d358-45d4-afa3-85499d26b611'],
  ])('decodes %s', (name, uuid) => {
    const { extensions, handle, status } = decodeDrsBindReply(drsVector(name));
    expect(extensions).toMatchObject({ dwFlags: 0x1ffffb7f, pid: 504, dwReplEpoch: 0, dwFlagsExt: 0, dwExtCaps: 0 });
    expect(guidToText(extensions!.siteObjGuid)).toBe('5dffa681-1380-4194-a372-e9b779d70268');
    expect(status).toBe(0);
    expect(handle.length).toBe(20);
    expect(guidToText(handle.subarray(4))).toBe(uuid);
    expect(hex(encodeDrsUnbindRequest(handle))).toBe(hex(drsVector(name).subarray(-24, -4)));
  });

  it.each([
    [28, { dwFlagsExt: 0, dwExtCaps: 0 }],
    [48, { dwFlagsExt: 0x1105, dwExtCaps: 0 }],
    [52, { dwFlagsExt: 0x1105, dwExtCaps: 0x1005 }],
  ])('reads extensions of cb %d', (cb, more) => {
    const { extensions, handle } = decodeDrsBindReply(stub(`bindReply${cb}`));
    expect(extensions).toMatchObject({ dwFlags: 0x2fffff6f, pid: 504, dwReplEpoch: 3, ...more });
    expect(guidToText(extensions!.configObjGuid)).toBe(
      cb === 28 ? '00000000-0000-0000-0000-000000000000' : 'aaaaaaaa-0000-0000-0000-00000000000c',
    );
    expect(hex(handle)).toBe('00000000eec6556568cf0542abbd374cc6caadc7');
  });

  it('reads extensions cut after dwFlags, and longer ones than it knows', () => {
    const tail = '00000000eec6556568cf0542abbd374cc6caadc700000000';
    expect(decodeDrsBindReply(bytes(`0000020004000000040000006fffff2f${tail}`)).extensions).toMatchObject({
      dwFlags: 0x2fffff6f,
      dwReplEpoch: 0,
    });
    const long = `0000020040000000400000006fffff2f${'00'.repeat(20)}07000000${'00'.repeat(36)}${tail}`;
    expect(decodeDrsBindReply(bytes(long))).toMatchObject({ extensions: { dwReplEpoch: 7 }, status: 0 });
  });

  it.each([
    ['no bytes', '', 'truncated', 'DRSBind reply'],
    ['cb against max_count', `000002001c0000001d000000${'00'.repeat(48)}`, 'conformance', 'DRS_EXTENSIONS_INT'],
    ['cb of 4 GiB', '00000200ffffffffffffffff00', 'limit', 'DRS_EXTENSIONS_INT'],
    ['cb past the end', '00000200f0000000f000000000', 'truncated', 'DRS_EXTENSIONS_INT'],
  ])('refuses %s', (_, text, code, structure) => {
    const decode = () => decodeDrsBindReply(bytes(text));
    expect(decode).toThrow(ProtocolError);
    expect(decode).toThrow(expect.objectContaining({ code, structure, offset: expect.any(Number) }));
  });

  it("reads DRSUnbind's status", () => {
    expect(decodeDrsUnbindReply(new Uint8Array(24))).toBe(0);
    expect(() => decodeDrsUnbindReply(new Uint8Array(20))).toThrow(ProtocolError);
  });
});
