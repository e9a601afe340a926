/** What a figure was measured on: without it a figure says nothing. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly flags: readonly string[];
  readonly memoryGiB: number;
  readonly os: string;
  readonly node: string;
  readonly openssl: string;
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

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    flags: cpuFlags(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    openssl: process.versions.openssl ?? '',
    commit: git('rev-parse', '--short=12', 'HEAD'),
    dirty: git('status', '--porcelain', '--untracked-files=no') !== '',
    date: new Date().toISOString(),
  };
}
