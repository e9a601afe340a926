/** Resolves references to secrets: an environment variable, a file or a credential of systemd's, read when needed and never logged. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PhsyncError } from '../hasher/errors.js';
import { fileErrorText } from './file-error.js';
import type { SecretReference } from './schemas.js';

const MAX_SECRET_SIZE = 64 * 1024;

/**
 * The text without a byte order mark, or undefined where it is none. NUL stands in no secret, but in every other byte of
 * what Windows PowerShell's `>` writes, which is UTF-16.
 */
function decode(bytes: Buffer): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}

/** systemd.exec(5), "Credentials": the service finds them in this directory, a file each. */
function credentialFile(credential: string, name: string, env: Readonly<NodeJS.ProcessEnv>): string {
  const { CREDENTIALS_DIRECTORY: directory } = env;
  if (directory === undefined || directory === '') {
    throw new PhsyncError(
      'config-secret',
      `${name}: the credential ${credential} is systemd's to hand out, but CREDENTIALS_DIRECTORY is not set; ` +
        'outside of the service set it to the directory where the secrets lie',
      { facts: { name, credential } },
    );
  }
  return join(directory, credential);
}

/**
 * The secret's text; `name` says what it is for in errors (`agents[0].clientSecret`). A byte order mark, and one line
 * end at the end of a file, do not belong to it. Throws PhsyncError `config-secret` when it is missing, empty or unreadable.
 */
export async function resolveSecret(
  reference: SecretReference,
  name: string,
  env: Readonly<NodeJS.ProcessEnv> = process.env,
): Promise<string> {
  if ('env' in reference) {
    const value = env[reference.env];
    if (value === undefined || value === '') {
      const state = value === undefined ? 'is not set' : 'is empty';
      throw new PhsyncError('config-secret', `${name}: the environment variable ${reference.env} ${state}`, {
        facts: { name, env: reference.env },
      });
    }
    return value;
  }
  const file = 'file' in reference ? reference.file : credentialFile(reference.credential, name, env);
  const facts = { name, file };
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw new PhsyncError('config-secret', `${name}: cannot read the secret's file ${file}: ${fileErrorText(cause)}`, {
      cause,
      facts,
    });
  }
  try {
    if (bytes.length > MAX_SECRET_SIZE) {
      throw new PhsyncError('config-secret', `${name}: ${file} is longer than ${MAX_SECRET_SIZE} bytes`, {
        facts,
      });
    }
    const text = decode(bytes)?.replace(/\r?\n$/, '');
    if (text === undefined) {
      throw new PhsyncError('config-secret', `${name}: ${file} is not UTF-8 text`, { facts });
    }
    if (text === '') throw new PhsyncError('config-secret', `${name}: ${file} is empty`, { facts });
    return text;
  } finally {
    bytes.fill(0);
  }
}
