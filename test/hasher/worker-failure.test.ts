/** A worker that cannot start, or dies at work, is an error of the call; nobody waits for ever. */

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHasher } from '#src/hasher/create-hasher.js';
import type { Hasher } from '#src/hasher/types.js';
import { at, hex, orgId } from './reference.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('a worker', () => {
  let copy: string;

  beforeEach(() => {
    copy = mkdtempSync(join(tmpdir(), 'phsync-worker-'));
    cpSync(join(root, 'package.json'), join(copy, 'package.json'));
    for (const part of ['hasher', 'crypto'])
      cpSync(join(root, 'dist', part), join(copy, 'dist', part), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  });
  afterEach(() => rmSync(copy, { recursive: true }));

  it.each([
    ['does not load', `throw new Error('broken module');`, /3 times in a row: broken module/],
    ['ends while it loads', 'process.exit(0);', /3 times in a row: a worker ended while it started/],
    ['has no handler', `export const other = 1;`, /handler/],
    ['dies at work', `export const run = () => process.exit(7);`, /3 times in a row: worker exited with code: 7/],
    [
      'cannot do the work',
      `export const run = () => ({ name: 'Error', message: 'no such kernel', code: 'hasher-worker' });`,
      /failed: no such kernel/,
    ],
    ['throws', `export const run = () => { throw new Error('no memory'); };`, /no memory/],
  ])('that %s fails the call, and the next call is tried anew', (_, worker, message) => {
    writeFileSync(join(copy, 'dist/hasher/worker.js'), worker);
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { createHasher } from '${join(copy, 'dist/hasher/create-hasher.js')}';
         const hasher = createHasher({ backend: 'fallback', threads: 2 });
         const outcomes = [];
         for (let i = 0; i < 2; i++) {
           const batch = hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 2000) });
           outcomes.push(await batch.catch(({ name, code, message }) => ({ name, code, message })));
         }
         await hasher.close();
         console.log(JSON.stringify(outcomes));`,
      ],
      { encoding: 'utf8', timeout: 100_000 },
    );
    expect([status, stderr]).toEqual([0, '']);
    const failure = { name: 'PhsyncError', code: 'hasher-worker', message: expect.stringMatching(message) };
    expect(JSON.parse(stdout)).toEqual([failure, failure]);
  });
});

describe('workers that die', () => {
  let hasher: Hasher;
  let workers: Worker[];
  const collect = (worker: Worker) => workers.push(worker);

  beforeEach(() => {
    workers = [];
    process.on('worker', collect);
    hasher = createHasher({ threads: 2 });
  });
  afterEach(async () => {
    process.off('worker', collect);
    await hasher.close();
  });

  it('are replaced, and nothing that they had is lost', async () => {
    const n = 20_000;
    const ntHashes = randomBytes(16 * n);
    const salts = randomBytes(10 * n);
    const password = randomBytes(8).toString('hex');
    const salt = randomBytes(10);
    const credential = { salt, iterations: 1000, hash: orgId(hasher.ntHash(password), salt, 1000) };

    // There is work until three have died and others have come for them.
    let over = false;
    const untilOver = async <T>(work: () => Promise<T>): Promise<T[]> => {
      const results = [await work()];
      while (!over) results.push(await work());
      return results;
    };
    const batches = untilOver(() => hasher.deriveBatch({ ntHashes, salts, iterations: 100 }));
    const single = () => untilOver(() => hasher.verify(credential, password));
    const singles = Promise.all([single(), single(), single()]);
    const more = async (than: number) => {
      while (workers.length <= than) await new Promise((resolve) => setTimeout(resolve, 1));
    };
    await more(0);
    for (let kill = 0; kill < 3; kill++) {
      const before = workers.length;
      await workers.at(-1)!.terminate();
      await more(before);
    }
    over = true;
    for (const { digests } of await batches) {
      for (let i = 0; i < n; i += 7) {
        const expected = orgId(at(ntHashes, i, 16), at(salts, i, 10), 100);
        if (!expected.equals(at(digests, i, 32))) throw new Error(`digest ${i} is wrong`);
      }
    }
    expect(new Set((await singles).flat())).toEqual(new Set([true]));
  });

  it('again and again are an error that says how often, and the hasher works on', async () => {
    const kill = (worker: Worker) => void worker.terminate();
    process.on('worker', kill);
    try {
      await expect(hasher.derive(randomBytes(16))).rejects.toMatchObject({
        name: 'PhsyncError',
        code: 'hasher-worker',
        message: expect.stringContaining('3 times in a row'),
        facts: { attempts: 3 },
      });
      expect(workers).toHaveLength(3);
    } finally {
      process.off('worker', kill);
    }
    const ntHash = randomBytes(16);
    const { salt, hash } = await hasher.derive(ntHash, { iterations: 1 });
    expect(hex(hash)).toBe(hex(orgId(ntHash, salt, 1)));
    expect(hasher.load).toEqual({ waiting: 0, running: 0 });
  });
});
