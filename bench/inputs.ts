/** What every contender works on, the same in every process, and what has to come out, by node:crypto. */

import { createCipheriv, createHash, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { Rc4 } from '#src/crypto/rc4.js';

export const ITERATIONS = 1000;

/** n × `size` bytes that differ from job to job. */
function painted(jobs: number, size: number, seed: string): Uint8Array {
  const bytes = new Uint8Array(jobs * size);
  for (let job = 0; job < jobs; job++) {
    bytes.set(createHash('sha256').update(`${seed} ${job}`).digest().subarray(0, size), job * size);
  }
  return bytes;
}

/** OrgId's PBKDF2 password: upper-case hex of the NT hash in UTF-16LE, 64 bytes. */
export function expand(ntHash: Uint8Array): Buffer {
  return Buffer.from(Buffer.from(ntHash).toString('hex').toUpperCase(), 'utf16le');
}

export interface Inputs {
  /** jobs × 16 bytes. */
  readonly ntHashes: Uint8Array;
  /** jobs × 10 bytes. */
  readonly salts: Uint8Array;
}

export function inputs(jobs: number): Inputs {
  return { ntHashes: painted(jobs, 16, 'nt hash'), salts: painted(jobs, 10, 'salt') };
}

export const passwordOf = ({ ntHashes }: Inputs, job: number): Buffer =>
  expand(ntHashes.subarray(job * 16, job * 16 + 16));
export const saltOf = ({ salts }: Inputs, job: number): Uint8Array => salts.subarray(job * 10, job * 10 + 10);

/** One digest by node:crypto. */
export function reference(of: Inputs, job: number): Buffer {
  return pbkdf2Sync(passwordOf(of, job), saltOf(of, job), ITERATIONS, 32, 'sha256');
}

/** Up to so many jobs every digest is checked, beyond that one in CHECK_STRIDE: no width is a multiple of it. */
const CHECKED = 64;
const CHECK_STRIDE = 37;

/** @throws Error that names the first digest that is not node:crypto's. */
export function checkDigests(name: string, of: Inputs, digests: Uint8Array): void {
  const jobs = digests.length / 32;
  const stride = jobs <= CHECKED ? 1 : CHECK_STRIDE;
  for (let job = 0; job < jobs; job += stride) {
    if (!timingSafeEqual(digests.subarray(job * 32, job * 32 + 32), reference(of, job))) {
      throw new Error(`${name}: digest ${job} of ${jobs} is wrong`);
    }
  }
}

export interface Envelopes extends Inputs {
  readonly sessionKey: Uint8Array;
  /** jobs × 36 bytes. */
  readonly envelopes: Uint8Array;
  readonly rids: Uint32Array;
}

export function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc >>> 1) ^ (0xedb8_8320 & -(crc & 1));
    }
  }
  return ~crc >>> 0;
}

/** Seven key bytes to DES's eight, parity ignored (MS-SAMR 2.2.11.1.2). */
function desKey(k: Uint8Array): Buffer {
  let bits = 0n;
  for (const byte of k) bits = (bits << 8n) | BigInt(byte);
  const key = Buffer.alloc(8);
  for (let i = 0; i < 8; i++) key[i] = Number((bits >> BigInt(49 - 7 * i)) & 0x7fn) << 1;
  return key;
}

/** Both DES keys of a RID (MS-SAMR 2.2.11.1.3). */
function ridKeys(rid: number): [Buffer, Buffer] {
  const i = Buffer.alloc(4);
  i.writeUInt32LE(rid);
  const [a, b, c, d] = i as unknown as [number, number, number, number];
  return [desKey(Uint8Array.of(a, b, c, d, a, b, c)), desKey(Uint8Array.of(d, a, b, c, d, a, b))];
}

/** Three times the same key: single DES, which OpenSSL 3 offers only so. */
function desEncrypt(key: Buffer, block: Uint8Array): Buffer {
  const cipher = createCipheriv('des-ede3', Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

/** A DC's part, by node:crypto: NT hash → RID-DES → CRC-32 → RC4 under MD5(session key ‖ salt). */
function seal(ntHash: Uint8Array, rid: number, sessionKey: Uint8Array, salt: Uint8Array): Uint8Array {
  const [first, second] = ridKeys(rid);
  const inner = Buffer.concat([desEncrypt(first, ntHash.subarray(0, 8)), desEncrypt(second, ntHash.subarray(8))]);
  return sealData(inner, sessionKey, salt);
}

/** An ENCRYPTED_PAYLOAD of any data. */
export function sealData(data: Uint8Array, sessionKey: Uint8Array, salt: Uint8Array): Uint8Array {
  const body = Buffer.alloc(4 + data.length);
  body.writeUInt32LE(crc32(data));
  body.set(data, 4);
  const rc4 = new Rc4(createHash('md5').update(sessionKey).update(salt).digest());
  rc4.process(body);
  return Buffer.concat([salt, body]);
}

/** The same NT hashes as `inputs`, as a domain controller sends them. */
export function envelopes(jobs: number): Envelopes {
  const { ntHashes, salts } = inputs(jobs);
  const sessionKey = createHash('sha256').update('session key').digest();
  const sealed = new Uint8Array(jobs * 36);
  const rids = new Uint32Array(jobs);
  for (let job = 0; job < jobs; job++) {
    rids[job] = 1000 + job;
    const salt = createHash('md5').update(`salt ${job}`).digest();
    sealed.set(seal(ntHashes.subarray(job * 16, job * 16 + 16), rids[job]!, sessionKey, salt), job * 36);
  }
  return { ntHashes, salts, sessionKey, envelopes: sealed, rids };
}
