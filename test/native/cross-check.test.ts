/** Every kernel against node:crypto, @noble/hashes and hash-wasm: block edges, lane counts, tails, offsets, shared memory. */

import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { md5 as nobleMd5 } from '@noble/hashes/legacy.js';
import { pbkdf2 as noblePbkdf2 } from '@noble/hashes/pbkdf2.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { createMD4 } from 'hash-wasm';
import { beforeAll, expect, it } from 'vitest';
import { orgId } from '../hasher/reference.js';
import { addon, describeKernels, hex, join, MAX_LANES, oddly, painted, split } from './addon.js';

let md4: (message: Uint8Array) => string;
beforeAll(async () => {
  const hasher = await createMD4();
  md4 = (message) => hasher.init().update(message).digest('hex');
});

/** One below, at and one above the places where padding takes another block. */
const edges = [0, 1, 54, 55, 56, 57, 63, 64, 65, 111, 118, 119, 120, 121, 127, 128, 129, 183, 184, 191, 192, 193, 1000];
/** Walks all lane widths and their tails. */
const counts = [...Array.from({ length: 2 * MAX_LANES + 1 }, (_, i) => i + 1), 255, 256, 257, 300];

describeKernels('cross-check', (kernel) => {
  it('MD4 and MD5 of messages of unequal lengths in one batch', () => {
    const messages = edges.map((size, i) => painted(size, 31 * i));
    const { bytes, offsets } = join(messages);
    const digests = new Uint8Array(16 * messages.length);
    addon.md5Batch(kernel, bytes, offsets, digests);
    expect(split(digests, 16)).toEqual(messages.map((m) => createHash('md5').update(m).digest('hex')));
    expect(split(digests, 16)).toEqual(messages.map((m) => hex(nobleMd5(m))));
    addon.md4Batch(kernel, bytes, offsets, digests);
    expect(split(digests, 16)).toEqual(messages.map(md4));
  });

  it('MD4 and MD5 of every job count', () => {
    for (const count of counts) {
      const messages = Array.from({ length: count }, (_, i) => painted((i * 29) % 150, i));
      const { bytes, offsets } = join(messages);
      const digests = new Uint8Array(16 * count);
      addon.md5Batch(kernel, bytes, offsets, digests);
      expect(split(digests, 16)).toEqual(messages.map((m) => createHash('md5').update(m).digest('hex')));
      addon.md4Batch(kernel, bytes, offsets, digests);
      expect(split(digests, 16)).toEqual(messages.map(md4));
    }
  });

  it('HMAC-SHA256 of all key and message edges', () => {
    const pairs = edges.flatMap((key, i) => edges.map((size, k) => [painted(key, i), painted(size, 97 * k)] as const));
    const keys = join(pairs.map(([key]) => key));
    const messages = join(pairs.map(([, message]) => message));
    const digests = new Uint8Array(32 * pairs.length);
    addon.hmacSha256Batch(kernel, keys.bytes, keys.offsets, messages.bytes, messages.offsets, digests);
    expect(split(digests, 32)).toEqual(
      pairs.map(([key, message]) => createHmac('sha256', key).update(message).digest('hex')),
    );
  });

  it.each([1, 2, 3, 999, 1000])('PBKDF2 with %i iterations', (iterations) => {
    const jobs = edges.map((size, i) => [painted(size, i), painted(edges[(i * 5) % edges.length]!, 13 * i)] as const);
    const passwords = join(jobs.map(([password]) => password));
    const salts = join(jobs.map(([, salt]) => salt));
    for (const dkLen of [1, 20, 31, 32, 33, 64, 100]) {
      const derived = new Uint8Array(dkLen * jobs.length);
      addon.pbkdf2Batch(
        kernel,
        passwords.bytes,
        passwords.offsets,
        salts.bytes,
        salts.offsets,
        iterations,
        dkLen,
        derived,
      );
      expect(split(derived, dkLen)).toEqual(
        jobs.map(([password, salt]) => pbkdf2Sync(password, salt, iterations, dkLen, 'sha256').toString('hex')),
      );
    }
    const [password, salt] = jobs[7]!;
    const one = new Uint8Array(32);
    const ends = (bytes: Uint8Array) => new Uint32Array([0, bytes.length]);
    addon.pbkdf2Batch(kernel, password, ends(password), salt, ends(salt), iterations, 32, one);
    expect(hex(one)).toBe(hex(noblePbkdf2(sha256, password, salt, { c: iterations, dkLen: 32 })));
  });

  it('PBKDF2 of one password with more output blocks than a slice has jobs', () => {
    const derived = new Uint8Array(32 * 300 + 5);
    addon.pbkdf2Batch(
      kernel,
      painted(64),
      new Uint32Array([0, 64]),
      painted(10),
      new Uint32Array([0, 10]),
      3,
      derived.length,
      derived,
    );
    expect(hex(derived)).toBe(pbkdf2Sync(painted(64), painted(10), 3, derived.length, 'sha256').toString('hex'));
  });

  it('OrgId digests of every job count', () => {
    const all = counts.at(-1)!;
    const ntHashes = painted(16 * all);
    const salts = painted(10 * all, 5);
    const wanted = Array.from({ length: all }, (_, i) =>
      hex(orgId(ntHashes.subarray(16 * i, 16 * i + 16), salts.subarray(10 * i, 10 * i + 10), 3)),
    );
    for (const count of counts) {
      const digests = new Uint8Array(32 * count);
      addon.deriveBatch(kernel, ntHashes.slice(0, 16 * count), salts.slice(0, 10 * count), 3, digests);
      expect(split(digests, 32)).toEqual(wanted.slice(0, count));
    }
  });

  it('OrgId digests with 1000 iterations, a full vector and a tail', () => {
    const count = MAX_LANES + 1;
    const ntHashes = painted(16 * count, 3);
    const salts = painted(10 * count, 8);
    const digests = new Uint8Array(32 * count);
    addon.deriveBatch(kernel, ntHashes, salts, 1000, digests);
    expect(split(digests, 32)).toEqual(
      Array.from({ length: count }, (_, i) =>
        hex(orgId(ntHashes.subarray(16 * i, 16 * i + 16), salts.subarray(10 * i, 10 * i + 10), 1000)),
      ),
    );
  });

  it.each([false, true])('odd offsets, shared memory: %s', (shared) => {
    const messages = edges.map((size, i) => painted(size, i));
    const { bytes, offsets } = join(messages);
    const digests = oddly(new Uint8Array(16 * messages.length), shared);
    addon.md5Batch(kernel, oddly(bytes, shared), oddly(offsets, shared), digests);
    expect(split(digests, 16)).toEqual(messages.map((m) => createHash('md5').update(m).digest('hex')));

    const count = 31;
    const ntHashes = oddly(painted(16 * count), shared);
    const salts = oddly(painted(10 * count), shared);
    const derived = oddly(new Uint8Array(32 * count), shared);
    addon.deriveBatch(kernel, ntHashes, salts, 2, derived);
    expect(split(derived, 32)).toEqual(
      Array.from({ length: count }, (_, i) =>
        hex(orgId(ntHashes.subarray(16 * i, 16 * i + 16), salts.subarray(10 * i, 10 * i + 10), 2)),
      ),
    );
    // Nothing beside the view was written.
    const whole = new Uint8Array(derived.buffer);
    expect(whole[0]! + whole.at(-1)! + whole.at(-2)!).toBe(0);
    expect(hex(ntHashes)).toBe(hex(painted(16 * count)));
  });

  it('leaves empty batches alone', () => {
    const none = new Uint8Array(0);
    const noOffsets = new Uint32Array(1);
    addon.md4Batch(kernel, none, noOffsets, none);
    addon.hmacSha256Batch(kernel, none, noOffsets, none, noOffsets, none);
    addon.pbkdf2Batch(kernel, none, noOffsets, none, noOffsets, 1000, 32, none);
    addon.deriveBatch(kernel, none, none, 1000, none);
    const key = new Uint8Array(16);
    addon.openAndDeriveBatch(kernel, key, new Uint32Array([0, 16]), none, new Uint32Array(0), none, 1000, none, none);
  });
});
