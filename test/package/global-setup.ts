/** Makes the package as it would be published, with this machine's prebuilt addons in it, and installs it once. */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { ARM64_TOOLS } from '../native/arm64/qemu.js';
import { BUILD_TOOLS, has, npm, root } from './tools.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The package with prebuilt addons; undefined: none can be built here. */
    tarball: string | undefined;
    /** The same without, as where nobody has prebuilt. */
    tarballOfSources: string;
    /** A folder in whose node_modules the first of both is installed, with --ignore-scripts. */
    installed: string;
    /** Why that cannot be done here. */
    unreachable: string | undefined;
  }
}

function pack(folder: string): string {
  const [packed] = JSON.parse(npm(['pack', '--ignore-scripts', '--json'], { cwd: folder })) as [{ filename: string }];
  return join(folder, packed.filename);
}

/** Whether it could. */
function prebuild(folder: string): boolean {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return false;
  if (!Object.keys(BUILD_TOOLS).every(has)) return false;
  const targets = [`${process.arch}-glibc`];
  if (process.arch === 'x64' && has('musl-gcc')) targets.push('x64-musl');
  if (process.arch === 'x64' && Object.keys(ARM64_TOOLS).every(has)) targets.push('arm64-glibc');
  const command = [join(root, 'native', 'prebuild', 'prebuild.mjs'), ...targets, '--out', folder];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command.join(' ')} failed:\n${stdout}${stderr}`);
  return true;
}

export default function setup({ provide }: TestProject): () => Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'phsync-package-'));
  const sources = join(folder, 'sources');
  const whole = join(folder, 'whole');
  for (const path of ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'binding.gyp', 'native', 'dist']) {
    cpSync(join(root, path), join(sources, path), { recursive: true });
  }
  cpSync(sources, whole, { recursive: true });
  const hasAddon = prebuild(whole);
  const tarballOfSources = pack(sources);
  const tarball = hasAddon ? pack(whole) : undefined;

  const installed = join(folder, 'installed');
  mkdirSync(installed);
  let unreachable: string | undefined;
  try {
    npm(['install', '--prefix', installed, '--ignore-scripts', '--omit=optional', tarball ?? tarballOfSources], {
      cwd: installed,
    });
  } catch (error) {
    const { code } =
      /code (?<code>ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|ECONNREFUSED|ENOTCACHED)/.exec((error as Error).message)
        ?.groups ?? {};
    if (code === undefined || process.env.CI === 'true') throw error;
    unreachable = `npm's registry is out of reach: ${code}`;
  }

  provide('tarball', tarball);
  provide('tarballOfSources', tarballOfSources);
  provide('installed', installed);
  provide('unreachable', unreachable);
  return () => rm(folder, { recursive: true, force: true });
}
