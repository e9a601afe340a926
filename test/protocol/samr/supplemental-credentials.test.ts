import { describe, expect, it } from 'vitest';
import { defaultSalt, type KerberosKeyType, stringToKey } from '#src/crypto/string-to-key.js';
import { ProtocolError } from '#src/protocol/errors.js';
import {
  kerbStoredCredentialOf,
  parseKerbStoredCredential,
  writeKerbStoredCredential,
} from '#src/protocol/samr/kerb-stored-credential.js';
import {
  kerbStoredCredentialNewOf,
  parseKerbStoredCredentialNew,
  writeKerbStoredCredentialNew,
} from '#src/protocol/samr/kerb-stored-credential-new.js';
import { decodePropertyValue, encodePropertyValue } from '#src/protocol/samr/property-value.js';
import {
  parseUserProperties,
  propertyName,
  type UserProperty,
  userPropertiesOf,
  writeUserProperties,
} from '#src/protocol/samr/user-properties.js';
import {
  bytes,
  type DecodedKerberos,
  decodeKerberos,
  decodeProperty,
  hex,
  kerberosVectors,
  suppCredVectors,
} from './vectors.js';

/** Bytes out of the decoded form alone, with nothing of the blob. */
function encodeKerberos({ revision, salt, iterations, keys }: DecodedKerberos): Uint8Array {
  const list = (which: string) =>
    keys
      .filter(([name]) => name === which)
      .map((key) =>
        key.length === 4
          ? { iterationCount: key[1], keyType: key[2], key: bytes(key[3]) }
          : { keyType: key[1], key: bytes(key[2]) },
      );
  return revision === 3
    ? writeKerbStoredCredential(
        kerbStoredCredentialOf({ defaultSalt: salt, credentials: list('cur'), oldCredentials: list('old') }),
      )
    : writeKerbStoredCredentialNew(
        kerbStoredCredentialNewOf({
          defaultSalt: salt,
          defaultIterationCount: iterations!,
          credentials: list('cur'),
          serviceCredentials: list('service'),
          oldCredentials: list('old'),
          olderCredentials: list('older'),
        }),
      );
}

/** Windows 2003: four bytes before the salt, 16 after the keys. */
const isOf2003 = (name: string): boolean => name.includes('W2k3');

describe.each(kerberosVectors)('$name', ({ name, hex: blob, decoded }) => {
  it('is read', () => {
    expect(decodeKerberos(bytes(blob), decoded.revision)).toEqual(decoded);
  });

  it('is written back byte for byte', () => {
    const written =
      decoded.revision === 3
        ? writeKerbStoredCredential(parseKerbStoredCredential(bytes(blob)))
        : writeKerbStoredCredentialNew(parseKerbStoredCredentialNew(bytes(blob)));
    expect(hex(written)).toBe(blob);
  });

  it(isOf2003(name) ? 'is made anew without what Windows 2003 adds' : 'is made anew from its keys', () => {
    const made = encodeKerberos(decoded);
    if (!isOf2003(name)) {
      expect(hex(made)).toBe(blob);
      return;
    }
    expect(made.length).toBe(blob.length / 2 - 20);
    const { saltOffset, ...rest } = decodeKerberos(made, 3);
    expect({ ...rest, saltOffset: saltOffset + 4 }).toEqual(decoded);
  });

  it('keeps in its gaps what no field points at', () => {
    const { gaps } =
      decoded.revision === 3 ? parseKerbStoredCredential(bytes(blob)) : parseKerbStoredCredentialNew(bytes(blob));
    const entry = decoded.revision === 3 ? 20 : 24;
    expect(gaps.map((gap) => hex(gap.bytes))).toEqual(
      isOf2003(name) ? ['00'.repeat(entry + 4), '00'.repeat(16)] : ['00'.repeat(entry)],
    );
  });
});

describe.each(suppCredVectors)('$name', ({ hex: blob, length, decoded }) => {
  const parsed = parseUserProperties(bytes(blob));

  it('is read', () => {
    expect(parsed.shape).toBe(length === 13 ? 'bare' : length === 111 ? 'empty' : 'full');
    expect(parsed.properties.map(decodeProperty)).toEqual(decoded.properties);
    expect(parsed.reserved5).toBe(decoded.reserved5 ?? 0);
  });

  it('is written back byte for byte', () => {
    expect(blob).toHaveLength(2 * length);
    expect(hex(writeUserProperties(parsed))).toBe(blob);
  });

  it('is written back byte for byte with every value decoded and encoded again', () => {
    const properties = parsed.properties.map((property) => ({
      ...property,
      value: encodePropertyValue(decodePropertyValue(property.value)),
    }));
    expect(hex(writeUserProperties({ ...parsed, properties }))).toBe(blob);
  });
});

describe.each(suppCredVectors.filter(({ name, length }) => length > 13 && !isOf2003(name)))(
  '$name',
  ({ hex: blob, decoded }) => {
    it('is made anew from what was decoded of it', () => {
      const properties = decoded.properties.map(({ name, reserved, value }): UserProperty => {
        return { name: Buffer.from(name, 'utf16le'), reserved, value: encodePropertyValue(encodeValue(name, value)) };
      });
      const made = { ...userPropertiesOf(properties), reserved5: decoded.reserved5 ?? 0 };
      expect(hex(writeUserProperties(made))).toBe(blob);
    });
  },
);

function encodeValue(name: string, value: unknown): Uint8Array {
  if (name === 'Primary:CLEARTEXT') return Buffer.from(value as string, 'utf16le');
  if (typeof value === 'string') return bytes(value);
  if (name === 'Packages') return Buffer.from((value as string[]).join('\0'), 'utf16le');
  if (name === 'Primary:WDigest') {
    const { header, hashes } = value as { header: string; hashes: string[] };
    return bytes(header + hashes.join(''));
  }
  return encodeKerberos(value as DecodedKerberos);
}

it('the captured keys are those of the clear password beside them', () => {
  const { decoded } = suppCredVectors.at(-1)!;
  const value = (name: string) => decoded.properties.find((each) => each.name === name)!.value;
  const { salt, keys } = value('Primary:Kerberos-Newer-Keys') as DecodedKerberos;
  const clear = value('Primary:CLEARTEXT') as string;
  expect(salt).toBe(defaultSalt({ realm: 'adatum.com', sAMAccountName: 'April' }));
  const current = keys.filter(([list]) => list === 'cur');
  expect(current.map((key) => key[2])).toEqual([18, 17, 3]);
  for (const [, , keyType, key] of current) {
    expect(hex(stringToKey(keyType as KerberosKeyType, clear, salt))).toBe(key);
  }
});

// Laid out by hand after MS-SAMR 2.2.10.6 and 2.2.10.7, the keys being RFC 8009's and MS-NLMP's: no blob of a Windows
// Server 2025 is published.
it('key types 20, 19 and -140 are read and written', () => {
  const keys = [
    ['14000000', '94000000', '45bd806dbf6a833a9cffc1c94589a222367a79bc21c413718906e9f578a78467'],
    ['13000000', 'b4000000', '089bca48b105ea6ea77ca5d2f39dc5e7'],
    ['74ffffff', 'c4000000', 'a4f49c406510bdcab6824ee7c30fd852'],
  ] as const;
  const sizes = ['20000000', '10000000', '10000000'];
  const blob = [
    '040000000300000000000000', // revision, flags, four counts
    '1c001c007800000000800000', // the salt's length, maximum and offset, 32,768 iterations
    ...keys.map(([type, offset], i) => `000000000000000000800000${type}${sizes[i]}${offset}`),
    '00'.repeat(24),
    hex(Buffer.from('ADATUM.COMuser', 'utf16le')),
    ...keys.map(([, , key]) => key),
  ].join('');
  const decoded = decodeKerberos(bytes(blob), 4);
  expect(decoded.keys).toEqual([20, 19, -140].map((type, i) => ['cur', 32_768, type, keys[i]![2]]));
  expect(hex(writeKerbStoredCredentialNew(parseKerbStoredCredentialNew(bytes(blob))))).toBe(blob);
  expect(hex(encodeKerberos(decoded))).toBe(blob);
});

describe('what it refuses', () => {
  const full = suppCredVectors.find(({ length }) => length > 111)!;
  const with_ = (at: number, ...values: number[]): Uint8Array => {
    const data = bytes(full.hex);
    data.set(values, at);
    return data;
  };

  it.each([
    ['nothing', new Uint8Array(0), 'at least 13 bytes expected, not 0,'],
    ['a wrong Length', with_(4, 0x79), 'Length 2680 expected of 2693 bytes, not 2681, at offset 4'],
    ['a wrong signature', with_(108, 0x51), 'PropertySignature 0x50 expected at offset 108'],
    ['one property too many', with_(110, 6), 'USER_PROPERTY 6 of 6 expected at offset 2692'],
    ['one too few', with_(110, 4), 'nothing but Reserved5 expected after 4 properties at offset'],
    ['an odd NameLength', with_(112, 0x33), 'an even NameLength expected, not 51, at offset 112'],
    [
      'a value beyond the end',
      with_(114, 0xff, 0xff),
      'USER_PROPERTY 1 of 5 reaches past the end: its header at offset 112',
    ],
  ])('%s', (_, data, message) => {
    expect(() => parseUserProperties(data)).toThrow(ProtocolError);
    expect(() => parseUserProperties(data)).toThrow(message);
  });

  it('two sizes that no shape has', () => {
    for (const size of [110, 112]) {
      const data = new Uint8Array(size);
      data[4] = size - 13;
      expect(() => parseUserProperties(data)).toThrow('111 bytes or at least 113 expected');
    }
  });

  it('takes a count of zero, and writes it back', () => {
    const data = Buffer.concat([
      bytes(suppCredVectors.find(({ length }) => length === 111)!.hex).subarray(0, 110),
      Buffer.alloc(3),
    ]);
    data[4] = 100;
    expect(parseUserProperties(data)).toMatchObject({ shape: 'full', properties: [] });
    expect(hex(writeUserProperties(parseUserProperties(data)))).toBe(hex(data));
  });

  it('names no byte of a name or value', () => {
    const secret = 'Pa$$w0rd';
    const property = { name: Buffer.from(secret, 'utf16le'), reserved: 1, value: Buffer.from(secret) };
    const blob = writeUserProperties(userPropertiesOf([property]));
    expect(() => decodePropertyValue(parseUserProperties(blob).properties[0]!.value)).toThrow(
      /^PropertyValue: a hex digit expected at 0$/,
    );
    blob[110] = 2;
    expect(() => parseUserProperties(blob)).toThrow(/^USER_PROPERTIES: USER_PROPERTY 2 of 2 expected at offset \d+$/);
    expect(propertyName(property)).toBe(secret);
  });

  const rev4 = kerberosVectors[0]!;
  const rev3 = kerberosVectors.find(({ decoded }) => decoded.revision === 3)!;
  const changed = (blob: string, at: number, ...values: number[]): Uint8Array => {
    const data = bytes(blob);
    data.set(values, at);
    return data;
  };
  it.each([
    ['a short header', bytes(rev4.hex).subarray(0, 23), 'a header of 24 bytes expected, not 23,'],
    ['revision 3', bytes(rev3.hex), 'Revision 4 expected, not 3, at offset 0'],
    ['65,535 keys', changed(rev4.hex, 4, 0xff, 0xff), '65535 key entries of 24 bytes reach past the end: at offset 24'],
    ['an odd salt', changed(rev4.hex, 12, 27), 'an even DefaultSaltLength expected, not 27, at offset 12'],
    [
      'a salt in the header',
      changed(rev4.hex, 16, 8, 0),
      'DefaultSalt: 28 bytes between 240 and 460 expected, not at offset 8',
    ],
    [
      'a key in the entries',
      changed(rev4.hex, 44, 24, 0),
      'key: 32 bytes between 240 and 460 expected, not at offset 24',
    ],
    [
      'a key beyond the end',
      changed(rev4.hex, 40, 0xff, 0xff, 0xff, 0xff),
      'key: 4294967295 bytes between 240 and 460',
    ],
  ])('in KERB_STORED_CREDENTIAL_NEW, %s', (_, data, message) => {
    expect(() => parseKerbStoredCredentialNew(data)).toThrow(ProtocolError);
    expect(() => parseKerbStoredCredentialNew(data)).toThrow(message);
  });

  it('none of keys that share bytes: they are read, and written back', () => {
    // The second key's bytes lie within the first's.
    const data = changed(rev4.hex, 68, 0x28, 0x01);
    const value = parseKerbStoredCredentialNew(data);
    expect(hex(value.credentials[1]!.key)).toBe(hex(value.credentials[0]!.key.subarray(4, 20)));
    const zeros = { offset: 240, bytes: new Uint8Array(24) };
    expect(value.gaps).toEqual([zeros, { offset: 0x144, bytes: data.subarray(0x144, 0x154) }]);
    expect(hex(writeKerbStoredCredentialNew(value))).toBe(hex(data));
  });

  it('parts that lie outside, when it writes', () => {
    const value = parseKerbStoredCredential(bytes(rev3.hex));
    expect(() => writeKerbStoredCredential({ ...value, size: 90 })).toThrow(RangeError);
    expect(() => writeKerbStoredCredential({ ...value, size: 20 })).toThrow('1 keys need more than 20 bytes');
    expect(() => writeKerbStoredCredential({ ...value, defaultSaltOffset: 4 })).toThrow(
      'DefaultSalt at 4 lies outside',
    );
    const property = { name: new Uint8Array(3), reserved: 1, value: new Uint8Array(2) };
    expect(() => writeUserProperties(userPropertiesOf([property]))).toThrow(RangeError);
    const long = { name: new Uint8Array(2), reserved: 1, value: new Uint8Array(65_536) };
    expect(() => writeUserProperties(userPropertiesOf([long]))).toThrow(RangeError);
  });
});
