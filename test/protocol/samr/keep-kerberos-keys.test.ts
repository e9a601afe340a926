import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#src/protocol/errors.js';
import { checkKerberosKeysOnly, keepKerberosKeys } from '#src/protocol/samr/keep-kerberos-keys.js';
import { kerbStoredCredentialOf, writeKerbStoredCredential } from '#src/protocol/samr/kerb-stored-credential.js';
import { decodePropertyValue, encodePropertyValue } from '#src/protocol/samr/property-value.js';
import {
  parseUserProperties,
  propertyName,
  type UserProperty,
  userPropertiesOf,
  writeUserProperties,
} from '#src/protocol/samr/user-properties.js';
import { bytes, suppCredVectors } from './vectors.js';

const KERBEROS = ['Primary:Kerberos-Newer-Keys', 'Primary:Kerberos'];
const blobs = suppCredVectors.map(({ name, hex }) => [name, bytes(hex)] as const);
const full = blobs.filter(([, bytes]) => bytes.length > 111);
const empty = blobs.filter(([, bytes]) => bytes.length <= 111);
const contains = (haystack: Uint8Array, needle: Uint8Array): boolean =>
  Buffer.from(haystack).includes(Buffer.from(needle));

const property = (name: string, value: Uint8Array): UserProperty => ({
  name: Buffer.from(name, 'utf16le'),
  reserved: 1,
  value: encodePropertyValue(value),
});

/** The blob with more in it, and with something in every reserved field. */
function with_(blob: Uint8Array, ...more: readonly UserProperty[]): Uint8Array {
  const parsed = parseUserProperties(blob);
  return writeUserProperties({ ...parsed, properties: [...parsed.properties, ...more] });
}

describe('keepKerberosKeys', () => {
  it.each(full)('keeps of %s the Kerberos values to the byte, and Packages naming them', (_, blob) => {
    const before = parseUserProperties(blob);
    const kept = keepKerberosKeys(blob)!;
    const after = parseUserProperties(kept);
    const names = before.properties.map(propertyName).filter((name) => KERBEROS.includes(name));
    expect(names.length).toBeGreaterThan(0);
    expect(after.properties.map(propertyName)).toEqual([...names, 'Packages']);
    for (const name of names) {
      const [a, b] = [before, after].map(({ properties }) => properties.find((each) => propertyName(each) === name)!);
      expect(Buffer.from(b!.value).equals(a!.value)).toBe(true);
      expect(b!.reserved).toBe(1);
    }
    const packages = after.properties.at(-1)!;
    expect(packages.reserved).toBe(2);
    expect(Buffer.from(decodePropertyValue(packages.value)).toString('utf16le').split('\0')).toEqual(
      names.map((name) => name.slice('Primary:'.length)),
    );
  });

  it.each(full)('lets no other value of %s through', (_, blob) => {
    const kept = keepKerberosKeys(blob)!;
    const others = parseUserProperties(blob).properties.filter((each) => !KERBEROS.includes(propertyName(each)));
    expect(others.length).toBeGreaterThan(0);
    for (const other of others) {
      expect(contains(kept, other.value)).toBe(false);
      expect(contains(kept, decodePropertyValue(other.value))).toBe(false);
    }
  });

  const secret = Uint8Array.from(Buffer.from('Pa$$w0rd of somebody', 'utf16le'));
  it.each([
    'Primary:CLEARTEXT',
    'Primary:WDigest',
    'Primary:NTLM-Strong-NTOWF',
    'Primary:SambaGPG',
    'Primary:userPassword',
    'Primary:Made-Up',
    'Primary:Kerberos-Newest-Keys',
    'Primary:kerberos',
    'Primary:Kerberos ',
    'Kerberos',
    '',
  ])('does not keep a property of the name %j', (name) => {
    const blob = with_(full[0]![1], property(name, secret));
    const kept = keepKerberosKeys(blob)!;
    expect(parseUserProperties(kept).properties).toHaveLength(3);
    expect(contains(kept, secret) || contains(kept, encodePropertyValue(secret))).toBe(false);
    expect(Buffer.from(kept).equals(keepKerberosKeys(full[0]![1])!)).toBe(true);
    expect(keepKerberosKeys(writeUserProperties(userPropertiesOf([property(name, secret)])))).toBeUndefined();
  });

  it('writes the reserved fields anew, whatever stood there', () => {
    const [, blob] = full[0]!;
    const parsed = parseUserProperties(blob);
    const painted = writeUserProperties({
      ...parsed,
      reserved1: 0x01020304,
      reserved2: 0x0506,
      reserved3: 0x0708,
      reserved4: new Uint8Array(96).fill(0xa5),
      reserved5: 0xa5,
      properties: parsed.properties.map((each) => ({ ...each, reserved: 0xa5a5 })),
    });
    expect(Buffer.from(keepKerberosKeys(painted)!).equals(keepKerberosKeys(blob)!)).toBe(true);
  });

  it.each(empty)('gives nothing for %s', (_, blob) => {
    expect(keepKerberosKeys(blob)).toBeUndefined();
  });

  it('gives nothing for a Kerberos value without a key', () => {
    const header = Uint8Array.from(Buffer.from(`03000000${'00'.repeat(12)}`, 'hex'));
    const blob = writeUserProperties(userPropertiesOf([property('Primary:Kerberos', header)]));
    expect(keepKerberosKeys(blob)).toBeUndefined();
  });

  it('gives nothing for keys without a byte', () => {
    const none = kerbStoredCredentialOf({ defaultSalt: 'X', credentials: [{ keyType: 3, key: new Uint8Array(0) }] });
    const empty = property('Primary:Kerberos', writeKerbStoredCredential(none));
    expect(keepKerberosKeys(writeUserProperties(userPropertiesOf([empty])))).toBeUndefined();
    const old = { ...none, credentials: [], oldCredentials: none.credentials };
    const onlyOld = property('Primary:Kerberos', writeKerbStoredCredential(old));
    expect(keepKerberosKeys(writeUserProperties(userPropertiesOf([onlyOld])))).toBeUndefined();
  });

  it.each([
    ['digits that are none', (value: Uint8Array) => value.fill(0x47, 20, 21)],
    ['an unknown revision', (value: Uint8Array) => value.fill(0x39, 1, 2)],
  ])('refuses a Kerberos value with %s', (_, damage) => {
    const blob = full[0]![1].slice();
    damage(parseUserProperties(blob).properties.find((each) => propertyName(each) === 'Primary:Kerberos')!.value);
    expect(() => keepKerberosKeys(blob)).toThrow(ProtocolError);
  });

  it('refuses a package that comes twice', () => {
    const [, blob] = full[0]!;
    const again = parseUserProperties(blob).properties.find((each) => propertyName(each) === 'Primary:Kerberos')!;
    expect(() => keepKerberosKeys(with_(blob, again))).toThrow('more than once');
  });
});

describe('checkKerberosKeysOnly', () => {
  it('takes what keepKerberosKeys wrote and nothing else', () => {
    for (const [, blob] of full) {
      const kept = keepKerberosKeys(blob)!;
      expect(() => checkKerberosKeysOnly(kept)).not.toThrow();
      expect(() => checkKerberosKeysOnly(blob)).toThrow(ProtocolError);
      expect(() => checkKerberosKeysOnly(with_(kept, property('Primary:Made-Up', kept)))).toThrow(ProtocolError);
      for (const at of [0, 8, 10, 12, 107, kept.length - 1]) {
        const altered = kept.slice();
        altered[at]! ^= 1;
        expect(() => checkKerberosKeysOnly(altered)).toThrow(ProtocolError);
      }
    }
    for (const [, blob] of empty) expect(() => checkKerberosKeysOnly(blob)).toThrow(ProtocolError);
  });
});
