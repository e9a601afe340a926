/** Makes the directory that state goes into. */

import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { PhsyncError } from '../../hasher/errors.js';

/**
 * Makes the directory and what is missing above it, mode 0700; one that is there stays as it is. Node's own `recursive`
 * never comes back where a directory exists and takes no new ones (below /proc).
 * @throws PhsyncError `state-directory`
 */
export function makeDirectory(path: string): void {
  try {
    make(path);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new PhsyncError('state-directory', `cannot make the directory ${path}: ${reason}`, {
      cause,
      facts: { path, reason },
    });
  }
}

function make(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const parent = dirname(path);
  if (parent !== path && !existsSync(parent)) make(parent);
  mkdirSync(path, { mode: 0o700 });
}
