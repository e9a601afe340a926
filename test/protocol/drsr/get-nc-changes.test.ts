import { describe, expect, it } from 'vitest';
import { type ChangesReply, decodeGetNCChangesReply } from '#src/protocol/drsr/get-nc-changes-reply.js';
import { encodeGetNCChangesRequest, requestVersion } from '#src/protocol/drsr/get-nc-changes-request.js';
import { PrefixTable } from '#src/protocol/drsr/prefix-table.js';
import { guidFromText, guidToText } from '#src/protocol/dtyp/guid.js';
import { sidToText } from '#src/protocol/dtyp/sid.js';
import { dateToDstime } from '#src/protocol/dtyp/time.js';
import { ProtocolError } from '#src/protocol/errors.js';
import { bytes, hex, stub, withoutReferents } from './fixtures.js';

/** By their last arc's attribute: what the made-up reply carries, under OIDs and names. */
const NAMES = new Map([
  ['2.5.4.0', 'objectClass'],
  ['1.2.840.113556.1.4.90', 'unicodePwd'],
  ['1.2.840.113556.1.4.221', 'sAMAccountName'],
  ['1.2.840.113556.1.4.55', 'dBCSPwd'],
]);

const values = (reply: ChangesReply, index: number) =>
  Object.fromEntries([...reply.objects[index]!.attributes].map(([name, { values }]) => [name, values.map(hex)]));

describe('DRSGetNCChanges request', () => {
  const handle = bytes('00000000eec6556568cf0542abbd374cc6caadc7');
  const request = {
    uuidDsaObjDest: guidFromText('e24d201a-4fd6-11d1-a3da-0000f875ae0d'),
    uuidInvocIdSrc: guidFromText('65a556fb-3daa-482e-a521-6ee969f78d7f'),
    nc: { dn: 'DC=phs,DC=test' },
    usnvecFrom: { usnHighObjUpdate: 6053n, usnReserved: 17n, usnHighPropUpdate: 6053n },
    ulFlags: 0x1030,
    cMaxObjects: 1000,
    cMaxBytes: 8 << 20,
    ulExtendedOp: 0,
    attributes: ['0.9.2342.19200300.100.1.3', '1.2.840.113556.1.4.221', '2.5.4.0', '1.2.840.113556.1.4.90'],
  };
  const upToDateVector = [
    { uuidDsa: guidFromText('11111111-2222-3333-4444-555555555555'), usnHighPropUpdate: 4711n },
    { uuidDsa: guidFromText('65a556fb-3daa-482e-a521-6ee969f78d7f'), usnHighPropUpdate: 2n ** 40n + 5n },
  ];

  it.each([
    [8, upToDateVector],
    [10, undefined],
  ] as const)('V%d is what Samba packs', (version, vector) => {
    const ours = encodeGetNCChangesRequest(
      handle,
      version,
      { ...request, upToDateVector: vector },
      PrefixTable.wellKnown(),
    );
    expect(withoutReferents(ours)).toEqual(withoutReferents(stub(`getNCChangesRequest${version}`)));
  });

  it('is of the version that the server offers', () => {
    expect(requestVersion(0x2fffff6f)).toBe(10);
    expect(requestVersion(0x0fffff6f)).toBe(8);
    expect(() => requestVersion(0x0effff6f)).toThrow(expect.objectContaining({ code: 'unsupported-server' }));
  });
});

describe('DRSGetNCChanges reply', () => {
  it('reads a V6 that Samba packed, by the prefix table that came with it', () => {
    const reply = decodeGetNCChangesReply(stub('getNCChangesReply6'), NAMES);
    expect(reply).toMatchObject({
      version: 6,
      fMoreData: true,
      ulExtendedRet: 1,
      cNumNcSizeObjects: 77,
      dwDRSError: 0,
      usnvecTo: { usnHighObjUpdate: 6053n, usnReserved: 9n, usnHighPropUpdate: 6054n },
      nc: { dn: 'DC=phs,DC=test' },
    });
    expect(guidToText(reply.uuidDsaObjSrc)).toBe('0415d95e-bb32-429f-8e6b-2cb32ada340c');
    expect(guidToText(reply.uuidInvocIdSrc)).toBe('65a556fb-3daa-482e-a521-6ee969f78d7f');
    expect(guidToText(reply.nc!.guid)).toBe('65ff9301-057d-41ac-a9c9-5ea6d2cff19d');
    expect(reply.upToDateVector!.map((c) => [guidToText(c.uuidDsa), c.usnHighPropUpdate])).toEqual([
      ['11111111-2222-3333-4444-555555555555', 4711n],
      ['65a556fb-3daa-482e-a521-6ee969f78d7f', 2n ** 40n + 5n],
    ]);
    // schemaInfo shares index 0 with 2.5.4 and must not hide it.
    expect(reply.prefixTable.size).toBe(3);
    expect(reply.prefixTable.oidOf(7 * 65536 + 9)).toBe('1.2.840.113556.1.5.9');

    expect(reply.objects.map(({ name }) => name.dn)).toEqual([
      'DC=phs,DC=test',
      'CN=Zoë Ångström,DC=phs,DC=test',
      'OU=None,DC=phs,DC=test',
      'CN=last,DC=phs,DC=test',
    ]);
    expect(reply.objects.map(({ isNCPrefix }) => isNCPrefix)).toEqual([true, false, false, false]);
    expect(reply.objects.map(({ ulFlags }) => ulFlags)).toEqual([1, 1, 1, 5]);
    expect(reply.objects.map(({ name }) => name.sid && sidToText(name.sid))).toEqual([
      'S-1-5-21-1-2-3',
      'S-1-5-21-1-2-3-1104',
      undefined,
      'S-1-5-21-1-2-3-1105',
    ]);
    expect(reply.objects.map(({ parentGuid }) => parentGuid && guidToText(parentGuid).slice(-1))).toEqual([
      undefined,
      '1',
      '2',
      undefined,
    ]);
    expect(values(reply, 0)).toEqual({});
    expect(values(reply, 1)).toEqual({
      objectClass: ['09000700'],
      sAMAccountName: ['7a006f00eb00'],
      unicodePwd: ['000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223'],
      dBCSPwd: [],
    });
    // 0x12c0fff, which nobody asked for, is passed over with its three values of odd sizes.
    expect(values(reply, 2)).toEqual({ sAMAccountName: [''] });
    expect(values(reply, 3)).toEqual({ sAMAccountName: ['6c00610073007400', '740077006f00'] });

    const { metaData } = reply.objects[1]!.attributes.get('unicodePwd')!;
    expect(metaData!.version).toBe(5);
    expect(dateToDstime(metaData!.timeChanged)).toBe(13_400_000_002n);
    expect(guidToText(metaData!.originatingInvocationId)).toBe('65a556fb-3daa-482e-a521-6ee969f78d7f');
    expect(metaData!.originatingUsn).toBe(2n ** 33n + 2n);
    expect(reply.objects[3]!.attributes.get('sAMAccountName')!.metaData).toBeUndefined();

    expect(reply.linkedValues.map((l) => [l.object.dn, l.attrTyp, hex(l.value!), l.isPresent])).toEqual([
      ['CN=group,DC=phs,DC=test', 2, '3132333435', true],
      ['CN=g2', 2, '', false],
    ]);
  });

  it('reads a page without objects', () => {
    expect(decodeGetNCChangesReply(stub('getNCChangesReply6Empty'), NAMES)).toMatchObject({
      objects: [],
      upToDateVector: undefined,
      fMoreData: false,
    });
  });

  it('reads V9, whose linked values carry longer metadata', () => {
    // V6's page without objects, turned into V9 by hand (MS-DRSR 4.1.10.2): one REPLVALINF_V3 of 96 bytes and its pointees.
    const v6 = stub('getNCChangesReply6Empty');
    const status = 4;
    const page = Buffer.concat([v6.subarray(0, v6.length - status), Buffer.alloc(0)]);
    page.writeUInt32LE(9, 0);
    page.writeUInt32LE(9, 4);
    const fixed = 8 + 16 + 16 + 8 + 24 + 24;
    // pUpToDateVecSrc, PrefixTableSrc (2), ulExtendedRet, cNumObjects, cNumBytes, pObjects, fMoreData, two sizes: then
    // cNumValues and rgValues.
    const at = fixed + 4 * 10;
    expect([page.readUInt32LE(at), page.readUInt32LE(at + 4)]).toEqual([0, 0]);
    page.writeUInt32LE(2, at);
    page.writeUInt32LE(0x20000, at + 4);
    const values = Buffer.alloc(200);
    values.writeUInt32LE(2, 0);
    const start = page.length % 8 === 4 ? 4 : 8;
    for (const [i, present] of [1, 0].entries()) {
      const head = start + 96 * i;
      values.writeUInt32LE(0x20004, head);
      values.writeUInt32LE(0x90002, head + 4);
      values.writeUInt32LE(3, head + 8);
      values.writeUInt32LE(0x20008, head + 12);
      values.writeUInt32LE(present, head + 16);
    }
    const dsName = Buffer.from(
      `02000000${'3c00000000000000'}${'ab'.repeat(16)}${'00'.repeat(28)}010000004100${'0000'}`,
      'hex',
    );
    const value = Buffer.from('03000000616263'.concat('00'), 'hex');
    const tail = [dsName, value, dsName, value.subarray(0, 8), Buffer.alloc(status)];
    const reply = decodeGetNCChangesReply(
      Uint8Array.from(Buffer.concat([page, values.subarray(0, start + 192), ...tail])),
      NAMES,
    );
    expect(reply.version).toBe(9);
    expect(reply.linkedValues.map((l) => [l.object.dn, l.attrTyp, hex(l.value!), l.isPresent])).toEqual([
      ['A', 0x90002, '616263', true],
      ['A', 0x90002, '616263', false],
    ]);
  });

  it('names both rights that a refused account may lack', () => {
    const decode = () => decodeGetNCChangesReply(stub('getNCChangesReply6Denied'), NAMES);
    expect(decode).toThrow(expect.objectContaining({ code: 'replication-access-denied', status: 8453 }));
    expect(decode).toThrow('"Replicating Directory Changes" (DS-Replication-Get-Changes)');
    expect(decode).toThrow('"Replicating Directory Changes All" (DS-Replication-Get-Changes-All)');
  });

  it.each([
    ['01000000010000000000000000000000', 'unsupported-reply-version', 'version 1'],
    ['02000000020000000000000000000000', 'compressed-reply', 'version 2'],
    ['07000000070000000000000000000000', 'compressed-reply', 'version 7'],
    ['06000000090000000000000000000000', 'conformance', 'tag is 9'],
    ['0000000000000000051c0000', 'unsupported-reply-version', 'version 0'],
    ['000000000000000005210000', 'replication-access-denied', '8453'],
    ['', 'truncated', '4 bytes expected'],
  ])('refuses %s', (text, code, message) => {
    const decode = () => decodeGetNCChangesReply(bytes(text), NAMES);
    expect(decode).toThrow(ProtocolError);
    expect(decode).toThrow(expect.objectContaining({ code }));
    expect(decode).toThrow(message);
  });

  it('reads 30,000 objects without recursion', () => {
    // NDR puts all fixed parts first, then the last one's pointees.
    const count = 30_000;
    const empty = stub('getNCChangesReply6Empty');
    const head = Buffer.from(empty.subarray(0, empty.length - 4));
    const cNumObjects = 8 + 16 + 16 + 8 + 24 + 24 + 4 * 4;
    head.writeUInt32LE(count, cNumObjects);
    head.writeUInt32LE(0x20000, cNumObjects + 8);
    const fixed = Buffer.alloc(32 * count);
    for (let i = 0; i < count; i++) {
      fixed.writeUInt32LE(i + 1 < count ? 0x20000 : 0, 32 * i);
      fixed.writeUInt32LE(0x20000, 32 * i + 4);
    }
    const padded = Buffer.concat([head, Buffer.alloc((4 - (head.length % 4)) % 4), fixed]);
    const parts: Buffer[] = [padded];
    for (let i = count; i > 0; i--) {
      // 66 bytes and the padding before the next one.
      const name = Buffer.alloc(68);
      name.writeUInt32LE(3, 0);
      name.writeUInt32LE(i, 12);
      name.writeUInt32LE(2, 56);
      parts.push(name);
    }
    parts.push(Buffer.alloc(4));
    const reply = decodeGetNCChangesReply(Uint8Array.from(Buffer.concat(parts)), NAMES);
    expect(reply.objects.length).toBe(count);
    expect(
      reply.objects.map(({ name }) => new DataView(name.guid.buffer, name.guid.byteOffset).getUint32(0, true)),
    ).toEqual(Array.from({ length: count }, (_, i) => i + 1));
  });
});
