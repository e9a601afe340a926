/** Every kernel on random batches against the portable one and `node:crypto`, and on block edges against @noble/hashes and hash-wasm. */

import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { md5 as nobleMd5 } from '@noble/hashes/legacy.js';
import { pbkdf2 as noblePbkdf2 } from '@noble/hashes/pbkdf2.js';
import { sha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { createMD4 } from 'hash-wasm';
import { beforeAll, expect, it } from 'vitest';
import type { KernelChoice } from '#src/hasher/types.js';
import { orgId, seal } from '../hasher/reference.js';
import { addon, describeKernels, hex, join, oddly, painted, split } from './addon.js';
import { EDGES } from './parity/grid.js';

let md4: (message: Uint8Array) => string;
beforeAll(async () => {
  const hasher = await createMD4();
  md4 = (message) => hasher.init().update(message).digest('hex');
});

const most = 2 * Math.max(...addon.kernels().widths.map(({ lanes }) => lanes)) + 1;
const bytes = (maxLength: number, minLength = 0) => fc.uint8Array({ minLength, maxLength });
/** Mostly short, now and then of several blocks. */
const message = fc.oneof({ weight: 3, arbitrary: bytes(70) }, { weight: 1, arbitrary: bytes(300) });
const messages = fc.array(message, { minLength: 1, maxLength: most, size: 'max' });
const pairs = fc.array(fc.tuple(message, message), { minLength: 1, maxLength: most, size: 'max' });

function hash(
  name: 'md4Batch' | 'md5Batch',
  kernel: KernelChoice,
  items: readonly Uint8Array[],
  odd: boolean,
): string[] {
  const place = odd ? <T extends Uint8Array | Uint32Array>(array: T) => oddly(array) : <T>(array: T) => array;
  const joined = join(items);
  const digests = place(new Uint8Array(16 * items.length));
  addon[name](kernel, place(joined.bytes), place(joined.offsets), digests);
  return split(digests, 16);
}

function pbkdf2(
  kernel: KernelChoice,
  jobs: readonly [Uint8Array, Uint8Array][],
  rounds: number,
  dkLen: number,
): string[] {
  const passwords = join(jobs.map(([password]) => password));
  const salts = join(jobs.map(([, salt]) => salt));
  const keys = new Uint8Array(dkLen * jobs.length);
  addon.pbkdf2Batch(kernel, passwords.bytes, passwords.offsets, salts.bytes, salts.offsets, rounds, dkLen, keys);
  return split(keys, dkLen);
}

describeKernels('cross-check', (kernel) => {
  it('MD4 and MD5 of random messages', () => {
    const check = fc.property(messages, fc.boolean(), (items, odd) => {
      const md5 = items.map((item) => createHash('md5').update(item).digest('hex'));
      expect(hash('md5Batch', kernel, items, odd)).toEqual(md5);
      expect(hash('md5Batch', 'portable', items, odd)).toEqual(md5);
      expect(hash('md4Batch', kernel, items, odd)).toEqual(hash('md4Batch', 'portable', items, odd));
    });
    fc.assert(check, { numRuns: 40 });
  });

  it('HMAC-SHA256 of random keys and messages', () => {
    const check = fc.property(pairs, (jobs) => {
      const keys = join(jobs.map(([key]) => key));
      const texts = join(jobs.map(([, text]) => text));
      const digests = new Uint8Array(32 * jobs.length);
      addon.hmacSha256Batch(kernel, keys.bytes, keys.offsets, texts.bytes, texts.offsets, digests);
      expect(split(digests, 32)).toEqual(
        jobs.map(([key, text]) => createHmac('sha256', key).update(text).digest('hex')),
      );
    });
    fc.assert(check, { numRuns: 40 });
  });

  it('PBKDF2 of random passwords and salts, rounds and key lengths', () => {
    const check = fc.property(
      pairs,
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 100 }),
      (jobs, c, dkLen) => {
        const keys = pbkdf2(kernel, jobs, c, dkLen);
        expect(keys).toEqual(pbkdf2('portable', jobs, c, dkLen));
        expect(keys).toEqual(
          jobs.map(([password, salt]) => pbkdf2Sync(password, salt, c, dkLen, 'sha256').toString('hex')),
        );
      },
    );
    fc.assert(check, { numRuns: 30 });
  });

  it('envelopes of random NT hashes, RIDs and session keys, some of them damaged', () => {
    const item = fc.record({
      ntHash: bytes(16, 16),
      salt: bytes(10, 10),
      rid: fc.integer({ min: 0, max: 0xffffffff }),
      key: fc.nat(),
      damage: fc.option(fc.nat({ max: 36 * 8 - 1 }), { freq: 5 }),
    });
    const items = fc.array(item, { minLength: 1, maxLength: most, size: 'max' });
    const sessionKeys = fc.uniqueArray(bytes(64, 1), { minLength: 1, maxLength: 4, selector: hex });
    const check = fc.property(items, sessionKeys, (all, keys) => {
      const count = all.length;
      const sealed = all.map(({ ntHash, rid, key, damage }) => {
        const envelope = new Uint8Array(seal(keys[key % keys.length]!, rid, ntHash));
        if (damage !== null) envelope[damage >> 3]! ^= 1 << (damage & 7);
        return envelope;
      });
      const joined = join(keys);
      const digests = new Uint8Array(32 * count);
      const status = new Uint8Array(count);
      const rids = Uint32Array.from(all, ({ rid }) => rid);
      const salts = join(all.map(({ salt }) => salt)).bytes;
      const envelopes = join(sealed).bytes;
      addon.openAndDeriveBatch(kernel, joined.bytes, joined.offsets, envelopes, rids, salts, 2, digests, status);
      // That a damaged one still opens has a chance of 2^-32, which is the CRC-32's.
      const wanted = all.map(({ rid, damage }) => (rid === 0 ? 3 : damage !== null ? 2 : 0));
      expect([...status]).toEqual(wanted);
      expect(split(digests, 32)).toEqual(
        all.map(({ ntHash, salt }, i) => (wanted[i] === 0 ? hex(orgId(ntHash, salt, 2)) : '00'.repeat(32))),
      );
    });
    fc.assert(check, { numRuns: 25 });
  });

  it('MD4 as hash-wasm and MD5 as @noble/hashes have them, round the block edges', () => {
    const items = EDGES.map((size, i) => painted(size, 31 * i));
    expect(hash('md4Batch', kernel, items, false)).toEqual(items.map(md4));
    expect(hash('md5Batch', kernel, items, false)).toEqual(items.map((item) => hex(nobleMd5(item))));
  });

  it('PBKDF2 as @noble/hashes has it', () => {
    for (const c of [1, 2, 1000]) {
      const wanted = hex(noblePbkdf2(sha256, painted(64), painted(10), { c, dkLen: 40 }));
      expect(pbkdf2(kernel, [[painted(64), painted(10)]], c, 40)).toEqual([wanted]);
    }
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
