/**
 * The addon for musl, really run: in Bun's musl build, which has Node-API and worker threads (the registry has no
 * Node.js linked against musl), under Debian's musl loader.
 */

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { describeWithTools } from '../native/tools.js';
import { BUN_MUSL, runtime } from '../runtimes.js';
import { describePackage } from './describe-package.js';
import { BUILD_TOOLS, COMPUTE, COMPUTED, execute, plainEnvironment, root, VECTORS_ARGUMENT } from './tools.js';

const phsync = join(inject('installed'), 'node_modules', 'phsync');
const addon = join(phsync, 'prebuilds', 'linux-x64', 'phsync.musl.node');
const gssapi = join(phsync, 'native', 'gssapi', 'prebuilds', 'linux-x64', 'phsync_gssapi.musl.node');
const here = join(root, 'test', 'package', 'musl');

const x64 = process.platform === 'linux' && process.arch === 'x64';
const suite = (body: () => void): void => {
  if (!x64) describe.skip('the prebuilt addon for musl (x64 only)', body);
  else
    describePackage('the prebuilt addon for musl', () =>
      describeWithTools('in Bun', { ...BUILD_TOOLS, 'musl-gcc': 'musl-tools' }, body),
    );
};

suite(() => {
  let libraries: string;
  let bun: string;
  beforeAll(async () => {
    bun = await runtime(BUN_MUSL);
    libraries = mkdtempSync(join(tmpdir(), 'phsync-musl-'));
    // libstdc++ names the loader of glibc as one of its libraries, which also gives the rest a place.
    const missing = join(libraries, 'ld-linux-x86-64.so.2');
    execFileSync('musl-gcc', [
      '-shared',
      '-fPIC',
      '-O1',
      '-Wall',
      '-Werror',
      join(here, 'glibc_names.c'),
      '-o',
      missing,
    ]);
    for (const name of ['libstdc++.so.6', 'libgcc_s.so.1']) {
      const path = execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
      copyFileSync(path, join(libraries, name));
    }
  }, 120_000);
  afterAll(() => rmSync(libraries, { recursive: true, force: true }));

  async function run(args: readonly string[]): Promise<string> {
    // node-gyp-build tells musl by Alpine's release file, or is told.
    const env = plainEnvironment({ LD_LIBRARY_PATH: libraries, LIBC: 'musl' });
    const { status, stdout, stderr } = await execute(bun, args, { cwd: inject('installed'), env });
    expect(status, stdout + stderr).toBe(0);
    return stdout;
  }

  it('is loaded by a process on musl, and its exceptions arrive', async () => {
    expect(existsSync(addon)).toBe(true);
    const program = join(libraries, 'door.cjs');
    writeFileSync(
      program,
      `const addon = require(process.argv[2]);
       let error;
       try { addon.kernels(); addon.deriveBatch('none'); } catch (caught) { error = caught; }
       const maps = require('node:fs').readFileSync('/proc/self/maps', 'utf8');
       console.log(JSON.stringify({ error: error?.name, maps: [...new Set(maps.match(/\\/\\S+$/gm))] }));`,
    );
    const { error, maps } = JSON.parse(await run([program, addon])) as { error: string; maps: string[] };
    expect(error).toBe('RangeError');
    expect(maps).toContain(addon);
    expect(maps.filter((path) => /musl.*\/libc\.so$|ld-musl/.test(path))).toHaveLength(1);
    expect(maps.filter((path) => path.endsWith('/libc.so.6'))).toEqual([]);
  });

  it("loads Kerberos' addon too, which names the libraries that it does not find there", async () => {
    const program = join(libraries, 'kerberos.cjs');
    writeFileSync(program, 'console.log(require(process.argv[2]).whyNot());');
    expect(await run([program, gssapi])).toMatch(/libkrb5\.so\.3/);
  });

  it('passes the parity grid', { timeout: 300_000 }, async () => {
    expect(await run([join(root, 'test', 'native', 'parity', 'run.ts'), addon])).toContain('no failure');
  });

  it('is what the installed package computes with there, on its pool', async () => {
    const program = join(inject('installed'), 'compute-on-musl.mjs');
    writeFileSync(program, COMPUTE);
    const { info, ...computed } = JSON.parse(await run([program, VECTORS_ARGUMENT]));
    expect(computed).toEqual(COMPUTED);
    expect(info).toMatchObject({ backend: 'native' });
  });
});
