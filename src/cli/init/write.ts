/** Writes the files of `phsync init`: mode 0600, whole or not at all, and over none that is there unless it is asked for. */

import { randomBytes } from 'node:crypto';
import { access, link, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PhsyncError } from '../../hasher/errors.js';

export interface OwnFile {
  readonly path: string;
  readonly text: string;
}

const exists = async (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** Throws PhsyncError `init-exists` where one of these is there. */
export async function refuseExisting(paths: readonly string[]): Promise<void> {
  for (const path of paths) if (await exists(path)) throw existing(path);
}

function existing(path: string): PhsyncError {
  return new PhsyncError('init-exists', `${path} is there already; --force overwrites it`, { facts: { file: path } });
}

async function write({ path, text }: OwnFile, force: boolean): Promise<void> {
  // No other user can guess the name, and `wx` follows no link that somebody laid there.
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    // A link is refused where the name is taken, a renaming is not.
    if (force) await rename(temporary, path);
    else await link(temporary, path);
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw existing(path);
    throw new PhsyncError('init-write', `cannot write ${path}: ${code}`, { cause, facts: { file: path } });
  } finally {
    await rm(temporary, { force: true });
  }
}

/** The secrets first: an agent.yaml that is there names files that are there. */
export async function writeFiles(files: readonly OwnFile[], force: boolean): Promise<void> {
  if (!force) await refuseExisting(files.map(({ path }) => path));
  for (const file of files) {
    const folder = dirname(file.path);
    try {
      // Open to others, unlike the files in it: the service's user is to find agent.yaml there.
      await mkdir(folder, { recursive: true, mode: 0o755 });
    } catch (cause) {
      const { code = 'unknown' } = cause as NodeJS.ErrnoException;
      throw new PhsyncError('init-write', `cannot make the directory ${folder}: ${code}`, { cause });
    }
    await write(file, force);
  }
}
