/** What root may do without capabilities, by the modes of files (path_resolution(7)): a unit takes CAP_DAC_OVERRIDE away. */

import { realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';

const READ = 4;
const SEARCH = 1;

function may({ uid, gid, mode }: Stats, bit: number): boolean {
  const shift = uid === 0 ? 6 : gid === 0 ? 3 : 0;
  return ((mode >> shift) & bit) !== 0;
}

function canSearch(directory: string): boolean {
  if (!may(statSync(directory), SEARCH)) return false;
  const parent = dirname(directory);
  return parent === directory || canSearch(parent);
}

/** Whether root can read the file; false also where it is not there, or cannot be looked at from here. */
export function rootCanRead(file: string): boolean {
  try {
    return canSearch(dirname(file)) && canSearch(dirname(realpathSync(file))) && may(statSync(file), READ);
  } catch {
    // Not on this machine, or not for us to see.
    return false;
  }
}

/** Whether the directory is there, is root's, and nobody else's. */
export function isRootsOwn(directory: string): boolean {
  const stats = statSync(directory, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && stats.uid === 0 && (stats.mode & 0o077) === 0;
}
