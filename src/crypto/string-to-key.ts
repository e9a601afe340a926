/**
 * Kerberos' string-to-key for the key types that Active Directory stores: DES (RFC 3961 6.2), AES with SHA-1 (RFC 3962 4),
 * AES with SHA-2 (RFC 8009 4), RC4 (RFC 4757 2); and the salts that it stores them with (MS-KILE 3.1.1.2).
 */

import { createHmac, pbkdf2Sync } from 'node:crypto';
import { desStringToKey } from './des-string-to-key.js';
import { FIPS_CODE, fipsRefusal } from './fips.js';
import { md4 } from './md4.js';
import { deriveAesKey } from './n-fold.js';
import { secretBytes } from './secret-bytes.js';

/** Encryption type numbers (IANA's registry of Kerberos parameters). */
export const KerberosKeyType = {
  desCbcCrc: 1,
  desCbcMd5: 3,
  aes128Sha1: 17,
  aes256Sha1: 18,
  aes128Sha256: 19,
  aes256Sha384: 20,
  rc4: 23,
} as const;
export type KerberosKeyType = (typeof KerberosKeyType)[keyof typeof KerberosKeyType];

export interface StringToKeyOptions {
  /** Of AES: 4096 with SHA-1 and 32,768 with SHA-2 where none is given. */
  readonly iterationCount?: number;
  /** RC4's keys are MD4 hashes, and DES is DES: both are refused in FIPS mode without it. */
  readonly allowMd5InFips?: boolean;
}

/** 2^24, which takes seconds; RFC 3962 lets a KDC name 2^32. */
const MAX_ITERATION_COUNT = 0x1000000;
const KERBEROS = Uint8Array.from(Buffer.from('kerberos', 'latin1'));

interface AesType {
  readonly size: 16 | 32;
  readonly digest: 'sha1' | 'sha256' | 'sha384';
  readonly iterationCount: number;
  /** What RFC 8009 puts before the salt. */
  readonly name?: string;
}

const AES: ReadonlyMap<number, AesType> = new Map([
  [KerberosKeyType.aes128Sha1, { size: 16, digest: 'sha1', iterationCount: 4096 }],
  [KerberosKeyType.aes256Sha1, { size: 32, digest: 'sha1', iterationCount: 4096 }],
  [
    KerberosKeyType.aes128Sha256,
    { size: 16, digest: 'sha256', iterationCount: 32_768, name: 'aes128-cts-hmac-sha256-128' },
  ],
  [
    KerberosKeyType.aes256Sha384,
    { size: 32, digest: 'sha384', iterationCount: 32_768, name: 'aes256-cts-hmac-sha384-192' },
  ],
] as const);

/**
 * The key of a password: 8, 16 or 32 bytes, which the caller wipes. A password in bytes is UTF-16LE, as Active Directory
 * holds them and as machines' random ones are; it stays the caller's. RC4 hashes it as it stands, all others take its
 * UTF-8, for which a lone surrogate is U+FFFD. (For DES that is RFC 3961's; what Windows makes of characters beyond ASCII
 * there is not published.) RC4 has no salt.
 * @throws RangeError for another key type, an odd number of password bytes, or an iteration count beyond 1 to 2^24;
 * an Error with the code `config-fips` for RC4 and DES in FIPS mode.
 *
 * @example
 * stringToKey(18, 'password', 'ATHENA.MIT.EDUraeburn', { iterationCount: 1 })
 * // fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161 (RFC 3962 B)
 */
export function stringToKey(
  keyType: KerberosKeyType,
  password: string | Uint8Array,
  salt: string | Uint8Array,
  options: StringToKeyOptions = {},
): Uint8Array<ArrayBuffer> {
  const own = typeof password === 'string' ? utf16leOf(password) : undefined;
  try {
    const unicode = own ?? (password as Uint8Array);
    if (unicode.length % 2 !== 0) {
      throw new RangeError(`a password in UTF-16LE has an even number of bytes, not ${unicode.length}`);
    }
    return keyOf(keyType, unicode, typeof salt === 'string' ? Buffer.from(salt, 'utf8') : salt, options);
  } finally {
    own?.fill(0);
  }
}

function utf16leOf(text: string): Uint8Array {
  const bytes = secretBytes(2 * text.length);
  Buffer.from(bytes.buffer).write(text, 'utf16le');
  return bytes;
}

function keyOf(
  keyType: KerberosKeyType,
  unicode: Uint8Array,
  salt: Uint8Array,
  { iterationCount, allowMd5InFips }: StringToKeyOptions,
): Uint8Array<ArrayBuffer> {
  const aes = AES.get(keyType);
  if (aes !== undefined) {
    return withUtf8(unicode, (password) => aesKey(aes, password, salt, iterationCount ?? aes.iterationCount));
  }
  switch (keyType) {
    case KerberosKeyType.rc4:
      checkFips('MD4', allowMd5InFips);
      return md4(unicode) as Uint8Array<ArrayBuffer>;
    case KerberosKeyType.desCbcCrc:
    case KerberosKeyType.desCbcMd5:
      checkFips('DES', allowMd5InFips);
      return withUtf8(unicode, (password) => desStringToKey(password, salt));
    default:
      throw new RangeError(`no string-to-key for the key type ${String(keyType)}`);
  }
}

function checkFips(algorithm: string, allowMd5InFips: boolean | undefined): void {
  const refusal = fipsRefusal('A Kerberos key of this type', algorithm, allowMd5InFips);
  if (refusal !== undefined) throw Object.assign(new Error(refusal), { code: FIPS_CODE });
}

function withUtf8<T>(unicode: Uint8Array, work: (utf8: Uint8Array) => T): T {
  const utf8 = utf8FromUtf16le(unicode);
  try {
    return work(utf8);
  } finally {
    new Uint8Array(utf8.buffer).fill(0);
  }
}

function aesKey(
  { size, digest, name }: AesType,
  password: Uint8Array,
  salt: Uint8Array,
  iterationCount: number,
): Uint8Array<ArrayBuffer> {
  if (!Number.isInteger(iterationCount) || iterationCount < 1 || iterationCount > MAX_ITERATION_COUNT) {
    throw new RangeError(`an iteration count of 1 to ${MAX_ITERATION_COUNT} expected, not ${iterationCount}`);
  }
  const saltp = name === undefined ? salt : Buffer.concat([Buffer.from(`${name}\0`, 'latin1'), salt]);
  const tkey = pbkdf2Sync(password, saltp, iterationCount, size, digest);
  try {
    return digest === 'sha1' ? deriveAesKey(tkey, KERBEROS) : kdfHmacSha2(tkey, KERBEROS, digest);
  } finally {
    tkey.fill(0);
  }
}

/** KDF-HMAC-SHA2 (RFC 8009 3) for a key of the size of its own: one HMAC is enough for both. */
function kdfHmacSha2(key: Uint8Array, label: Uint8Array, digest: 'sha256' | 'sha384'): Uint8Array<ArrayBuffer> {
  const k = Buffer.alloc(4);
  k.writeUInt32BE(8 * key.length);
  const k1 = createHmac(digest, key)
    .update(Uint8Array.of(0, 0, 0, 1))
    .update(label)
    .update(Uint8Array.of(0))
    .update(k)
    .digest();
  const derived = secretBytes(key.length);
  derived.set(k1.subarray(0, key.length));
  k1.fill(0);
  return derived;
}

/**
 * UTF-8 of UTF-16LE, U+FFFD for each lone surrogate, as Windows makes it of machines' random passwords. No string comes
 * into being; the caller wipes the whole `buffer` behind the view.
 */
export function utf8FromUtf16le(unicode: Uint8Array): Uint8Array<ArrayBuffer> {
  // Three bytes for each unit; pairs take four for two.
  const utf8 = secretBytes(3 * (unicode.length >> 1));
  const unit = (at: number): number => (at + 1 < unicode.length ? unicode[at]! | (unicode[at + 1]! << 8) : 0);
  let size = 0;
  for (let at = 0; at + 1 < unicode.length; at += 2) {
    let point = unit(at);
    if (point >= 0xd800 && point <= 0xdfff) {
      const low = unit(at + 2);
      if (point <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
        point = 0x10000 + ((point & 0x3ff) << 10) + (low & 0x3ff);
        at += 2;
      } else {
        point = 0xfffd;
      }
    }
    if (point < 0x80) {
      utf8[size++] = point;
    } else {
      const more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
      utf8[size++] = (0xff00 >> (more + 1)) | (point >> (6 * more));
      for (let i = more - 1; i >= 0; i--) utf8[size++] = 0x80 | ((point >> (6 * i)) & 0x3f);
    }
  }
  return utf8.subarray(0, size);
}

/** Whose salt it is. */
export interface SaltOwner {
  /** The domain's DNS name, in any case. */
  readonly realm: string;
  /** Of a computer with its `$`. */
  readonly sAMAccountName: string;
  /** What stands before its `@` takes sAMAccountName's place. */
  readonly userPrincipalName?: string;
  /** A computer's account, or a domain controller's. */
  readonly isComputer?: boolean;
}

/**
 * The salt that a DC gives a new password. A renamed account keeps the salt of its password until that changes.
 *
 * @example defaultSalt({ realm: 'adatum.com', sAMAccountName: 'April' }) // 'ADATUM.COMApril'
 * @example defaultSalt({ realm: 'contoso.com', sAMAccountName: 'DC01$', isComputer: true }) // 'CONTOSO.COMhostdc01.contoso.com'
 */
export function defaultSalt({ realm, sAMAccountName, userPrincipalName, isComputer = false }: SaltOwner): string {
  if (isComputer) {
    const name = sAMAccountName.replace(/\$$/, '').toLowerCase();
    return `${realm.toUpperCase()}host${name}.${realm.toLowerCase()}`;
  }
  const name = userPrincipalName === undefined ? sAMAccountName : userPrincipalName.replace(/@[^@]*$/, '');
  return `${realm.toUpperCase()}${name}`;
}
