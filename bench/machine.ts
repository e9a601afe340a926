/** What a figure was measured on: without it a figure says nothing. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadNative } from '#src/hasher/native.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly flags: readonly string[];
  readonly memoryGiB: number;
  readonly os: string;
  readonly node: string;
  readonly openssl: string;
  /** What built the addon; '' where there is none. */
  readonly compiler: string;
  /** Versions of the packages that are measured, and of the one that measures. */
  readonly packages: Readonly<Record<string, string>>;
  /** Runnable processes over the last minute before the suite: what else the machine was doing. */
  readonly load: number;
  readonly commit: string;
  readonly dirty: boolean;
  readonly date: string;
}

/** Features that decide which kernel and which OpenSSL path runs. */
const TELLING_FLAGS = ['sse4_1', 'avx2', 'avx512f', 'avx512bw', 'avx512vl', 'sha_ni', 'sha2', 'asimd'];

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    // An installed package has no repository.
    return '';
  }
}

function cpuFlags(): string[] {
  if (process.platform !== 'linux') {
    return [];
  }
  const info = readFileSync('/proc/cpuinfo', 'utf8');
  const all = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1]?.split(' ') ?? []);
  return TELLING_FLAGS.filter((flag) => all.has(flag));
}

const PACKAGES = ['@noble/hashes', 'hash-wasm', 'piscina', 'benchmark'] as const;

function packageVersion(name: string): string {
  const file = join(root, 'node_modules', name, 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function compiler(): string {
  const loaded = loadNative();
  return 'native' in loaded ? loaded.native.kernels.compiler : '';
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    flags: cpuFlags(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    openssl: process.versions.openssl ?? '',
    compiler: compiler(),
    packages: Object.fromEntries(PACKAGES.map((name) => [name, packageVersion(name)])),
    load: loadavg()[0]!,
    commit: git('rev-parse', '--short=12', 'HEAD'),
    dirty: git('status', '--porcelain', '--untracked-files=no') !== '',
    date: new Date().toISOString(),
  };
}
