/** Builds of the addon by CMake, with the compilers that this machine has. */

import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, join } from 'node:path';
import { root } from './addon.js';
import { output, run } from './run.js';

const cmakeJs = join(dirname(createRequire(import.meta.url).resolve('cmake-js/package.json')), 'bin', 'cmake-js');

async function has(file: string): Promise<boolean> {
  try {
    return (await run(file, ['--version'])).code === 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** The sanitizers' runtime as a library that can be preloaded into Node.js. */
const architecture = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
export async function sanitizerRuntime(): Promise<string> {
  return (await output('clang++', [`-print-file-name=libclang_rt.asan-${architecture}.so`])).trim();
}

/**
 * What a build with clang lacks here, in words; undefined where it can be made. With CI=true nothing may be lacking:
 * the build is tried and fails.
 */
async function findLacking(): Promise<string | undefined> {
  if (process.env.CI === 'true') return undefined;
  if (process.platform !== 'linux') return 'Linux';
  const tools = ['cmake', 'clang++'];
  const missing = await Promise.all(tools.map(async (tool) => ((await has(tool)) ? [] : [tool])));
  if (missing.flat().length > 0) return missing.flat().join(' and ');
  return isAbsolute(await sanitizerRuntime()) ? undefined : "clang's sanitizers (Debian: libclang-rt-dev)";
}
export const lacking = await findLacking();

/** For cmake-js and node-gyp: the headers that came with this Node.js, where they did, in place of a download. */
export function withHeaders(): NodeJS.ProcessEnv {
  const prefix = join(dirname(process.execPath), '..');
  const present = existsSync(join(prefix, 'include', 'node', 'node_api.h'));
  return present ? { npm_config_nodedir: prefix, ...process.env } : process.env;
}

/**
 * Builds everything with clang below build/cmake/`name`, from where it was left; returns that folder, in which the
 * package's loader finds the addon (PHSYNC_PREBUILD). A warning fails the build.
 */
export async function build(name: string, options: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = join(root, 'build', 'cmake', name);
  const settings = Object.entries({ ...options, CMAKE_COMPILE_WARNING_AS_ERROR: 'ON' });
  const common = [
    '--directory',
    join(root, 'native'),
    '--out',
    join(folder, 'build'),
    '--cxx',
    'clang++',
    '--parallel',
    '2',
    '--log-level',
    'error',
  ];
  const args = [...common, ...settings.map(([key, value]) => `--CD${key}=${value}`)];
  const env = withHeaders();
  const configured = await run(process.execPath, [cmakeJs, 'configure', ...args], { env });
  // Made in another place or by another generator.
  if (configured.code !== 0) await rm(folder, { recursive: true, force: true });
  await output(process.execPath, [cmakeJs, 'build', ...args], { env });
  return folder;
}
