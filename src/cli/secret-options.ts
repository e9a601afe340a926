/** The options by which `hash` and `verify` are given a password or an NT hash. */

import { type Command, Option } from 'commander';
import { PhsyncError } from '../hasher/errors.js';
import { NT_HASH_SIZE } from '../hasher/types.js';

/** Windows takes 256 characters at most; this leaves room for four bytes each, and then some. */
const MAX_STDIN = 65_536;

export interface SecretOptions {
  readonly ntHash?: string;
  readonly ntHashStdin?: true;
  readonly passwordStdin?: true;
  readonly allowMd5InFips?: true;
}

/** In FIPS mode a password's NT hash, MD4, is refused otherwise. */
export const allowMd5InFipsOption = (): Option =>
  new Option('--allow-md5-in-fips', 'in FIPS mode, use MD4, MD5 and RC4 all the same');

/** Adds `--nt-hash`, `--nt-hash-stdin` and `--password-stdin`, of which one must be given, and `--allow-md5-in-fips`. */
export function addSecretOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--nt-hash <hex>', 'the NT hash, 32 hex digits; other users of this machine can see it').conflicts([
        'ntHashStdin',
        'passwordStdin',
      ]),
    )
    .addOption(new Option('--nt-hash-stdin', 'the NT hash from standard input').conflicts('passwordStdin'))
    .addOption(new Option('--password-stdin', 'the password from standard input, UTF-8; one line end is taken off'))
    .addOption(allowMd5InFipsOption());
}

/** Hex digits as bytes. The message names the option and never repeats the text, which may be a secret. */
export function hexOption(option: string, text: string, size: number): Uint8Array {
  if (text.length !== 2 * size || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new PhsyncError('usage-hex', `${option}: expected ${2 * size} hex digits`, { facts: { option } });
  }
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

async function readStdin(option: string): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_STDIN) {
      throw new PhsyncError('usage-stdin', `${option}: expected at most ${MAX_STDIN} bytes on standard input`);
    }
    chunks.push(chunk);
  }
  // An empty password is a line end; nothing at all is a pipe that broke before us.
  if (length === 0) throw new PhsyncError('usage-stdin', `${option}: standard input is empty`);
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
    return text.replace(/\r?\n$/, '');
  } catch (cause) {
    throw new PhsyncError('usage-stdin', `${option}: expected UTF-8 on standard input`, { cause });
  }
}

/** The password as a string, or the NT hash as 16 bytes. */
export async function readSecret(options: SecretOptions): Promise<string | Uint8Array> {
  if (options.ntHash !== undefined) return hexOption('--nt-hash', options.ntHash, NT_HASH_SIZE);
  if (options.passwordStdin) return readStdin('--password-stdin');
  if (options.ntHashStdin) {
    return hexOption('--nt-hash-stdin', await readStdin('--nt-hash-stdin'), NT_HASH_SIZE);
  }
  throw new PhsyncError('usage-secret', 'expected one of --nt-hash, --nt-hash-stdin and --password-stdin');
}
