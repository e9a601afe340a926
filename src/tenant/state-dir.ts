/** The tenant's state directory: 0700, its files 0600, written whole or not at all. */

import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PhsyncError } from '../hasher/errors.js';
import { openStateDirectory } from '../state/directory.js';

/** Its presence says that the directory is the tenant's own. */
export const DATABASE_FILE = 'tenant.sqlite';

/** Makes the directory or takes it over. @throws PhsyncError `state-directory` when it cannot be made, written or kept private. */
export async function openStateDir(directory: string): Promise<void> {
  try {
    openStateDirectory(directory, DATABASE_FILE);
    const probe = join(directory, `.probe-${randomUUID()}`);
    await writePrivate(probe, '');
    await rm(probe);
  } catch (cause) {
    if (cause instanceof PhsyncError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PhsyncError('state-directory', `cannot use the state directory ${directory}: ${reason}`, {
      cause,
      facts: { directory },
    });
  }
}

/** Writes `text` to a new file beside and renames it into place: a reader finds the old or the new, never a half. */
export async function writePrivate(file: string, text: string, mode = 0o600): Promise<void> {
  const partial = `${file}.${randomUUID()}.partial`;
  try {
    const handle = await open(partial, 'wx', mode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** The file's text, or undefined where there is none. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
