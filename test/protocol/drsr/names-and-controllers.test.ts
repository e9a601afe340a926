import { describe, expect, it } from 'vitest';
import { decodeCrackNamesReply, encodeCrackNamesRequest, NameFormat } from '#src/protocol/drsr/crack-names.js';
import {
  decodeDomainControllerInfoReply,
  encodeDomainControllerInfoRequest,
} from '#src/protocol/drsr/domain-controller-info.js';
import { guidToText } from '#src/protocol/dtyp/guid.js';
import { ProtocolError } from '#src/protocol/errors.js';
import { bytes, hex, stub, withoutReferents } from './fixtures.js';

const handle = bytes('00000000eec6556568cf0542abbd374cc6caadc7');

describe('DRSCrackNames', () => {
  it('asks as Samba packs it', () => {
    const request = encodeCrackNamesRequest(handle, {
      formatOffered: NameFormat.canonical,
      formatDesired: NameFormat.fqdn1779,
      names: ['phs.test/', 'a'],
    });
    expect(withoutReferents(request)).toEqual(withoutReferents(stub('crackNamesRequest')));
  });

  it('refuses no names and too many', () => {
    const request = { formatOffered: 1, formatDesired: 2 };
    expect(() => encodeCrackNamesRequest(handle, { ...request, names: [] })).toThrow(RangeError);
    expect(() => encodeCrackNamesRequest(handle, { ...request, names: Array(10_001).fill('a') })).toThrow(RangeError);
  });

  it('reads what Samba packed', () => {
    expect(decodeCrackNamesReply(stub('crackNamesReply'))).toEqual([
      { status: 0, domain: 'phs.test', name: 'DC=phs,DC=test' },
      { status: 2, domain: undefined, name: undefined },
      { status: 5, domain: 'ü.test', name: undefined },
    ]);
  });

  it("passes on the call's status", () => {
    const refused = bytes('01000000010000000000000057000000');
    expect(() => decodeCrackNamesReply(refused)).toThrow(
      expect.objectContaining({ code: 'invalid-parameter', status: 87 }),
    );
  });
});

describe('DRSDomainControllerInfo', () => {
  it('asks as Samba packs it', () => {
    expect(hex(encodeDomainControllerInfoRequest(handle, 'phs.test', 2))).toBe(
      hex(stub('domainControllerInfoRequest')),
    );
  });

  it.each([1, 2] as const)('reads level %d as Samba packed it', (level) => {
    const controllers = decodeDomainControllerInfoReply(stub(`domainControllerInfoReply${level}`));
    expect(controllers.map(({ ntdsDsaObjectGuid, ...rest }) => rest)).toEqual(
      [1, 2].map((n) => ({
        netbiosName: `DC${n}`,
        dnsHostName: `dc${n}.phs.test`,
        siteName: undefined,
        computerObjectName: `CN=DC${n}`,
        serverObjectName: `CN=server${n}`,
        isPdc: n === 1,
        isDsEnabled: true,
        siteObjectName: level === 2 ? 'CN=site' : undefined,
        ntdsDsaObjectName: level === 2 ? `CN=NTDS${n}` : undefined,
        isGc: level === 2 ? n === 2 : undefined,
      })),
    );
    expect(controllers.map((each) => each.ntdsDsaObjectGuid && guidToText(each.ntdsDsaObjectGuid))).toEqual(
      level === 2
        ? ['0415d95e-bb32-429f-8e6b-000000000001', '0415d95e-bb32-429f-8e6b-000000000002']
        : [undefined, undefined],
    );
  });

  it('refuses another level', () => {
    expect(() => decodeDomainControllerInfoReply(bytes('0300000003000000000000000000000000000000'))).toThrow(
      ProtocolError,
    );
  });
});
