/** Files with secrets whose mode lets others on the machine read them. */

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { SecretReference } from './schemas.js';

export interface OpenFile {
  readonly file: string;
  /** Four octal digits. */
  readonly mode: string;
}

/** Where the secret lies; undefined where that is no file of an administrator's. */
export const fileOf = (reference: SecretReference): string | undefined =>
  'file' in reference ? reference.file : undefined;

/**
 * Those of `files` that group or world can do anything with; none on Windows, which knows no such modes. What systemd hands
 * out is its own affair: it sets owner, mode and access list. One that is not there (any more: a secret is read once) is open
 * to nobody.
 */
export async function filesOpenToOthers(
  files: Iterable<string>,
  { CREDENTIALS_DIRECTORY }: Readonly<NodeJS.ProcessEnv> = process.env,
): Promise<readonly OpenFile[]> {
  if (process.getuid === undefined) return [];
  const handedOut = ['/run/credentials', ...(CREDENTIALS_DIRECTORY ? [resolve(CREDENTIALS_DIRECTORY)] : [])];
  const open: OpenFile[] = [];
  for (const file of new Set(files)) {
    if (handedOut.some((directory) => file.startsWith(`${directory}/`))) continue;
    const mode = await modeOf(file);
    if (mode !== undefined && (mode & 0o077) !== 0) {
      open.push({ file, mode: (mode & 0o7777).toString(8).padStart(4, '0') });
    }
  }
  return open;
}

async function modeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).mode;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
