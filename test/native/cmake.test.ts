/** CMake and node-gyp build the same addon, and clang's build keeps what holds for GCC's. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { addon, root } from './addon.js';
import { build, lacking, withHeaders } from './cmake.js';
import { output } from './run.js';
import { expectOwnSymbolsOnly } from './symbols.js';

const MINUTES = 60_000;
const nodeGyp = join(dirname(createRequire(import.meta.url).resolve('node-gyp/package.json')), 'bin', 'node-gyp.js');

interface Command {
  /** Of the source, from the root. */
  readonly path: string;
  readonly command: string;
}

/** A compilation database's commands for the addon; the tests compile some of its sources for a model of their CPU. */
function read(...database: string[]): Command[] {
  const entries: { file: string; command: string }[] = JSON.parse(readFileSync(join(...database), 'utf8'));
  return entries
    .map(({ file, command }) => ({ path: relative(root, file), command }))
    .filter(({ path, command }) => !path.startsWith(join('native', 'test')) && !command.includes('-o test'));
}

/** What makes each source of the addon itself: its ISA, its visibility, our defines and Node-API's. */
function flags(commands: readonly Command[]): Record<string, string[]> {
  const result: Record<string, string[]> = {};
  for (const { path, command } of commands) {
    // To node-gyp addon.cc and the sources behind it are one target, and each sees the defines of the other.
    const defines = path === join('native', 'addon.cc') ? 'NAPI_|NODE_ADDON_API_' : 'PHSYNC_';
    const wanted = new RegExp(`(?<=[ "])-(?:m(?!64)[^ "]+|fPIC|fvisibility=[a-z]+|D(?:${defines})[^ "]+)`, 'g');
    result[path] = [...new Set(command.match(wanted))].sort();
  }
  return result;
}

describe.skipIf(lacking !== undefined)(
  `CMake${lacking === undefined ? '' : `, with which ${lacking} is needed`}`,
  () => {
    let folder: string;
    beforeAll(async () => {
      folder = await build('clang');
    }, 8 * MINUTES);

    it('compiles the same sources with the same flags as node-gyp', { timeout: MINUTES }, async () => {
      await output(process.execPath, [nodeGyp, 'configure', '--', '-f', 'compile_commands_json'], {
        env: withHeaders(),
      });
      const byGyp = flags(read(root, 'build', 'Release', 'compile_commands.json'));
      expect(Object.keys(byGyp)).toContain(join('native', 'kernels', 'portable', 'kernel_portable.cc'));
      expect(flags(read(folder, 'build', 'compile_commands.json'))).toEqual(byGyp);
    });

    it("passes the kernels' own tests, by ctest", { timeout: 2 * MINUTES }, async () => {
      const args = ['--test-dir', join(folder, 'build'), '--output-on-failure'];
      expect(await output('ctest', args)).toContain('100% tests passed, 0 tests failed');
    });

    it.each(addon.kernels().compiled)('leaves nothing weak in the library of %s', (kernel) => {
      expectOwnSymbolsOnly('nm', join(folder, 'build', `libphsync_${kernel}.a`));
    });

    it('leaves GCC nothing to warn of', { timeout: 2 * MINUTES }, async () => {
      const gcc = ['-fsyntax-only', '-std=c++17', '-Wall', '-Wextra', '-Wpedantic', '-Werror'];
      for (const { path, command } of read(folder, 'build', 'compile_commands.json')) {
        const own = command.match(/(?<= )-(?:isystem [^ ]+|m[^ ]+|D[^ ]+)/g) ?? [];
        await output('g++', [...gcc, ...own.flatMap((flag) => flag.split(' ')), path]);
      }
    });
  },
);
