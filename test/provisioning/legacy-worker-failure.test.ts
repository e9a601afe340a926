/** A sealer's worker that cannot start, or dies at work, is an error of the call; nobody waits for ever. */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLegacySealer } from '#src/provisioning/legacy-sealer.js';
import { openBlob } from './blobs.js';
import { createCertificate } from './certificates.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
let copy: string;

beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'phsync-sealer-'));
  cpSync(join(root, 'package.json'), join(copy, 'package.json'));
  for (const part of ['hasher', 'crypto', 'protocol', 'provisioning']) {
    cpSync(join(root, 'dist', part), join(copy, 'dist', part), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
});
afterEach(() => rmSync(copy, { recursive: true }));

it.each([
  ['does not load', `throw new Error('broken module');`, /^a sealer's worker failed, 3 times in a row: broken module/],
  ['dies at work', `export const run = () => process.exit(7);`, /3 times in a row: worker exited with code: 7/],
  [
    'cannot do the work',
    `export const run = () => ({ name: 'Error', message: 'no such key' });`,
    /failed: no such key/,
  ],
])('a worker that %s fails the call', async (_, worker, message) => {
  writeFileSync(join(copy, 'dist/provisioning/legacy-worker.js'), worker);
  const { der } = await createCertificate(2048);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { createLegacySealer } from '${join(copy, 'dist/provisioning/legacy-sealer.js')}';
       const sealer = createLegacySealer({ backend: 'fallback', threads: 1 });
       const certificate = Buffer.from('${der.toString('base64')}', 'base64');
       const batch = { certificate, ntlm: false, sessionKeys: [new Uint8Array(16)], items: [{ rid: 7 }] };
       const { name, code, message } = await sealer.seal(batch).catch((error) => error);
       await sealer.close();
       console.log(JSON.stringify({ name, code, message }));`,
    ],
    { encoding: 'utf8', timeout: 60_000 },
  );
  expect([status, stderr]).toEqual([0, '']);
  expect(JSON.parse(stdout)).toEqual({
    name: 'PhsyncError',
    code: 'sealer-worker',
    message: expect.stringMatching(message),
  });
});

it('another certificate is sealed for as soon as it is given, by workers that had the one before', async () => {
  const certificates = await Promise.all([createCertificate(2048), createCertificate(2048)]);
  const sealer = createLegacySealer({ threads: 1 });
  try {
    for (const { der, privateKey } of [...certificates, ...certificates]) {
      const items = [{ rid: 7 }];
      const [user] = await sealer.seal({ certificate: der, ntlm: false, sessionKeys: [new Uint8Array(16)], items });
      expect(openBlob(user!.legacy.blob!, privateKey).plaintext).toHaveLength(24);
    }
  } finally {
    await sealer.close();
  }
});
