/** What the tests of the package run: npm, other Node.js versions, and a PATH without any compiler. */

import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

interface Vector {
  readonly salt: string;
  readonly iterations: number;
  readonly hash: string;
}
/** Published credentials and what they are made of, with their sources. */
export const VECTORS: readonly Vector[] = JSON.parse(readFileSync(join(root, 'test', 'vectors', 'orgid.json'), 'utf8'));
/** A user's program: VECTORS are its argument, what it computed goes out. */
export const COMPUTE = readFileSync(join(root, 'test', 'package', 'compute.mjs'), 'utf8');
export const VECTORS_ARGUMENT = JSON.stringify(VECTORS);
/** What COMPUTE is to say, beside the hasher's `info`. */
export const COMPUTED = {
  texts: VECTORS.map(({ salt, iterations, hash }) => `v1;PPH1_MD4,${salt},${iterations},${hash};`),
  digests: VECTORS.map(({ hash }) => hash).join(''),
  verified: VECTORS.map(() => true),
  refused: VECTORS.map(() => false),
};

/** What prebuilding takes, for `describeWithTools`. */
export const BUILD_TOOLS = { 'g++': 'g++', make: 'make', python3: 'python3', readelf: 'binutils' };

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

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, found on the PATH of `env`. Not synchronously: the test runner wants to hear from its worker. */
export function execute(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { ...options, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code === 'string') reject(error);
      else resolve({ status: child.exitCode, stdout, stderr });
    });
    child.stdin?.end();
  });
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
