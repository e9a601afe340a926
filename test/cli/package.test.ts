/** What the package holds, by npm's own account, and that it installs where nothing can be compiled. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const shell = process.platform === 'win32';

interface Manifest {
  readonly exports: { readonly '.': { readonly types: string; readonly default: string } };
  readonly bin: { readonly phsync: string };
  readonly scripts: { readonly install: string };
}
let manifest: Manifest;
let files: readonly string[];

beforeAll(async () => {
  manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const { stdout } = await run(npm, ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, shell });
  const packed = JSON.parse(stdout) as readonly { readonly files: readonly { readonly path: string }[] }[];
  files = packed[0]!.files.map(({ path }) => path);
}, 60_000);

describe('the package', () => {
  it('holds what its own entries name', () => {
    const { types, default: main } = manifest.exports['.'];
    for (const path of [types, main, manifest.bin.phsync]) expect(files).toContain(path.replace(/^\.\//, ''));
  });

  it('holds every source that the addon is built from', async () => {
    const gyp = await readFile(join(root, 'binding.gyp'), 'utf8');
    const sources = [...gyp.matchAll(/'(native\/[^']+\.cc)'/g)].map(([, path]) => path!);
    expect(sources.length).toBeGreaterThan(5);
    const queue = [...sources];
    const seen = new Set<string>();
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      expect(files).toContain(path);
      const text = await readFile(join(root, path), 'utf8');
      const folder = path.slice(0, path.lastIndexOf('/'));
      // Files are named from their own folder or from `native`; those of libraries stand in angle brackets.
      for (const [, name] of text.matchAll(/#include "([^"]+)"/g)) {
        const found = [`${folder}/${name}`, `native/${name}`]
          .map((each) => join(each).replaceAll('\\', '/'))
          .find((each) => files.includes(each));
        expect(found, `${name} in ${path}`).toBeDefined();
        queue.push(found!);
      }
    }
  });

  it('leaves out tests, benchmarks, maps and TypeScript', () => {
    const odd = files.filter(
      (path) =>
        /(^|\/)(test|bench|native\/prebuild)\/|\.map$|\.tsbuildinfo$|\.test\.|\.log$|\.tgz$/.test(path) ||
        (path.endsWith('.node') && !path.startsWith('prebuilds/')) ||
        (path.endsWith('.ts') && !path.endsWith('.d.ts')),
    );
    expect(odd).toEqual([]);
  });
});

describe('installing it', () => {
  it('does not fail where the addon cannot be built', { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'phsync-install-'));
    const { install } = manifest.scripts;
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'no-build', scripts: { install } }));
    await writeFile(join(folder, 'binding.gyp'), 'no compiler gets to see this');
    const path = `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH}`;
    const { stdout } = await run(npm, ['run', 'install'], {
      cwd: folder,
      shell,
      env: { ...process.env, PATH: path },
    });
    expect(stdout).toContain('pure-JS fallback');
    await rm(folder, { recursive: true });
  });
});
