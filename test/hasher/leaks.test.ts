/** Nothing is kept: not of 10,000 batches through the addon or the pool, not of worker threads that come and go. */

import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const nodeGypBuild: { path(root: string): string } = createRequire(import.meta.url)('node-gyp-build');
const addon = JSON.stringify(nodeGypBuild.path(root));
const entry = JSON.stringify(new URL('../../dist/index.js', import.meta.url).href);

const MEBIBYTE = 2 ** 20;

interface Growth {
  readonly rss: number;
  readonly external: number;
  readonly arrayBuffers: number;
}

/**
 * Runs `work`, the body of an async function of `n` that does something n times, in a process of its own: once to warm
 * up, then in up to three rounds. The growth is that of the round that grew least, since a leak grows in every round and
 * the heaps' own affairs do not; `stop`, a function body, ends what `work` left open, and the process ends by itself.
 */
async function growth(setUp: string, work: string, times: number, stop = ''): Promise<Growth> {
  const source = `
    import { createRequire } from 'node:module';
    const require = createRequire(${JSON.stringify(import.meta.url)});
    ${setUp}
    const work = async (n) => {${work}};
    const measure = async () => {
      for (let i = 0; i < 4; i++) {
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return process.memoryUsage();
    };
    await work(${times});
    let least;
    let before = await measure();
    for (let round = 0; round < 3; round++) {
      await work(${times});
      const after = await measure();
      const grown = Object.fromEntries(['rss', 'external', 'arrayBuffers'].map((of) => [of, after[of] - before[of]]));
      if (least === undefined || grown.rss < least.rss) least = grown;
      if (least.rss < ${MEBIBYTE}) break;
      before = after;
    }
    {${stop}}
    const open = process.getActiveResourcesInfo().filter((kind) => !/Pipe|TTY|CloseReq/.test(kind));
    process.stdout.write(JSON.stringify({ least, open }));`;
  // A young generation that may grow to 16 MiB grows and shrinks by more than a leak.
  const flags = ['--expose-gc', '--max-semi-space-size=1', '--input-type=module', '-e', source];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, flags, { timeout: 120_000 });
  expect(stderr).toBe('');
  const { least, open } = JSON.parse(stdout);
  expect(open).toEqual([]);
  return least;
}

/** Half of what a kibibyte a batch would come to. */
const BOUND = 5000 * 1024;

function expectFlat({ rss, external, arrayBuffers }: Growth): void {
  expect(rss).toBeLessThan(BOUND);
  expect(external).toBeLessThan(MEBIBYTE / 4);
  expect(arrayBuffers).toBeLessThan(MEBIBYTE / 4);
}

// One of each door, and one that it refuses.
const throughTheAddon = `
  for (let i = 0; i < n; i++) {
    const kernel = supported[i % supported.length];
    const bytes = new Uint8Array(300).fill(i);
    const digests = new Uint8Array(3 * 32);
    const offsets = Uint32Array.of(0, 10, 100, 300);
    switch (i % 6) {
      case 0: addon.md4Batch(kernel, bytes, offsets, new Uint8Array(48)); break;
      case 1: addon.hmacSha256Batch(kernel, bytes, offsets, bytes, offsets, digests); break;
      case 2: addon.pbkdf2Batch(kernel, bytes, offsets, bytes, offsets, 2, 20, new Uint8Array(60)); break;
      case 3: addon.deriveBatch(kernel, bytes.subarray(0, 48), new Uint8Array(30), 2, digests); break;
      case 4: addon.openAndDeriveBatch(kernel, bytes.subarray(0, 16), Uint32Array.of(0, 16), bytes.subarray(0, 108),
        Uint32Array.of(1, 2, 3), new Uint8Array(30), 2, digests, new Uint8Array(3)); break;
      default: try {
        addon.deriveBatch(kernel, bytes, new Uint8Array(30), 2, digests);
        throw new Error('not refused');
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }
  }`;
const withAddon = `
  const addon = require(${addon});
  const { supported } = addon.kernels();`;

const throughThePool = `
  for (let i = 0; i < n; i += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, k) => k % 2 === 0
      ? hasher.deriveBatch({ ntHashes: new Uint8Array(16 * (1 + k)).fill(i), iterations: 2 })
      : hasher.openAndDeriveBatch({ sessionKeys: [new Uint8Array(16)], envelopes: new Uint8Array(36 * k),
        rids: new Uint32Array(k).fill(5), iterations: 2 })));
  }`;
const withHasher = `
  import { createHasher } from ${entry};
  const hasher = createHasher({ backend: 'native', threads: 2 });`;

describe('memory', () => {
  it('is as before after 10,000 batches through the addon', { timeout: 120_000 }, async () => {
    expectFlat(await growth(withAddon, throughTheAddon, 10_000));
  });

  it('is as before after 10,000 batches through the pool', { timeout: 120_000 }, async () => {
    expectFlat(await growth(withHasher, throughThePool, 10_000, 'await hasher.close();'));
  });

  it('is as before after 200 workers that loaded the addon, worked and ended', { timeout: 120_000 }, async () => {
    const worker = JSON.stringify(`
      const addon = require(${addon});
      const digest = new Uint8Array(16);
      addon.md5Batch(addon.kernels().supported[0], new Uint8Array(100), new Uint32Array([0, 100]), digest);`);
    const work = `
      for (let i = 0; i < n; i += 2) {
        await Promise.all([0, 1].map(() => new Promise((resolve, reject) => {
          const worker = new Worker(${worker}, { eval: true, execArgv: [] });
          worker.once('error', reject);
          worker.once('exit', (code) => code === 0 ? resolve() : reject(new Error('exit ' + code)));
        })));
      }`;
    expectFlat(await growth(`import { Worker } from 'node:worker_threads';`, work, 200));
  });

  it.each([
    ['an ArrayBuffer', 'kept.push(new ArrayBuffer(1024));', 'arrayBuffers'],
    ['other memory', 'kept.push(Array(128).fill(i));', 'rss'],
  ] as const)('that keeps a kibibyte a batch in %s shows', { timeout: 120_000 }, async (_, leak, where) => {
    const leaking = throughTheAddon.replace('{\n', `{\n${leak}`);
    const found = await growth(`${withAddon} const kept = [];`, leaking, 10_000);
    expect(() => expectFlat(found)).toThrow();
    expect(found[where]).toBeGreaterThan(BOUND);
  });
});
