/** Where phsync's own files lie: its worker, its addon and its dependencies, also for a program it was bundled into. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PhsyncError } from './errors.js';

const WORKER = join('dist', 'hasher', 'worker.js');

/** The path of the file that this code stands in. A bundler that writes CommonJS leaves `import.meta` empty. */
function ownPath(): string | undefined {
  const { url } = import.meta as { url?: string };
  if (url?.startsWith('file:')) return fileURLToPath(url);
  return typeof __filename === 'string' ? __filename : undefined;
}

const isHome = (directory: string): boolean => existsSync(join(directory, WORKER));

function find(): string {
  const own = ownPath();
  if (own !== undefined) {
    const home = resolve(dirname(own), '..', '..');
    if (isHome(home)) return home;
  }
  // Bundled: phsync is installed where the program is, or where it was started.
  const places = [own, process.argv[1], join(process.cwd(), 'package.json')];
  const tried = [...new Set(places.filter((path) => path !== undefined))];
  for (const from of tried) {
    try {
      const home = dirname(createRequire(from).resolve('phsync/package.json'));
      if (isHome(home)) return home;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new PhsyncError(
    'hasher-files',
    "phsync's own files are not to be found: a program that phsync was bundled into needs the package installed " +
      `beside it (node_modules/phsync); looked from ${tried.join(', ')}`,
  );
}

let home: string | undefined;

/**
 * phsync's directory, with package.json, `dist` and the addon.
 *
 * @throws {PhsyncError} `hasher-files` where a bundled program has no phsync installed beside it.
 */
export function packageHome(): string {
  home ??= find();
  return home;
}

/** The path of a compiled file of phsync's, by its place below `dist`. */
export const ownFile = (...place: string[]): string => join(packageHome(), 'dist', ...place);

/** `require` as phsync's own files have it: a bundler does not see through it. */
export const homeRequire = (): NodeJS.Require => createRequire(join(packageHome(), 'package.json'));
