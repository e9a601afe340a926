/** The worker threads: concurrency, close, and a process that ends by itself. */

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createHasher } from '#src/hasher/create-hasher.js';
import { describeBackends, runnable } from './backends.js';
import { at, hex, orgId } from './reference.js';

const [fallback, ...native] = runnable;
const best = native[0] ?? fallback!;
const entry = new URL('../../dist/index.js', import.meta.url).href;

/** Runs a module's text in a process of its own. */
function runModule(source: string) {
  return spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8', timeout: 100_000 });
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
    const stop = new AbortController();
    let over = false;
    const batch = hasher()
      .deriveBatch({ ntHashes: new Uint8Array(16 * 1_000_000), iterations: 10_000, signal: stop.signal })
      .catch((reason: unknown) => reason)
      .finally(() => {
        over = true;
      });
    for (let turns = 0; turns < 6; turns++) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(hasher().load.running).toBeGreaterThan(0);
    // Minutes of work are left.
    expect(over).toBe(false);
    stop.abort('enough');
    expect(await batch).toBe('enough');
  });
});

describe('close', () => {
  it('cuts off what is running, and later calls', async () => {
    const hasher = createHasher({ ...best, threads: 2 });
    const busy = [
      hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 1_000_000), iterations: 10_000 }),
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

const threadsOf = (pid = process.pid): number => readdirSync(`/proc/${pid}/task`).length;

describe.skipIf(process.platform !== 'linux')('the threads of a process (Linux)', () => {
  it('are as many as there is work for', async () => {
    const hasher = createHasher({ ...best, threads: 3, idleTimeout: 1_000_000 });
    const before = threadsOf();
    const derive = () => hasher.derive(randomBytes(16), { iterations: 1 });
    await derive();
    expect(threadsOf()).toBe(before + 1);
    await derive();
    expect(threadsOf()).toBe(before + 1);
    await hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 4096) });
    expect(threadsOf()).toBe(before + 3);
    await hasher.close();
  });

  it('end when idle, and start again', async () => {
    const hasher = createHasher({ ...best, threads: 3, idleTimeout: 500 });
    const before = threadsOf();
    for (let round = 0; round < 2; round++) {
      const batch = hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 4096) });
      while (threadsOf() === before) await new Promise((resolve) => setImmediate(resolve));
      await batch;
      while (threadsOf() > before) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await hasher.close();
  });

  it('are gone when close resolves, every time, and for everyone who closes', async () => {
    const before = threadsOf();
    for (let i = 0; i < 15; i++) {
      const hasher = createHasher({ ...best, threads: 2, idleTimeout: 0 });
      const calls = Promise.allSettled([
        hasher.deriveBatch({ ntHashes: randomBytes(16 * 2000), iterations: 1 + 1000 * (i % 2) }),
        hasher.derive(randomBytes(16)),
      ]);
      // At every stage: before the workers run, while they work, and when they are done and about to end.
      if (i % 3 === 1) await new Promise((resolve) => setTimeout(resolve, 10 * i));
      if (i % 3 === 2) {
        await calls;
        while (threadsOf() === before + 2) await new Promise((resolve) => setImmediate(resolve));
      }
      const closed = await Promise.race([hasher.close(), hasher.close()]);
      expect([closed, threadsOf()]).toEqual([undefined, before]);
      await calls;
    }
  });
});

describe('a hasher', () => {
  const work = `
    import { createHasher } from '${entry}';
    const hasher = createHasher(${JSON.stringify({ ...best, threads: 2 })});
  `;
  const answer = `hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 100), salts: new Uint8Array(1000) })
    .then(({ digests }) => Buffer.from(digests.subarray(3168)).toString('hex'))`;
  const expected = hex(orgId(new Uint8Array(16), new Uint8Array(10), 1000));

  it('works in a worker thread, and ends with it', () => {
    const inside = `${work}
      const { parentPort } = await import('node:worker_threads');
      parentPort.postMessage(await ${answer});
      parentPort.on('message', () => {});
      void hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 1_000_000) });`;
    const { status, stdout, stderr } = runModule(`
      import { Worker } from 'node:worker_threads';
      import { once } from 'node:events';
      const worker = new Worker(new URL(${JSON.stringify(`data:text/javascript,${encodeURIComponent(inside)}`)}));
      console.log((await once(worker, 'message'))[0]);
      console.log(await worker.terminate());
    `);
    expect([status, stdout, stderr]).toEqual([0, `${expected}\n1\n`, '']);
  });

  it('works in a forked process, which ends by itself', () => {
    const directory = mkdtempSync(join(tmpdir(), 'phsync-fork-'));
    try {
      const child = join(directory, 'child.mjs');
      writeFileSync(child, `${work} process.send(await ${answer}); process.disconnect();`);
      const { status, stdout, stderr } = runModule(`
        import { fork } from 'node:child_process';
        import { once } from 'node:events';
        const child = fork(${JSON.stringify(child)}, { execArgv: [] });
        const exit = once(child, 'exit');
        console.log((await once(child, 'message'))[0]);
        console.log((await exit)[0]);
      `);
      expect([status, stdout, stderr]).toEqual([0, `${expected}\n0\n`, '']);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('works beside another copy of the module', () => {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const copy = mkdtempSync(join(tmpdir(), 'phsync-copy-'));
    try {
      cpSync(join(root, 'package.json'), join(copy, 'package.json'));
      for (const part of ['hasher', 'crypto']) {
        cpSync(join(root, 'dist', part), join(copy, 'dist', part), { recursive: true });
      }
      for (const part of ['node_modules', 'build', 'prebuilds']) symlinkSync(join(root, part), join(copy, part));
      const { status, stdout, stderr } = runModule(`
        import { createHasher as one } from '${entry}';
        import { createHasher as two } from '${join(copy, 'dist/hasher/create-hasher.js')}';
        import { createHasher as three } from '${join(copy, 'dist/hasher/create-hasher.js')}?again';
        const options = ${JSON.stringify({ ...best, threads: 2 })};
        const hashers = [one, two, three].map((createHasher) => createHasher(options));
        const answers = await Promise.all(hashers.map((hasher) => ${answer}));
        console.log(new Set([one, two, three]).size, new Set(answers).size, answers[0]);
        await hashers[0].close();
        const credential = { salt: new Uint8Array(10), iterations: 1000, hash: Buffer.from(answers[0], 'hex') };
        console.log(await hashers[1].verify(credential, new Uint8Array(16)));
      `);
      expect([status, stdout, stderr]).toEqual([0, `3 1 ${expected}\ntrue\n`, '']);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });

  it('does not keep a process that exits at work', () => {
    const { status, stdout, stderr } = runModule(`${work}
      void hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 1_000_000) });
      setTimeout(() => process.exit(3), 100);`);
    expect([status, stdout, stderr]).toEqual([3, '', '']);
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
