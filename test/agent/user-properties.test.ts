import { describe, expect, test } from 'vitest';
import { dnDigestOf, fingerprintOf, sourceAnchorOf, userProperties } from '#src/agent/user-properties.js';
import { guidFromText } from '#src/protocol/dtyp/guid.js';
import { sidFromText } from '#src/protocol/dtyp/sid.js';
import { dateToFiletime } from '#src/protocol/dtyp/time.js';
import { directoryObject } from './objects.js';

const domain = { dnsName: 'phs.test', netbiosName: 'PHS' };
const properties = (attributes: Parameters<typeof directoryObject>[0], enabled = true) =>
  userProperties(directoryObject(attributes), 'anchor==', domain, enabled);

describe('what the tenant is told of a user', () => {
  test('every property, null for what the directory does not have', () => {
    expect(Object.fromEntries(properties({ pwdLastSet: dateToFiletime(new Date('2019-08-01T16:43:42Z')) }))).toEqual({
      SourceAnchor: 'anchor==',
      userPrincipalName: 'ann@phs.test',
      displayName: 'Ann',
      givenName: 'Ann',
      surname: 'Able',
      mail: null,
      accountEnabled: true,
      onPremisesSamAccountName: 'ann',
      onPremisesDistinguishedName: 'CN=Ann,OU=Staff,DC=phs,DC=test',
      onPremiseSecurityIdentifier: sidFromText('S-1-5-21-1-2-3-1105'),
      dnsDomainName: 'phs.test',
      netBiosName: 'PHS',
      lastPasswordChangeTimestamp: '20190801164342.0Z',
      cloudMastered: false,
    });
  });

  test.each([undefined, ''])('a user without principal name (%j) gets account name at the domain', (none) => {
    expect(properties({ userPrincipalName: none }).get('userPrincipalName')).toBe('ann@phs.test');
  });

  test('a text that was taken away, which replication shows as empty, is none', () => {
    const none = properties({ displayName: '', givenName: '', sn: '', mail: '' });
    for (const name of ['displayName', 'givenName', 'surname', 'mail']) expect(none.get(name), name).toBeNull();
  });

  test.each([true, false])('enabled: %s', (enabled) => {
    expect(properties({}, enabled).get('accountEnabled')).toBe(enabled);
  });

  test.each([
    ['1969-12-31T23:59:59Z', '19691231235959.0Z'],
    ['1970-01-01T00:00:00Z', '19700101000000.0Z'],
    ['2024-02-29T09:05:07Z', '20240229090507.0Z'],
    ['2024-02-29T23:59:59Z', '20240229235959.0Z'],
    ['2024-03-01T00:00:00Z', '20240301000000.0Z'],
    ['2024-02-29T00:00:01.999Z', '20240229000001.0Z'],
  ])('pwdLastSet %s is %s', (time, text) => {
    expect(properties({ pwdLastSet: dateToFiletime(new Date(time)) }).get('lastPasswordChangeTimestamp')).toBe(text);
  });

  test('pwdLastSet 0, must change at next log-on, is the beginning of FILETIME; never is none', () => {
    expect(properties({ pwdLastSet: 0n }).get('lastPasswordChangeTimestamp')).toBe('16010101000000.0Z');
    expect(properties({ pwdLastSet: undefined }).get('lastPasswordChangeTimestamp')).toBeNull();
  });

  test('SIDs of several domains by turns', () => {
    for (const sid of [
      'S-1-5-21-1-2-3-1105',
      'S-1-5-21-1-2-3-4294967295',
      'S-1-5-21-1-2-33-1105',
      'S-1-5-21-1-2-3-1',
      'S-1-5-21-4000000000-2-3-70000',
      'S-1-5-32-544',
      'S-1-5-21-4000000000-2-3-70001',
    ]) {
      expect(properties({ sid }).get('onPremiseSecurityIdentifier'), sid).toEqual(sidFromText(sid));
    }
  });

  test('the anchor is the base64 of the GUID as it is replicated', () => {
    // 33221100-5544-7766-8899-aabbccddeeff is 00 11 22 … ff on the wire.
    expect(sourceAnchorOf(guidFromText('33221100-5544-7766-8899-aabbccddeeff'))).toBe('ABEiM0RVZneImaq7zN3u/w==');
  });
});

describe('the fingerprint', () => {
  const of = (attributes: Parameters<typeof directoryObject>[0], enabled = true) =>
    fingerprintOf(directoryObject(attributes), domain, enabled);

  test('changes with every property that is sent, and with no other', () => {
    const all = [
      {},
      { dn: 'CN=Ann,OU=Other,DC=phs,DC=test' },
      { sAMAccountName: 'anna' },
      { userPrincipalName: 'anna@phs.test' },
      { displayName: 'Anna' },
      { displayName: undefined },
      { displayName: '' },
      { givenName: undefined },
      { givenName: 'Able', sn: 'Ann' },
      { sn: undefined },
      { mail: 'ann@phs.test' },
      { sid: 'S-1-5-21-1-2-3-1106' },
    ].map((attributes) => of(attributes));
    all.push(of({}, false));
    expect(new Set(all).size).toBe(all.length);
    expect(all.every(Number.isSafeInteger)).toBe(true);
    expect(of({ pwdLastSet: 0n, accountExpires: 5n, passwordVersion: 9, unicodePwd: undefined })).toBe(all[0]);
    expect(of({ userAccountControl: 0x10200 })).toBe(all[0]);
  });

  test('has no collisions among many names that differ little', () => {
    const digests = new Set<number>();
    for (let i = 0; i < 200_000; i++) digests.add(dnDigestOf(`CN=User ${i},OU=Staff,DC=phs,DC=test`));
    expect(digests.size).toBe(200_000);
  });
});
