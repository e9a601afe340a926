/**
 * An independent second opinion on node:crypto: what a DC does to make an envelope, and what a credential must be.
 * Of the code under test it takes only RC4, which OpenSSL 3 no longer offers; RFC 6229's vectors hold that.
 */

import { createCipheriv, createHash, pbkdf2Sync, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Rc4 } from '#src/crypto/rc4.js';

/** One DES block under an 8-byte key: triple DES with three equal keys is DES. */
export function desEncrypt(key: Uint8Array, block: Uint8Array): Buffer {
  const cipher = createCipheriv('des-ede3', Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

/** 7 bytes as 8, seven bits in the top of each (MS-SAMR 2.2.11.1.2), by way of a string of bits. */
export function spread(key: Uint8Array): Buffer {
  const bits = [...key].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return Buffer.from(Array.from({ length: 8 }, (_, i) => Number.parseInt(`${bits.slice(7 * i, 7 * i + 7)}0`, 2)));
}

/** The ENCRYPTED_PAYLOAD of unicodePwd as a DC makes it. */
export function seal(sessionKey: Uint8Array, rid: number, ntHash: Uint8Array, salt = randomBytes(16)): Buffer {
  const I = Buffer.alloc(4);
  I.writeUInt32LE(rid);
  const pick = (...at: number[]): Buffer => spread(Buffer.from(at.map((i) => I[i]!)));
  const data = Buffer.concat([
    desEncrypt(pick(0, 1, 2, 3, 0, 1, 2), ntHash.subarray(0, 8)),
    desEncrypt(pick(3, 0, 1, 2, 3, 0, 1), ntHash.subarray(8, 16)),
  ]);
  return sealData(sessionKey, data, salt);
}

/** An ENCRYPTED_PAYLOAD of any data, without a RID layer. */
export function sealData(sessionKey: Uint8Array, data: Uint8Array, salt = randomBytes(16)): Buffer {
  const checkSum = Buffer.alloc(4);
  checkSum.writeUInt32LE(crc32(data));
  const payload = Buffer.concat([checkSum, data]);
  new Rc4(createHash('md5').update(sessionKey).update(salt).digest()).process(payload);
  return Buffer.concat([salt, payload]);
}

/** The OrgId digest by node:crypto. */
export function orgId(ntHash: Uint8Array, salt: Uint8Array, iterations: number): Buffer {
  const password = Buffer.from(Buffer.from(ntHash).toString('hex').toUpperCase(), 'utf16le');
  return pbkdf2Sync(password, salt, iterations, 32, 'sha256');
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const unhex = (text: string): Buffer => Buffer.from(text, 'hex');
/** The i-th item of flat bytes. */
export const at = (bytes: Uint8Array, i: number, size: number): Uint8Array => bytes.subarray(i * size, (i + 1) * size);
