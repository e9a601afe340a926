/** The worker threads: concurrency, close, and a process that ends by itself. */

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createHasher } from '#src/hasher/create-hasher.js';
import { describeBackends, runnable } from './backends.js';
import { at, hex, orgId } from './reference.js';

const [fallback, ...native] = runnable;
const best = native[0] ?? fallback!;
const entry = new URL('../../dist/index.js', import.meta.url).href;

/** Runs a module's text in a process of its own. */
function runModule(source: string) {
  return spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8', timeout: 20_000 });
}

describeBackends('the pool', (hasher) => {
  it('keeps concurrent batches apart', async () => {
    const batches = Array.from({ length: 12 }, (_, i) => ({
      ntHashes: randomBytes(16 * (1 + 13 * i)),
      iterations: 2 + i,
    }));
    const results = await Promise.all(batches.map((batch) => hasher().deriveBatch(batch)));
    results.forEach(({ digests, salts }, b) => {
      const { ntHashes, iterations } = batches[b]!;
      for (const i of [0, ntHashes.length / 32, ntHashes.length / 16 - 1].map(Math.floor)) {
        expect(hex(at(digests, i, 32))).toBe(hex(orgId(at(ntHashes, i, 16), at(salts, i, 10), iterations)));
      }
    });
  });

  it('leaves the main thread free', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await hasher().deriveBatch({ ntHashes: randomBytes(16 * 64), iterations: 20_000 });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });
});

describe('close', () => {
  it('cuts off what is running, and later calls', async () => {
    const hasher = createHasher({ ...best, threads: 2 });
    const busy = [
      hasher.deriveBatch({ ntHashes: randomBytes(16 * 200_000) }),
      hasher.deriveBatch({ ntHashes: randomBytes(16 * 16), iterations: 100_000 }),
      hasher.derive(randomBytes(16)),
      hasher.verify({ salt: randomBytes(10), iterations: 1, hash: randomBytes(32) }, 'x'),
    ];
    const settled = Promise.allSettled(busy);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await hasher.close();
    const codes = (await settled).map((one) => (one.status === 'rejected' ? one.reason.code : 'done'));
    expect(codes[0]).toBe('hasher-closed');
    expect(codes.every((code) => code === 'hasher-closed' || code === 'done')).toBe(true);
    for (const late of [
      () => hasher.deriveBatch({ ntHashes: new Uint8Array(0) }),
      () => hasher.openAndDeriveBatch({ sessionKeys: [randomBytes(16)], envelopes: [], rids: new Uint32Array(0) }),
      () => hasher.derive(randomBytes(16)),
      () => hasher.verify({ salt: randomBytes(10), iterations: 1, hash: randomBytes(32) }, 'x'),
    ]) {
      await expect(late()).rejects.toMatchObject({ name: 'PhsyncError', code: 'hasher-closed' });
    }
    await hasher.close();
  });

  it('cuts off calls made in the same turn', async () => {
    const hasher = createHasher({ ...best, threads: 1 });
    const single = hasher.derive(randomBytes(16));
    const closed = hasher.close();
    await expect(single).rejects.toMatchObject({ code: 'hasher-closed' });
    await closed;
  });

  it('resolves where nothing was started', async () => {
    const hasher = createHasher({ backend: 'fallback' });
    await hasher.close();
    expect(hex(hasher.ntHash(''))).toBe('31d6cfe0d16ae931b73c59d7e0c089c0');
  });
});

describe('a process', () => {
  it('ends by itself with a hasher left open, after its work', () => {
    const options = JSON.stringify({ ...best, threads: 2 });
    const { status, stdout, stderr } = runModule(`
      import { createHasher } from '${entry}';
      const hasher = createHasher(${options});
      const { digests } = await hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 100) });
      hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 3000) }).then(({ digests }) => console.log(digests.length));
      console.log(digests.length);
    `);
    expect([status, stdout, stderr]).toEqual([0, '3200\n96000\n', '']);
  });

  it('ends at once after close', () => {
    const { status, stdout, stderr } = runModule(`
      import { createHasher } from '${entry}';
      const hasher = createHasher(${JSON.stringify({ ...best, threads: 2 })});
      const cut = hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 1_000_000) }).catch((error) => error.code);
      setTimeout(() => hasher.close(), 100);
      console.log(await cut);
    `);
    expect([status, stdout, stderr]).toEqual([0, 'hasher-closed\n', '']);
  });
});
