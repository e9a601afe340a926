/** The counted program and the stepper, compiled and linked with the objects of the addon that node-gyp has built. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NativeAddon } from '#src/hasher/backend.js';

export interface KernelLanes {
  readonly name: string;
  readonly supported: boolean;
  /** Lanes of each width; none where it is not supported. */
  readonly pbkdf2: readonly number[];
}

export interface Programs {
  readonly driver: string;
  readonly stepper: string;
  /** What built the addon, as it says itself. */
  readonly compiler: string;
  /** `kernel → static library`. */
  library(kernel: string): string;
}

export const root = fileURLToPath(new URL('../../..', import.meta.url));

/** @throws Error with the compiler's own words, or where the addon is not built from source in this checkout. */
export function buildPrograms(): Programs {
  const release = join(root, 'build', 'Release');
  const objects = join(release, 'obj.target', 'phsync', 'native');
  if (!existsSync(join(objects, 'hash_batch.o'))) {
    throw new Error(`no objects of the addon below ${objects}: run \`npm run build:native\` first`);
  }
  const out = join(root, 'build', 'instructions');
  mkdirSync(out, { recursive: true });
  const compile = (name: string, ...links: string[]): string => {
    const program = join(out, name);
    const source = join(root, 'bench', 'instructions', `${name}.cc`);
    execFileSync(process.env.CXX ?? 'c++', ['-std=c++17', '-O2', '-o', program, source, ...links], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    return program;
  };
  // Everything but the Node-API door.
  const core = readdirSync(objects).filter((name) => name.endsWith('.o') && name !== 'addon.o');
  const libraries = readdirSync(release).filter((name) => /^phsync_\w+\.a$/.test(name));
  const addon = (createRequire(import.meta.url)('node-gyp-build') as (root: string) => NativeAddon)(root);
  return {
    driver: compile(
      'driver',
      ...core.map((name) => join(objects, name)),
      ...libraries.map((name) => join(release, name)),
    ),
    stepper: compile('stepper'),
    compiler: addon.kernels().compiler,
    library: (kernel) => join(release, `phsync_${kernel}.a`),
  };
}

/** The kernels that the driver is linked with, and whether the CPU runs them: the real one, or the one that `under` shows. */
export function listKernels({ driver }: Programs, under: readonly string[] = []): KernelLanes[] {
  const [command, ...args] = [...under, driver, 'list'];
  const text = execFileSync(command!, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [name, supported, ...pbkdf2] = line.split(' ');
      return {
        name: name!,
        supported: supported === '1',
        pbkdf2: pbkdf2.map(Number),
      };
    });
}
