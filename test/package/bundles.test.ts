/** A program that uses the pool, as users build it: phsync bundled in or left outside, ESM and CommonJS, and not bundled at all. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { NODE_24, runtime } from '../runtimes.js';
import { describePackage } from './describe-package.js';
import { execute, type Outcome, plainEnvironment } from './tools.js';

const ITEMS = 64;
const PROGRAM = `
import { createHash } from 'node:crypto';
import { createHasher } from 'phsync';

async function main() {
  const hasher = createHasher({ threads: 2 });
  const { digests } = await hasher.deriveBatch({
    ntHashes: new Uint8Array(${ITEMS} * 16).map((_, i) => i),
    salts: new Uint8Array(${ITEMS} * 10).map((_, i) => i * 7),
  });
  await hasher.close();
  console.log(JSON.stringify({ backend: hasher.info.backend, sha256: createHash('sha256').update(digests).digest('hex') }));
}
main();
`;

/** Of the digests that Python's hashlib.pbkdf2_hmac gives for PROGRAM's input. */
const SHA256 = '046c7c464d4d778660275d93fded2f2952cb547c96eebbe7efd3b6271b151268';

const linuxX64 = process.platform === 'linux' && process.arch === 'x64';
const nodes = [
  [`Node.js ${process.versions.node}`, async () => process.execPath],
  ...(linuxX64 ? [['Node.js 24', () => runtime(NODE_24)] as const] : []),
] as const;
const backend = inject('tarball') === undefined ? 'fallback' : 'native';

let elsewhere: string;
const folder = join(inject('installed'), 'bundles');
beforeAll(() => {
  elsewhere = mkdtempSync(join(tmpdir(), 'phsync-bundles-'));
  mkdirSync(folder);
});
afterAll(() => rmSync(elsewhere, { recursive: true, force: true }));

/** Runs it from another directory, so that only the program's own place says where phsync is. */
const run = (node: string, file: string): Promise<Outcome> =>
  execute(node, [file], { cwd: elsewhere, env: plainEnvironment() });

function expectDigests({ status, stdout, stderr }: Outcome): void {
  expect(status, stderr).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ backend, sha256: SHA256 });
  expect(stderr).toBe('');
}

async function bundle(format: 'esm' | 'cjs', external: boolean, outfile: string): Promise<void> {
  await build({
    stdin: { contents: PROGRAM, resolveDir: inject('installed') },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format,
    external: external ? ['phsync'] : [],
    // A bundle in CommonJS has no import.meta, of which esbuild warns; phsync does without.
    logOverride: { 'empty-import-meta': 'silent' },
    outfile,
  });
}

describePackage('bundles', () => {
  describe.each([
    ['esm', 'left outside', true],
    ['esm', 'bundled in', false],
    ['cjs', 'left outside', true],
    ['cjs', 'bundled in', false],
  ] as const)('an %s bundle with phsync %s', (format, how, external) => {
    const name = `${format}-${how.replace(' ', '-')}.${format === 'esm' ? 'mjs' : 'cjs'}`;
    beforeAll(() => bundle(format, external, join(folder, name)));

    it.each(nodes)('computes on %s', async (_, node) => {
      expectDigests(await run(await node(), join(folder, name)));
    });

    it('says what it misses where phsync is not installed', async () => {
      const file = join(elsewhere, name);
      await bundle(format, external, file);
      const { status, stderr } = await run(process.execPath, file);
      expect(status).not.toBe(0);
      expect(stderr).toMatch(
        external ? /Cannot find (package|module) 'phsync'/ : /needs the package installed beside it/,
      );
    });
  });
});

describePackage('a CommonJS program', () => {
  it.each(nodes)('requires the ES module on %s', async (_, node) => {
    const file = join(folder, 'required.cjs');
    writeFileSync(file, PROGRAM.replace(/^import (.+) from (.+);$/gm, 'const $1 = require($2);'));
    expectDigests(await run(await node(), file));
  });
});
