import { describe, expect, test } from 'vitest';
import { parseDn } from '#src/agent/dn.js';
import { outOfScopeText } from '#src/agent/out-of-scope.js';
import { conditionAttributes, createScope, type ScopeRules } from '#src/agent/scope.js';
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

  test.each([
    ['CN=Ann,OU=Former,OU=Staff,DC=phs,DC=test', 'excluded by ou=former,ou=staff,dc=phs,dc=test (scope.exclude)'],
    ['CN=Ann,OU=Guests,DC=phs,DC=test', 'it lies below none of the OUs of scope.include'],
  ])('%s: %s', (dn, text) => {
    expect(outOfScopeText('organizational-unit', directoryObject({ dn }), scope)).toBe(text);
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

describe('conditions', () => {
  const contractor = new Map([['department', 'Contractors North']]);
  test.each([
    [{ attribute: 'department', equals: 'contractors NORTH' }, { attributes: contractor }, true],
    [{ attribute: 'department', equals: 'Contractors' }, { attributes: contractor }, false],
    [{ attribute: 'department', notEquals: 'contractors north' }, { attributes: contractor }, false],
    [{ attribute: 'department', notEquals: 'Sales' }, { attributes: contractor }, true],
    // As in Entra Connect's rules: what is not there differs from everything.
    [{ attribute: 'department', notEquals: 'Sales' }, {}, true],
    [{ attribute: 'department', startsWith: 'CONTRACT' }, { attributes: contractor }, true],
    [{ attribute: 'department', startsWith: 'North' }, { attributes: contractor }, false],
    [{ attribute: 'department', contains: 'north' }, { attributes: contractor }, true],
    [{ attribute: 'department', contains: 'south' }, { attributes: contractor }, false],
    [{ attribute: 'department', present: true }, { attributes: contractor }, true],
    [{ attribute: 'department', present: true }, { attributes: new Map([['department', '']]) }, false],
    [{ attribute: 'department', present: false }, {}, true],
    [{ attribute: 'mail', present: false }, { mail: '' }, true],
    [{ attribute: 'mail', contains: '@PHS.test' }, { mail: 'ann@phs.test' }, true],
    [{ attribute: 'sAMAccountName', startsWith: 'AN' }, {}, true],
    [{ attribute: 'adminDescription', equals: 'x' }, { adminDescription: 'X' }, true],
  ] as const)('%j of %j: %s', (condition, attributes, filtered) => {
    const scope = createScope({ include: [], exclude: [], cloudFiltered: [condition] });
    expect(scope.why(directoryObject(attributes))).toBe(filtered ? 'cloud-filtered' : undefined);
  });

  test('the condition that keeps an object out is named', () => {
    const scope = createScope({
      include: [],
      exclude: [],
      cloudFiltered: [
        { attribute: 'mail', present: false },
        { attribute: 'sAMAccountName', startsWith: 'an' },
      ],
    });
    expect(outOfScopeText('cloud-filtered', directoryObject({ mail: 'ann@phs.test' }), scope)).toBe(
      'scope.cloudFiltered keeps it out: sAMAccountName startsWith an',
    );
  });

  test.each(['User_1', 'user_1', 'GROUP_2'])(
    'adminDescription %s was written back from the tenant',
    (adminDescription) => {
      expect(everywhere.why(directoryObject({ adminDescription }))).toBe('admin-description');
    },
  );

  test('name what is replicated for their sake, once', () => {
    const cloudFiltered = (['title', 'mail', 'extensionAttribute3', 'title'] as const).map((attribute) => ({
      attribute,
      present: true,
    }));
    expect(conditionAttributes({ cloudFiltered })).toEqual(['extensionAttribute3', 'title']);
    expect(conditionAttributes({})).toEqual([]);
  });

  test('change the digest', () => {
    const of = (more: Partial<ScopeRules>) => createScope({ include: [], exclude: [], ...more }).digest;
    const digests = [
      of({}),
      of({ passwords: 'PHSFiltered' }),
      of({ passwords: 'PHSIncluded' }),
      of({ cloudFiltered: [{ attribute: 'title', equals: 'x' }] }),
      of({ cloudFiltered: [{ attribute: 'title', contains: 'x' }] }),
    ];
    expect(new Set(digests).size).toBe(digests.length);
    expect(of({ cloudFiltered: [{ attribute: 'title', equals: 'X' }] })).toBe(digests[3]);
  });
});

describe('whose password', () => {
  test.each([
    ['all', undefined, true],
    ['all', 'PHSFiltered', true],
    ['PHSFiltered', undefined, true],
    ['PHSFiltered', 'phsfiltered', false],
    ['PHSFiltered', 'PHSFiltered2', true],
    ['PHSIncluded', undefined, false],
    ['PHSIncluded', 'PHSINCLUDED', true],
    ['PHSIncluded', 'PHSFiltered', false],
  ] as const)('%s, adminDescription %s: %s', (passwords, adminDescription, sent) => {
    const scope = createScope({ include: [], exclude: [], passwords });
    expect(scope.sendsPassword(directoryObject({ adminDescription }))).toBe(sent);
    expect(scope.why(directoryObject({ adminDescription }))).toBeUndefined();
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
