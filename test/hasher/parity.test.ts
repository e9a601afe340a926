/** Random batches on every backend and kernel, against node:crypto. */

import { randomBytes, randomInt } from 'node:crypto';
import { expect, it } from 'vitest';
import { EnvelopeStatus } from '#src/hasher/types.js';
import { describeBackends } from './backends.js';
import { at, hex, orgId, seal } from './reference.js';

const SIZES = [0, 1, 15, 16, 17, 31, 1000];

describeBackends('batches', (hasher) => {
  it.each(SIZES)('derives %i credentials', async (n) => {
    const iterations = n > 100 ? 2 : 7;
    const ntHashes = randomBytes(16 * n);
    const before = hex(ntHashes);
    const { digests, salts, ...rest } = await hasher().deriveBatch({ ntHashes, iterations });
    expect(rest).toEqual({ iterations });
    expect([digests.length, salts.length]).toEqual([32 * n, 10 * n]);
    for (let i = 0; i < n; i++) {
      expect(hex(at(digests, i, 32)), `item ${i}`).toBe(hex(orgId(at(ntHashes, i, 16), at(salts, i, 10), iterations)));
    }
    // Salts are drawn one by one, and the caller's bytes stay the caller's.
    expect(new Set(Array.from({ length: n }, (_, i) => hex(at(salts, i, 10)))).size).toBe(n);
    expect(hex(ntHashes)).toBe(before);
  });

  it.each([1, 2, 3, 1000, 4096])('runs %i iterations', async (iterations) => {
    const ntHashes = randomBytes(16 * 5);
    const salts = randomBytes(10 * 5);
    const result = await hasher().deriveBatch({ ntHashes, salts, iterations });
    expect(hex(result.salts)).toBe(hex(salts));
    for (let i = 0; i < 5; i++) {
      expect(hex(at(result.digests, i, 32))).toBe(hex(orgId(at(ntHashes, i, 16), at(salts, i, 10), iterations)));
    }
  });

  it.each(SIZES)('opens %i envelopes, bad ones among them, under several session keys', async (n) => {
    // Newest first: the middle of the page was sealed under older keys, of NTLM's and of Kerberos' lengths.
    const sessionKeys = [randomBytes(16), randomBytes(32), randomBytes(16), randomBytes(24)];
    const rids = new Uint32Array(n);
    const envelopes: Uint8Array[] = [];
    const secrets: Uint8Array[] = [];
    const status: number[] = [];
    for (let i = 0; i < n; i++) {
      const secret = randomBytes(16);
      rids[i] = randomInt(1, 2 ** 32);
      let envelope: Uint8Array = seal(sessionKeys[randomInt(sessionKeys.length)]!, rids[i]!, secret);
      const fate = randomInt(8);
      if (fate === 0) {
        envelope = envelope.slice(0, randomInt(36));
        status.push(EnvelopeStatus.length);
      } else if (fate === 1) {
        envelope = Buffer.concat([envelope, randomBytes(randomInt(1, 40))]);
        status.push(EnvelopeStatus.length);
      } else if (fate === 2) {
        envelope[randomInt(36)]! ^= 1 << randomInt(8);
        status.push(EnvelopeStatus.checksum);
      } else if (fate === 3) {
        rids[i] = 0;
        status.push(EnvelopeStatus.rid);
      } else {
        status.push(EnvelopeStatus.ok);
      }
      envelopes.push(envelope);
      secrets.push(secret);
    }
    const result = await hasher().openAndDeriveBatch({ sessionKeys, envelopes, rids, iterations: 3 });
    expect([...result.status]).toEqual(status);
    for (let i = 0; i < n; i++) {
      const [digest, salt] = [at(result.digests, i, 32), at(result.salts, i, 10)];
      if (status[i] === EnvelopeStatus.ok) {
        expect(hex(digest), `item ${i}`).toBe(hex(orgId(secrets[i]!, salt, 3)));
      } else {
        expect([hex(digest), hex(salt)], `item ${i}`).toEqual(['00'.repeat(32), '00'.repeat(10)]);
      }
    }
  });

  it('takes flat envelopes, given salts, and shared memory at odd offsets', async () => {
    const n = 37;
    const shared = (bytes: Uint8Array): Uint8Array => {
      const view = new Uint8Array(new SharedArrayBuffer(bytes.length + 3)).subarray(3);
      view.set(bytes);
      return view;
    };
    const sessionKey = randomBytes(16);
    const secrets = Array.from({ length: n }, () => randomBytes(16));
    const salts = randomBytes(10 * n);
    const rids = Uint32Array.from({ length: n }, (_, i) => 1000 + i);
    const result = await hasher().openAndDeriveBatch({
      sessionKeys: [shared(randomBytes(32)), shared(sessionKey)],
      envelopes: shared(Buffer.concat(secrets.map((secret, i) => seal(sessionKey, rids[i]!, secret)))),
      rids,
      salts: shared(salts),
      iterations: 2,
    });
    expect(hex(result.salts)).toBe(hex(salts));
    const digests = secrets.map((secret, i) => orgId(secret, at(salts, i, 10), 2));
    expect(hex(result.digests)).toBe(hex(Buffer.concat(digests)));
    // What comes out is memory of its own: no later batch can change it.
    expect(result.digests.buffer).toBeInstanceOf(ArrayBuffer);
    expect(result.salts.buffer).toBeInstanceOf(ArrayBuffer);
  });

  it('reads its input before it returns', async () => {
    const ntHashes = randomBytes(16 * 20);
    const salts = randomBytes(10 * 20);
    const expected = orgId(at(ntHashes, 19, 16), at(salts, 19, 10), 2);
    const pending = hasher().deriveBatch({ ntHashes, salts, iterations: 2 });
    ntHashes.fill(0);
    salts.fill(0);
    expect(hex(at((await pending).digests, 19, 32))).toBe(hex(expected));
  });
});
