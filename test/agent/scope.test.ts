import { describe, expect, test } from 'vitest';
import { parseDn } from '#src/agent/dn.js';
import { createScope } from '#src/agent/scope.js';
import { directoryObject } from './objects.js';

const everywhere = createScope({ include: [], exclude: [] });

describe('who is synchronized', () => {
  test.each([
    [{}, undefined],
    [{ objectClass: 'inetOrgPerson' }, 'class'],
    [{ objectClass: 'computer', sAMAccountName: 'PC1$' }, 'class'],
    [{ objectClass: 'contact', rid: 0 }, 'class'],
    [{ objectClass: 'msDS-GroupManagedServiceAccount' }, 'class'],
    [{ rid: 500, sAMAccountName: 'Administrator' }, 'system-account'],
    [{ rid: 501, sAMAccountName: 'Guest' }, 'system-account'],
    [{ rid: 502, sAMAccountName: 'krbtgt' }, 'system-account'],
    [{ rid: 999 }, 'system-account'],
    [{ rid: 1000 }, undefined],
    [{ sAMAccountName: 'krbtgt_12345' }, 'service-account'],
    [{ sAMAccountName: 'KRBTGT' }, 'service-account'],
    [{ sAMAccountName: 'krbtgtadmin' }, undefined],
    [{ sAMAccountName: 'MSOL_0123456789ab' }, 'service-account'],
    [{ sAMAccountName: 'AAD_0123456789ab' }, 'service-account'],
    [{ sAMAccountName: 'SUPPORT_388945a0' }, 'service-account'],
    [{ sAMAccountName: 'CAS_{0123}' }, 'service-account'],
    [{ sAMAccountName: 'CAS_Miller' }, undefined],
    [{ sAMAccountName: undefined }, 'nameless'],
    [{ userAccountControl: 0x800 | 0x20, sAMAccountName: 'OTHER$' }, 'system-account'],
    [{ userAccountControl: 0x202 }, undefined],
    [{ dn: 'CN=Ann\\0ACNF:0c2d,OU=Staff,DC=phs,DC=test' }, 'conflict'],
  ])('%j: %s', (attributes, why) => {
    expect(everywhere.why(directoryObject(attributes))).toBe(why);
  });
});

describe('OU rules', () => {
  const scope = createScope({
    include: ['OU=Staff,DC=phs,DC=test', 'OU=Board, OU=Former ,OU=Staff,DC=phs,DC=test'],
    exclude: ['ou=former,ou=staff,dc=phs,dc=test'],
  });
  test.each([
    ['CN=Ann,OU=Staff,DC=phs,DC=test', true],
    ['cn=ann,ou=staff,dc=PHS,dc=TEST', true],
    ['CN=Ann,OU=North,OU=Staff,DC=phs,DC=test', true],
    ['CN=Ann,OU=Former,OU=Staff,DC=phs,DC=test', false],
    ['CN=Ann,OU=Board,OU=Former,OU=Staff,DC=phs,DC=test', true],
    ['CN=Ann,OU=Guests,DC=phs,DC=test', false],
    ['CN=Ann,OU=MoreStaff,DC=phs,DC=test', false],
    ['CN=Ann\\,OU=Staff,DC=phs,DC=test', false],
    ['OU=Staff,DC=phs,DC=test', true],
  ])('%s: %s', (dn, placed) => {
    expect(scope.placed(dn)).toBe(placed);
    expect(scope.why(directoryObject({ dn }))).toBe(placed ? undefined : 'organizational-unit');
  });

  test('an exclusion alone leaves the rest of the domain in', () => {
    const but = createScope({ include: [], exclude: ['OU=Lab,DC=phs,DC=test'] });
    expect(but.placed('CN=Ann,OU=Staff,DC=phs,DC=test')).toBe(true);
    expect(but.placed('CN=Ann,OU=Lab,DC=phs,DC=test')).toBe(false);
  });

  test('escapes are compared by what they mean', () => {
    const research = createScope({ include: ['OU=R\\2cD,DC=phs,DC=test'], exclude: [] });
    expect(research.placed('CN=Ann,OU=R\\,D,DC=phs,DC=test')).toBe(true);
  });

  test('the digest follows the rules', () => {
    const digests = [
      createScope({ include: [], exclude: [] }),
      createScope({ include: ['OU=A,DC=x'], exclude: [] }),
      createScope({ include: [], exclude: ['OU=A,DC=x'] }),
    ].map(({ digest }) => digest);
    expect(new Set(digests).size).toBe(3);
    expect(createScope({ include: ['ou=a, dc=X'], exclude: [] }).digest).toBe(digests[1]);
  });
});

describe('distinguished names', () => {
  test.each(['', 'Staff', 'OU=', '=x', 'OU=Staff,', 'OU=Staff\\', 'OU=Staff,,DC=x', '1x=a'])('%j is none', (text) => {
    expect(parseDn(text)).toBeUndefined();
  });

  test('numbers as types, equals signs and commas in values', () => {
    expect(parseDn('2.5.4.3=a=b\\,c, O=\\23 1')).toEqual(['2.5.4.3=a=b,c', 'o=# 1']);
  });
});
