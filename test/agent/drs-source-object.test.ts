import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAccount } from '#src/agent/sources/drs-account.js';
import { toDirectoryObject, WANTED_ATTRIBUTES } from '#src/agent/sources/drs-object.js';
import { decodeGetNCChangesReply } from '#src/protocol/drsr/get-nc-changes-reply.js';
import { PrefixTable } from '#src/protocol/drsr/prefix-table.js';
import type { ReplicatedAttribute } from '#src/protocol/drsr/replicated-objects.js';
import type { AttributeName } from '#src/protocol/drsr/schema.js';
import { guidFromText } from '#src/protocol/dtyp/guid.js';
import { ProtocolError } from '#src/protocol/errors.js';

/** Replies of a Samba DC, with what Samba's own library reads in them. */
interface Recorded {
  readonly stub: string;
  readonly facts: {
    readonly objects: readonly {
      readonly dn: string;
      readonly guid: string;
      readonly sid: string;
      readonly attributes: Readonly<Record<string, readonly string[]>>;
      readonly meta: readonly (readonly [version: number, dstime: number, ...unknown[]])[];
    }[];
  };
}
const recorded: Record<string, Recorded> = JSON.parse(
  readFileSync(new URL('../protocol/drsr/fixtures/recorded.json', import.meta.url), 'utf8'),
);

function page(name: string) {
  const { stub, facts } = recorded[name]!;
  const reply = decodeGetNCChangesReply(Uint8Array.from(Buffer.from(stub, 'hex')), WANTED_ATTRIBUTES);
  return { objects: reply.objects.map((object) => toDirectoryObject(object, reply.prefixTable)), facts };
}

const ATTR_TYP = {
  sn: 0x4,
  givenName: 0x2a,
  displayName: 0x2000d,
  userAccountControl: 0x90008,
  unicodePwd: 0x9005a,
  pwdLastSet: 0x90060,
  accountExpires: 0x9009f,
  sAMAccountName: 0x900dd,
  userPrincipalName: 0x90290,
  mail: 0x150003,
};

describe('a replicated object', () => {
  it.each(['lastUsers', 'oneObject'])('is what Samba says of it (%s)', (name) => {
    const { objects, facts } = page(name);
    expect(objects.length).toBeGreaterThan(0);
    expect(objects).toEqual(
      facts.objects.map(({ dn, guid, sid, attributes, meta }) => {
        const value = (attribute: keyof typeof ATTR_TYP) => {
          const hex = attributes[ATTR_TYP[attribute]]?.[0];
          return hex === undefined ? undefined : Buffer.from(hex, 'hex');
        };
        const text = (attribute: keyof typeof ATTR_TYP) => value(attribute)?.toString('utf16le');
        const [version, dstime] = meta[Object.keys(attributes).indexOf(String(ATTR_TYP.unicodePwd))]!;
        return {
          guid,
          dn,
          sid,
          rid: Number(sid.split('-').at(-1)),
          deleted: false,
          // The attribute `name` was not asked for when these replies were recorded.
          renamed: false,
          // A change alone says neither class nor name.
          objectClass: attributes[0] === undefined ? undefined : 'user',
          sAMAccountName: text('sAMAccountName'),
          userPrincipalName: text('userPrincipalName'),
          displayName: text('displayName'),
          givenName: text('givenName'),
          sn: text('sn'),
          mail: text('mail'),
          userAccountControl: value('userAccountControl')?.readUInt32LE(),
          pwdLastSet: value('pwdLastSet')?.readBigInt64LE(),
          accountExpires: value('accountExpires')?.readBigInt64LE(),
          unicodePwd: Uint8Array.from(value('unicodePwd')!),
          passwordVersion: version,
          passwordChanged: new Date((dstime - 11_644_473_600) * 1000),
        };
      }),
    );
  });

  it('is deleted when the directory says so, and then has no password', () => {
    const [object, ...others] = page('deletedUser').objects;
    expect(others).toEqual([]);
    expect(object).toMatchObject({ deleted: true, objectClass: 'user', sAMAccountName: 'phs.deleted' });
    expect(object!.unicodePwd).toEqual(new Uint8Array(0));
  });

  it('has the class that its first value names', () => {
    expect(page('firstPage').objects.map(({ objectClass }) => objectClass)).toEqual([
      'domainDNS',
      'container',
      'container',
      'builtinDomain',
      'container',
    ]);
  });

  const made = (values: Partial<Record<AttributeName, Uint8Array[]>>, dn = 'CN=x', sid?: Uint8Array) =>
    toDirectoryObject(
      {
        name: { guid: guidFromText('8d2a6c0a-ddf3-428e-8441-7316480377e9'), sid, dn },
        ulFlags: 0,
        isNCPrefix: false,
        parentGuid: undefined,
        attributes: new Map(
          Object.entries(values).map(([name, values]): [AttributeName, ReplicatedAttribute] => [
            name as AttributeName,
            { attrTyp: 0, values, metaData: undefined },
          ]),
        ),
      },
      PrefixTable.wellKnown(),
    );
  const word = (value: number) => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);

  it('is deleted by its name alone', () => {
    expect(made({}, 'CN=a\\0ADEL:8d2a6c0a-ddf3-428e-8441-7316480377e9,CN=Deleted Objects,DC=b').deleted).toBe(true);
    expect(made({ isDeleted: [word(0)] }).deleted).toBe(false);
    expect(made({ isDeleted: [word(1)] }).deleted).toBe(true);
    expect(made({ isRecycled: [word(1)] }).deleted).toBe(true);
  });

  it.each([
    ['user', [0xa0009, 0x10007, 0x10006, 0x10000]],
    ['user', [0x10000, 0x10006, 0x10007, 0xa0009]],
    ['computer', [0x3001e, 0xa0009]],
    ['inetOrgPerson', [0x1c0002, 0xa0009]],
    ['msDS-GroupManagedServiceAccount', [0xa011a, 0x3001e]],
    ['msDS-ManagedServiceAccount', [0xa0108, 0x3001e]],
    ['1.2.840.113556.1.5.139', [0xa008b]],
    [undefined, []],
    [undefined, [0xffff0001]],
  ])('has the class %s', (name, classes) => {
    expect(made({ objectClass: classes.map(word) }).objectClass).toBe(name);
  });

  it('tells a removed text from one that did not change', () => {
    expect(made({ mail: [] })).toMatchObject({ mail: '', displayName: undefined, unicodePwd: undefined });
    expect(made({ unicodePwd: [] }).unicodePwd).toEqual(new Uint8Array(0));
  });

  it.each([
    ['userAccountControl', { userAccountControl: [Uint8Array.of(1, 2)] }],
    ['pwdLastSet', { pwdLastSet: [new Uint8Array(9)] }],
    ['objectSid', { objectSid: [Uint8Array.of(1, 5, 0)] }],
  ])('is refused with %s of a wrong size', (name, values) => {
    expect(() => made(values)).toThrow(ProtocolError);
    expect(() => made(values)).toThrow(`${name} of 8d2a6c0a-ddf3-428e-8441-7316480377e9`);
  });

  it('is refused in our own words, whatever its values are', () => {
    const bytes = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 3 });
    const values = fc.record(Object.fromEntries([...WANTED_ATTRIBUTES.values()].map((name) => [name, bytes])), {
      requiredKeys: [],
    });
    fc.assert(
      fc.property(values, fc.option(fc.uint8Array({ maxLength: 28 }), { nil: undefined }), (values, sid) => {
        try {
          made(values, 'CN=x', sid);
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('an account', () => {
  it.each([
    ['phs.sync', 'phs.sync', 'phs.test'],
    ['PHS\\phs.sync', 'phs.sync', 'PHS'],
    ['phs.sync@phs.test', 'phs.sync@phs.test', ''],
  ])('%s', (text, user, domain) => {
    expect(parseAccount(text, 'phs.test')).toEqual({ user, domain });
  });
});
