/** A copy of the checkout with a fault planted in its native sources: what the benchmarks are tried against. */

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../instructions/programs.js';

export interface Plant {
  readonly what: string;
  readonly file: string;
  /** The place, once in the file. */
  readonly find: string;
  readonly put: string;
}

const ROUND = 'PHSYNC_INLINE void sha256_round(V* s, V hkw, V& cache) {\n';

/** Faults that leave every digest right. */
export const plants = {
  instruction: {
    what: 'one needless instruction a compression',
    file: 'native/kernels/generic/sha256.h',
    find: ROUND,
    put: `${ROUND}  if constexpr (t == 20) __asm__ __volatile__("movq %rax, %rax");\n`,
  },
  'instruction-a-round': {
    what: 'one needless instruction a round',
    file: 'native/kernels/generic/sha256.h',
    find: ROUND,
    put: `${ROUND}  __asm__ __volatile__("movq %rax, %rax");\n`,
  },
  lane: {
    what: 'a plan that leaves one lane of every call idle',
    file: 'native/hash_batch.cc',
    find: 'const size_t n = std::min(lanes, count - begin);',
    put: 'const size_t n = std::min(lanes > 1 ? lanes - 1 : lanes, count - begin);',
  },
} as const satisfies Record<string, Plant>;

export type PlantName = keyof typeof plants;

/** What a copy needs to be built and measured; node_modules is linked. */
const PARTS = ['package.json', 'binding.gyp', 'native', 'build', 'dist', 'bench'] as const;

/**
 * @returns the copy's directory; the caller removes it.
 * @throws Error where the sources have moved on and the plant no longer fits.
 */
export function copyWith(name: PlantName | undefined): string {
  const copy = mkdtempSync(join(tmpdir(), 'phsync-planted-'));
  try {
    for (const part of PARTS) {
      // With their times: what make finds unchanged it leaves alone.
      cpSync(join(root, part), join(copy, part), { recursive: true, preserveTimestamps: true });
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    if (name === undefined) return copy;
    const { file, find, put } = plants[name];
    const source = readFileSync(join(copy, file), 'utf8');
    if (source.split(find).length !== 2) throw new Error(`the plant ${name} no longer fits ${file}`);
    writeFileSync(
      join(copy, file),
      source.replace(find, () => put),
    );
    return copy;
  } catch (error) {
    rmSync(copy, { recursive: true, force: true });
    throw error;
  }
}

/** Builds what has changed: a target of binding.gyp, or all of the addon. */
export function build(copy: string, target = 'phsync'): void {
  execFileSync('make', ['-C', join(copy, 'build'), 'BUILDTYPE=Release', '--silent', target], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
