/** Published vectors on every kernel: RFC 1320, RFC 1321, RFC 4231, RFC 7914, OrgId hashes, ENCRYPTED_PAYLOADs. */

import { pbkdf2Sync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { addon, ascii, describeKernels, hex, join, split, unhex } from './addon.js';
import { hmacSuite, md4Suite, md5Suite, pbkdf2Suite, suiteMessages } from './parity/published.js';

const vectors = (name: string) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));

describeKernels('published vectors', (kernel) => {
  it('MD4: RFC 1320, A.5', () => {
    const { bytes, offsets } = join(suiteMessages);
    const digests = new Uint8Array(16 * suiteMessages.length);
    addon.md4Batch(kernel, bytes, offsets, digests);
    expect(split(digests, 16)).toEqual(md4Suite);
  });

  it('MD5: RFC 1321, A.5', () => {
    const { bytes, offsets } = join(suiteMessages);
    const digests = new Uint8Array(16 * suiteMessages.length);
    addon.md5Batch(kernel, bytes, offsets, digests);
    expect(split(digests, 16)).toEqual(md5Suite);
  });

  it('HMAC-SHA256: RFC 4231, section 4', () => {
    const keys = join(hmacSuite.map(([key]) => key));
    const messages = join(hmacSuite.map(([, data]) => data));
    const digests = new Uint8Array(32 * hmacSuite.length);
    addon.hmacSha256Batch(kernel, keys.bytes, keys.offsets, messages.bytes, messages.offsets, digests);
    expect(split(digests, 32).map((digest, i) => digest.slice(0, hmacSuite[i]![2].length))).toEqual(
      hmacSuite.map(([, , digest]) => digest),
    );
  });

  it('PBKDF2-HMAC-SHA256: RFC 7914, section 11', () => {
    for (const [password, salt, iterations, key] of pbkdf2Suite) {
      const passwords = join([ascii(password)]);
      const salts = join([ascii(salt)]);
      const derived = new Uint8Array(key.length / 2);
      addon.pbkdf2Batch(
        kernel,
        passwords.bytes,
        passwords.offsets,
        salts.bytes,
        salts.offsets,
        iterations,
        derived.length,
        derived,
      );
      expect(hex(derived)).toBe(key);
    }
  });

  it('OrgId hashes: DSInternals', () => {
    for (const { ntHash, salt, iterations, hash } of vectors('orgid')) {
      const digest = new Uint8Array(32);
      addon.deriveBatch(kernel, unhex(ntHash), unhex(salt), iterations, digest);
      expect(hex(digest)).toBe(hash);
    }
  });

  it('ENCRYPTED_PAYLOADs of NT hashes: DSInternals, Samba', () => {
    const entries = vectors('replication').filter(
      (entry: { rid?: number; blob: string }) => entry.rid && entry.blob.length === 72,
    );
    expect(entries.length).toBeGreaterThanOrEqual(2);
    for (const { sessionKey, blob, rid, expected } of entries) {
      const key = join([unhex(sessionKey)]);
      const salt = unhex('00112233445566778899');
      const digest = new Uint8Array(32);
      const status = new Uint8Array([9]);
      addon.openAndDeriveBatch(
        kernel,
        key.bytes,
        key.offsets,
        unhex(blob),
        new Uint32Array([rid]),
        salt,
        100,
        digest,
        status,
      );
      expect(status[0]).toBe(0);
      const password = Buffer.from(expected[0].toUpperCase(), 'utf16le');
      expect(hex(digest)).toBe(pbkdf2Sync(password, salt, 100, 32, 'sha256').toString('hex'));
    }
  });
});
