// The library's API documentation, by TypeDoc: `npm run docs` writes it to dist/docs; with --check only tells whether
// every public name is documented and every link leads somewhere. TypeDoc cannot use the TypeScript that phsync is compiled
// with, so it brings its own, kept below node_modules/.cache; npm holds both to the lock file's SHA-512.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '..', '..');

/** Runs it and ends where it fails. */
function run(command, args, cwd) {
  const { status } = spawnSync(command, args, { cwd, stdio: 'inherit', shell: process.platform === 'win32' });
  if (status !== 0) process.exit(status ?? 1);
}

function installedTypedoc() {
  const { dependencies } = JSON.parse(readFileSync(join(here, 'typedoc', 'package.json'), 'utf8'));
  const cache = join(root, 'node_modules', '.cache', 'phsync');
  const installed = join(cache, `typedoc-${dependencies.typedoc}-typescript-${dependencies.typescript}`);
  if (!existsSync(installed)) {
    mkdirSync(cache, { recursive: true });
    const fresh = mkdtempSync(join(cache, 'installing-'));
    process.once('exit', () => rmSync(fresh, { recursive: true, force: true }));
    cpSync(join(here, 'typedoc'), fresh, { recursive: true });
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], fresh);
    // Somebody else may have been faster.
    if (!existsSync(installed)) renameSync(fresh, installed);
  }
  return join(installed, 'node_modules', 'typedoc', 'bin', 'typedoc');
}

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const output = values.check ? ['--emit', 'none'] : ['--out', join(root, 'dist', 'docs')];
run(process.execPath, [installedTypedoc(), '--options', join(here, 'typedoc.json'), ...output], root);
