/** A worker that cannot start, or dies at work, is an error of the call; nobody waits for ever. */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

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
    ['does not load', `throw new Error('broken module');`, /broken module/],
    ['has no handler', `export const other = 1;`, /handler/],
    ['dies at work', `export const run = () => process.exit(7);`, /exited with code: 7/],
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
      { encoding: 'utf8', timeout: 20_000 },
    );
    expect([status, stderr]).toEqual([0, '']);
    const failure = { name: 'PhsyncError', code: 'hasher-worker', message: expect.stringMatching(message) };
    expect(JSON.parse(stdout)).toEqual([failure, failure]);
  });
});
