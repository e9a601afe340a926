/** The directories that state goes into are open to nobody else. */

import { chmodSync, readdirSync, statSync } from 'node:fs';
import { PhsyncError } from '../hasher/errors.js';

/**
 * Tightens a directory to mode 0700 where it is empty or our own, which its having a file of the name `own` says.
 * Tightening somebody's home or /tmp by a slip in the configuration would be worse than stopping.
 * @throws PhsyncError `code` where it has other files and is open to others; what the system says where it cannot be done
 */
export function tightenDirectory(directory: string, own: string, code: string): void {
  // Windows keeps no such modes, and makes some up.
  if (process.platform === 'win32') return;
  const { mode } = statSync(directory);
  if ((mode & 0o077) === 0) return;
  const files = readdirSync(directory);
  if (files.length > 0 && !files.includes(own)) {
    throw new PhsyncError(
      code,
      `the state directory ${directory} has other files in it and is open to other users (mode ${(mode & 0o777).toString(8)}): give stateDir a directory of its own, or chmod 700`,
      { facts: { directory } },
    );
  }
  chmodSync(directory, 0o700);
}
