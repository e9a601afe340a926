/** The directories that a program's state goes into: made where missing, and open to nobody else. */

import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { PhsyncError } from '../hasher/errors.js';

/** Makes the directory and what is missing above it, mode 0700. @throws PhsyncError `state-directory` */
export function makeDirectory(path: string): void {
  named(path, () => make(path));
}

/**
 * Makes the directory, or tightens the one that is there to mode 0700 where it is empty or our own, which its having a
 * file of the name `own` says: tightening somebody's home or /tmp by a slip in the configuration would be worse than
 * stopping. @throws PhsyncError `state-directory`
 */
export function openStateDirectory(path: string, own: string): void {
  named(path, () => {
    make(path);
    tighten(path, own);
  });
}

function named(path: string, work: () => void): void {
  try {
    work();
  } catch (cause) {
    if (cause instanceof PhsyncError) throw cause;
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new PhsyncError('state-directory', `cannot use the state directory ${path}: ${reason}`, {
      cause,
      facts: { path, reason },
    });
  }
}

/** Node's own `recursive` never comes back where a directory exists and takes no new ones (below /proc). */
function make(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const parent = dirname(path);
  if (parent !== path && !existsSync(parent)) make(parent);
  mkdirSync(path, { mode: 0o700 });
}

function tighten(path: string, own: string): void {
  // Windows keeps no such modes, and makes some up.
  if (process.platform === 'win32') return;
  const { mode } = statSync(path);
  if ((mode & 0o077) === 0) return;
  const files = readdirSync(path);
  if (files.length > 0 && !files.includes(own)) {
    throw new PhsyncError(
      'state-directory',
      `the state directory ${path} has other files in it and is open to other users (mode ${(mode & 0o777).toString(8)}): give stateDir a directory of its own, or chmod 700`,
      { facts: { path } },
    );
  }
  chmodSync(path, 0o700);
}
