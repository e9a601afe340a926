/** What the package holds, by npm's own account. */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
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

  it.each([
    ['', 'native/'],
    ['native/gssapi/', ''],
  ])('holds every source that the addon of %sbinding.gyp is built from', async (home, within) => {
    expect(files).toContain(`${home}binding.gyp`);
    const gyp = await readFile(join(root, home, 'binding.gyp'), 'utf8');
    const names = new RegExp(`'(${within}[^']+\\.cc)'`, 'g');
    const sources = [...gyp.matchAll(names)].map(([, path]) => `${home}${path!}`);
    expect(sources.length).toBeGreaterThan(4);
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
        (path.endsWith('.node') && !/^(native\/gssapi\/)?prebuilds\//.test(path)) ||
        /(^|\/)(build|node_modules)\//.test(path) ||
        (path.endsWith('.ts') && !path.endsWith('.d.ts')),
    );
    expect(odd).toEqual([]);
  });
});
