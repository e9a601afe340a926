import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { desStringToKey } from '#src/crypto/des-string-to-key.js';
import { nFold } from '#src/crypto/n-fold.js';
import { defaultSalt, KerberosKeyType, stringToKey, utf8FromUtf16le } from '#src/crypto/string-to-key.js';
import string2key from '../vectors/string2key.json' with { type: 'json' };

const bytes = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ''), 'hex');
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');
const { desCbcMd5, aes128Sha1, aes256Sha1, aes128Sha256, aes256Sha384, rc4 } = KerberosKeyType;

describe('n-fold', () => {
  // RFC 3961 A.1, all of them.
  it.each([
    ['012345', 8, 'be072631276b1955'],
    ['password', 7, '78a07b6caf85fa'],
    ['Rough Consensus, and Running Code', 8, 'bb6ed30870b7f0e0'],
    ['password', 21, '59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e'],
    ['MASSACHVSETTS INSTITVTE OF TECHNOLOGY', 24, 'db3b0d8f0b061e603282b308a50841229ad798fab9540c1b'],
    ['Q', 21, '518a54a215a8452a518a54a215a8452a518a54a215'],
    ['ba', 21, 'fb25d531ae8974499f52fd92ea9857c4ba24cf297e'],
    ['kerberos', 8, '6b65726265726f73'],
    ['kerberos', 16, '6b65726265726f737b9b5b2b93132b93'],
    ['kerberos', 21, '8372c236344e5f1550cd0747e15d62ca7a5a3bcea4'],
    ['kerberos', 32, '6b65726265726f737b9b5b2b93132b935c9bdcdad95c9899c4cae4dee6d6cae4'],
  ])('of %j in %i bytes', (input, size, expected) => {
    expect(hex(nFold(Buffer.from(input), size))).toBe(expected);
  });
});

describe('DES (RFC 3961 A.2)', () => {
  it.each([
    ['ATHENA.MIT.EDUraeburn', 'password', 'cbc22fae235298e3'],
    ['WHITEHOUSE.GOVdanny', 'potatoe', 'df3d32a74fd92a01'],
    ['EXAMPLE.COMpianist', '\u{1d11e}', '4ffb26bab0cd9413'],
    ['ATHENA.MIT.EDUJuri\u0161i\u0107', '\u00df', '62c81a5232b5e69d'],
    // The next two make a weak key, of the fan-fold and of the checksum.
    ['AAAAAAAA', '11119999', '984054d0f1a73e31'],
    ['FFFFAAAA', 'NNNN6666', 'c4bf6b25adf7a4f8'],
  ])('salt %j, password %j', (salt, password, key) => {
    expect(hex(stringToKey(desCbcMd5, password, salt))).toBe(key);
    expect(hex(stringToKey(KerberosKeyType.desCbcCrc, password, salt))).toBe(key);
    expect(hex(desStringToKey(Buffer.from(password), Buffer.from(salt)))).toBe(key);
  });
});

const block = 'X'.repeat(64);

describe('AES with SHA-1 (RFC 3962 B)', () => {
  it.each([
    [
      1,
      'password',
      'ATHENA.MIT.EDUraeburn',
      '42263c6e89f4fc28b8df68ee09799f15',
      'fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161',
    ],
    [
      2,
      'password',
      'ATHENA.MIT.EDUraeburn',
      'c651bf29e2300ac27fa469d693bdda13',
      'a2e16d16b36069c135d5e9d2e25f896102685618b95914b467c67622225824ff',
    ],
    [
      1200,
      'password',
      'ATHENA.MIT.EDUraeburn',
      '4c01cd46d632d01e6dbe230a01ed642a',
      '55a6ac740ad17b4846941051e1e8b0a7548d93b0ab30a8bc3ff16280382b8c2a',
    ],
    [
      5,
      'password',
      bytes('1234567878563412'),
      'e9b23d52273747dd5c35cb55be619d8e',
      '97a4e786be20d81a382d5ebc96d5909cabcdadc87ca48f574504159f16c36e31',
    ],
    [
      1200,
      block,
      'pass phrase equals block size',
      '59d1bb789a828b1aa54ef9c2883f69ed',
      '89adee3608db8bc71f1bfbfe459486b05618b70cbae22092534e56c553ba4b34',
    ],
    [
      1200,
      `${block}X`,
      'pass phrase exceeds block size',
      'cb8005dc5f90179a7f02104c0018751d',
      'd78c5c9cb872a8c9dad4697f0bb5b2d21496c82beb2caeda2112fceea057401b',
    ],
    [
      50,
      '\u{1d11e}',
      'EXAMPLE.COMpianist',
      'f149c1f2e154a73452d43e7fe62a56e5',
      '4b6d9839f84406df1f09cc166db4b83c571848b784a3d6bdc346589a3e393f9e',
    ],
  ])('%i iterations, password %j, salt %j', (iterationCount, password, salt, aes128, aes256) => {
    expect(hex(stringToKey(aes128Sha1, password, salt, { iterationCount }))).toBe(aes128);
    expect(hex(stringToKey(aes256Sha1, password, salt, { iterationCount }))).toBe(aes256);
  });
});

// RFC 8009 A, whose salt begins with 16 bytes of a random one.
it.each([
  [aes128Sha256, '089bca48b105ea6ea77ca5d2f39dc5e7'],
  [aes256Sha384, '45bd806dbf6a833a9cffc1c94589a222367a79bc21c413718906e9f578a78467'],
] as const)('AES with SHA-2, key type %i', (keyType, key) => {
  const salt = Buffer.concat([bytes('10df9dd783e5bc8acea1730e74355f61'), Buffer.from('ATHENA.MIT.EDUraeburn')]);
  expect(hex(stringToKey(keyType, 'password', salt))).toBe(key);
  expect(hex(stringToKey(keyType, 'password', salt, { iterationCount: 32_768 }))).toBe(key);
});

it('RC4: the NT hash (MS-NLMP 4.2.2.1.2), whatever the salt', () => {
  expect(hex(stringToKey(rc4, 'Password', 'x'))).toBe('a4f49c406510bdcab6824ee7c30fd852');
});

describe("keys out of Active Directory's own databases", () => {
  it.each(string2key)('etype $etype, salt $salt', ({ password, passwordUtf16LeHex, salt, iterations, etype, key }) => {
    const given = password ?? bytes(passwordUtf16LeHex!);
    const options = iterations === undefined ? {} : { iterationCount: iterations };
    expect(hex(stringToKey(etype as KerberosKeyType, given, salt, options))).toBe(key);
    if (password !== undefined) {
      expect(hex(stringToKey(etype as KerberosKeyType, Buffer.from(password, 'utf16le'), salt, options))).toBe(key);
    }
  });
});

describe('utf8FromUtf16le', () => {
  it('is what Node makes of the same text, lone surrogates included', () => {
    const units = fc.array(
      fc.oneof(
        fc.nat(0xffff),
        fc.integer({ min: 0xd800, max: 0xdfff }),
        fc.constantFrom(0, 0x7f, 0x80, 0x7ff, 0x800, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0xfffd, 0xffff),
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(units, (list) => {
        const unicode = Buffer.from(Uint16Array.from(list).buffer);
        const text = String.fromCharCode(...list);
        expect(hex(utf8FromUtf16le(unicode))).toBe(hex(Buffer.from(text, 'utf8')));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('mistakes', () => {
  it.each([
    ['another key type', () => stringToKey(16 as KerberosKeyType, 'x', 'y'), 'no string-to-key for the key type 16'],
    ['half a unit', () => stringToKey(18, bytes('41'), 'y'), 'an even number of bytes'],
    ['no iterations', () => stringToKey(18, 'x', 'y', { iterationCount: 0 }), 'an iteration count of 1 to 16777216'],
    ['too many', () => stringToKey(19, 'x', 'y', { iterationCount: 2 ** 32 }), 'not 4294967296'],
    ['part of one', () => stringToKey(17, 'x', 'y', { iterationCount: 1.5 }), 'not 1.5'],
  ])('%s', (_, work, message) => {
    expect(work).toThrow(RangeError);
    expect(work).toThrow(message);
  });
});

it("leaves the caller's password as it is", () => {
  const password = Buffer.from('Pa$$w0rd', 'utf16le');
  for (const keyType of Object.values(KerberosKeyType)) stringToKey(keyType, password, 'x', { iterationCount: 1 });
  expect(password.toString('utf16le')).toBe('Pa$$w0rd');
});

describe('default salts', () => {
  it.each([
    [{ realm: 'adatum.com', sAMAccountName: 'April' }, 'ADATUM.COMApril'],
    [
      { realm: 'Adatum.com', sAMAccountName: 'April', userPrincipalName: 'a.Reagan@corp.example' },
      'ADATUM.COMa.Reagan',
    ],
    [{ realm: 'contoso.com', sAMAccountName: 'DC01$', isComputer: true }, 'CONTOSO.COMhostdc01.contoso.com'],
    [{ realm: 'CONTOSO.COM', sAMAccountName: 'svc_adfs$', isComputer: true }, 'CONTOSO.COMhostsvc_adfs.contoso.com'],
  ])('%o', (owner, salt) => {
    expect(defaultSalt(owner)).toBe(salt);
  });
});
