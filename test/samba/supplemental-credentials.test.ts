/** supplementalCredentials of a real domain controller: read whole, written back, and every key made again from its password. */

import { afterEach, expect, it } from 'vitest';
import { defaultSalt, type KerberosKeyType, stringToKey } from '#src/crypto/string-to-key.js';
import { openEnvelope } from '#src/hasher/fallback/envelope.js';
import { ENVELOPE_OVERHEAD, EnvelopeStatus } from '#src/hasher/types.js';
import { DrsClient } from '#src/protocol/drsr/drs-client.js';
import { DrsOption, ExtendedOperation } from '#src/protocol/drsr/get-nc-changes-request.js';
import { ATTRIBUTE_OIDS } from '#src/protocol/drsr/schema.js';
import { NO_USN } from '#src/protocol/drsr/vectors.js';
import { guidFromText } from '#src/protocol/dtyp/guid.js';
import type { RpcClient } from '#src/protocol/rpc/rpc-client.js';
import { keepKerberosKeys } from '#src/protocol/samr/keep-kerberos-keys.js';
import { type KerbKeyData, saltText } from '#src/protocol/samr/kerb-layout.js';
import { parseKerbStoredCredential, writeKerbStoredCredential } from '#src/protocol/samr/kerb-stored-credential.js';
import {
  parseKerbStoredCredentialNew,
  writeKerbStoredCredentialNew,
} from '#src/protocol/samr/kerb-stored-credential-new.js';
import { decodePropertyValue } from '#src/protocol/samr/property-value.js';
import { parseUserProperties, propertyName, writeUserProperties } from '#src/protocol/samr/user-properties.js';
import { connectDrsuapi, ntlm } from './connect.js';
import { type DcUser, describeDc, facts, modify, setPasswords, special, users } from './dc.js';

const ATTRIBUTES = new Map([[ATTRIBUTE_OIDS.supplementalCredentials, 'supplementalCredentials' as const]]);
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

const open: RpcClient[] = [];
afterEach(() => {
  for (const client of open.splice(0)) client.close();
});

/** The clear attribute of one account, or undefined where it has none. */
async function replicate(): Promise<(user: DcUser) => Promise<Uint8Array | undefined>> {
  const rpc = await connectDrsuapi(ntlm(special('sync-account')));
  open.push(rpc);
  const client = await DrsClient.bind(rpc);
  return async ({ objectGUID }) => {
    const { objects } = await client.getNCChanges(
      {
        uuidDsaObjDest: guidFromText('2f9a1c9e-5b1f-4f0e-9d0c-9d6f0f5c7a12'),
        uuidInvocIdSrc: guidFromText(facts().invocationId),
        nc: { guid: guidFromText(objectGUID) },
        usnvecFrom: NO_USN,
        upToDateVector: undefined,
        ulFlags: DrsOption.INIT_SYNC | DrsOption.WRIT_REP,
        cMaxObjects: 1,
        cMaxBytes: 0x100000,
        ulExtendedOp: ExtendedOperation.replObj,
      },
      ATTRIBUTES,
    );
    const envelope = objects[0]?.attributes.get('supplementalCredentials')?.values[0];
    if (envelope === undefined) return undefined;
    const plain = new Uint8Array(envelope.length - ENVELOPE_OVERHEAD);
    expect(openEnvelope([rpc.sessionKey()], envelope, undefined, plain)).toBe(EnvelopeStatus.ok);
    return plain;
  };
}

/** Every property by its name, its value decoded. */
function valuesOf(plain: Uint8Array): Map<string, Uint8Array> {
  const parsed = parseUserProperties(plain);
  expect(hex(writeUserProperties(parsed))).toBe(hex(plain));
  return new Map(parsed.properties.map((each) => [propertyName(each), decodePropertyValue(each.value)]));
}

function kerberosOf(plain: Uint8Array) {
  const values = valuesOf(plain);
  const newer = parseKerbStoredCredentialNew(values.get('Primary:Kerberos-Newer-Keys')!);
  const des = parseKerbStoredCredential(values.get('Primary:Kerberos')!);
  expect(hex(writeKerbStoredCredentialNew(newer))).toBe(hex(values.get('Primary:Kerberos-Newer-Keys')!));
  expect(hex(writeKerbStoredCredential(des))).toBe(hex(values.get('Primary:Kerberos')!));
  return { newer, des };
}

const told = (keys: readonly KerbKeyData[]) => keys.map(({ keyType, key }) => [keyType, hex(key)]);

/** The AES keys that a password gives. */
const aesKeys = (password: string, salt: string) =>
  [18, 17].map((keyType) => [keyType, hex(stringToKey(keyType as KerberosKeyType, password, salt))]);

const aesOf = (keys: readonly KerbKeyData[]) => told(keys).filter(([keyType]) => keyType === 17 || keyType === 18);

const saltOf = (user: DcUser, userPrincipalName = `${user.name}@${facts().dnsDomain}`): string =>
  defaultSalt(
    user.kind === 'computer'
      ? { realm: facts().realm, sAMAccountName: user.name, isComputer: true }
      : { realm: facts().realm, sAMAccountName: user.name, userPrincipalName },
  );

const withKeys = (): DcUser[] => {
  const all = users();
  return [
    ...all.filter(({ kind }) => kind !== 'bulk' && kind !== 'no-password'),
    ...all.filter(({ kind }) => kind === 'bulk').slice(0, 20),
  ];
};

/** As `setPasswords`, with other attributes. */
const replace = (dn: string, attribute: string, value: string): void =>
  modify(`dn: ${dn}\nchangetype: modify\nreplace: ${attribute}\n${attribute}: ${value}\n-\n\n`);

describeDc('supplementalCredentials', () => {
  it("of every kind of account: written back to the byte, AES keys of its password under its account's salt", async () => {
    const get = await replicate();
    const accounts = withKeys();
    expect(accounts.length).toBeGreaterThan(30);
    for (const user of accounts) {
      const plain = await get(user);
      expect(plain, user.name).toBeDefined();
      const { newer, des } = kerberosOf(plain!);
      expect(saltText(newer)).toBe(saltOf(user));
      expect(saltText(des)).toBe(saltOf(user));
      expect(newer.defaultIterationCount).toBe(4096);
      expect(newer.credentials.map(({ keyType }) => keyType)).toEqual([18, 17, 3, 1]);
      // Samba's DES keys are random, not made of the password: there is nothing to hold them against.
      expect(aesOf(newer.credentials)).toEqual(aesKeys(user.password!, saltText(newer)));
    }
    expect(await get(special('no-password'))).toBeUndefined();
  });

  it('keeps the keys of the two passwords before', async () => {
    const get = await replicate();
    const user = users().filter(({ kind }) => kind === 'bulk')[120] ?? users().at(-1)!;
    const salt = saltOf(user);
    const passwords = [user.password!, 'Second.Passw0rd', 'Dritt\u00e9s.Pa\u00dfw0rd-\u{1d11e}'];
    try {
      for (const password of passwords.slice(1)) setPasswords([{ dn: user.dn, password }]);
      const { newer, des } = kerberosOf((await get(user))!);
      const [first, second, third] = passwords.map((password) => aesKeys(password, salt));
      expect(aesOf(newer.credentials)).toEqual(third);
      expect(aesOf(newer.oldCredentials)).toEqual(second);
      expect(aesOf(newer.olderCredentials)).toEqual(first);
      expect(des.oldCredentials.map(({ keyType }) => keyType)).toEqual([3, 1]);
    } finally {
      setPasswords([{ dn: user.dn, password: user.password! }]);
    }
  });

  it('is salted with the prefix of a userPrincipalName that is not the account name', async () => {
    const get = await replicate();
    const user = users().filter(({ kind }) => kind === 'bulk')[1]!;
    const upn = `Other.Name@${facts().dnsDomain}`;
    try {
      replace(user.dn, 'userPrincipalName', upn);
      setPasswords([{ dn: user.dn, password: 'Other.Passw0rd' }]);
      const { newer } = kerberosOf((await get(user))!);
      expect(saltText(newer)).toBe(saltOf(user, upn));
      expect(saltText(newer)).toBe(`${facts().realm}Other.Name`);
      expect(aesOf(newer.credentials)).toEqual(aesKeys('Other.Passw0rd', saltText(newer)));
    } finally {
      replace(user.dn, 'userPrincipalName', `${user.name}@${facts().dnsDomain}`);
      setPasswords([{ dn: user.dn, password: user.password! }]);
    }
  });

  it('loses all but its Kerberos keys, a clear password stored reversibly among it', async () => {
    const get = await replicate();
    const user = users().filter(({ kind }) => kind === 'bulk')[2]!;
    const password = 'Reversible.Passw0rd';
    const { baseDn } = facts();
    // DOMAIN_PASSWORD_STORE_CLEARTEXT of the domain and ENCRYPTED_TEXT_PWD_ALLOWED of the account.
    try {
      replace(baseDn, 'pwdProperties', '16');
      replace(user.dn, 'userAccountControl', String(0x200 | 0x80));
      setPasswords([{ dn: user.dn, password }]);
      const plain = (await get(user))!;
      const values = valuesOf(plain);
      expect(Buffer.from(values.get('Primary:CLEARTEXT')!).toString('utf16le')).toBe(password);
      expect(values.has('Primary:WDigest')).toBe(true);

      const reduced = keepKerberosKeys(plain)!;
      const kept = valuesOf(reduced);
      expect([...kept.keys()]).toEqual(['Primary:Kerberos-Newer-Keys', 'Primary:Kerberos', 'Packages']);
      for (const name of ['Primary:Kerberos-Newer-Keys', 'Primary:Kerberos']) {
        expect(hex(kept.get(name)!)).toBe(hex(values.get(name)!));
      }
      expect(aesOf(kerberosOf(reduced).newer.credentials)).toEqual(aesKeys(password, saltOf(user)));
      const digits = Buffer.from(reduced).toString('latin1').toLowerCase();
      for (const name of ['Primary:CLEARTEXT', 'Primary:WDigest']) expect(digits).not.toContain(hex(values.get(name)!));
      expect(digits).not.toContain(hex(Buffer.from(password, 'utf16le')));
    } finally {
      replace(baseDn, 'pwdProperties', '0');
      replace(user.dn, 'userAccountControl', String(user.userAccountControl));
      setPasswords([{ dn: user.dn, password: user.password! }]);
    }
  });
});
