/** What the tests of the package run: npm, other Node.js versions, and a PATH without any compiler. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const windows = process.platform === 'win32';

/** The first program of that name on the PATH. */
export function which(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}
export const has = (name: string): boolean => which(name) !== undefined;

/** The environment of somebody at a shell: nothing of the npm that runs these tests, nor what steers phsync. */
export function plainEnvironment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_(?!config_registry)|PHSYNC_|NODE_(?!EXTRA_CA_CERTS)|VITEST|TEST$|CC$|CXX$|LIBC$|PREBUILDS_ONLY)/i.test(
        name,
      ),
  );
  return { ...Object.fromEntries(kept), ...more };
}

/** npm's standard output. */
export function npm(args: readonly string[], { cwd }: { cwd: string }): string {
  return execFileSync(windows ? 'npm.cmd' : 'npm', [...args, '--no-audit', '--no-fund', '--prefer-offline'], {
    cwd,
    encoding: 'utf8',
    shell: windows,
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
  });
}

/** A folder for the PATH with Node.js, npm and a shell, and nothing else to run. */
export function bareTools(folder: string, node: string): string {
  mkdirSync(folder);
  symlinkSync(node, join(folder, 'node'));
  symlinkSync(realpathSync(which('npm')!), join(folder, 'npm'));
  symlinkSync(realpathSync(which('sh')!), join(folder, 'sh'));
  return folder;
}
