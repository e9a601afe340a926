/** `phsync verify`: does a password or an NT hash match a credential? Exit code 0: yes, 1: no. */

import { Command } from 'commander';
import { createHasher } from '../hasher/create-hasher.js';
import { parseCredential } from '../hasher/credential.js';
import { PhsyncError } from '../hasher/errors.js';
import type { Credential } from '../hasher/types.js';
import { exitCodes, printJson } from './output.js';
import { addSecretOptions, readSecret, type SecretOptions } from './secret-options.js';

interface Options extends SecretOptions {
  readonly credential: string;
  readonly json?: true;
}

function credentialOption(text: string): Credential {
  try {
    return parseCredential(text);
  } catch (cause) {
    if (!(cause instanceof PhsyncError)) throw cause;
    throw new PhsyncError('usage-credential', `--credential: ${cause.message}`, { cause, facts: cause.facts });
  }
}

async function verify(options: Options): Promise<void> {
  const credential = credentialOption(options.credential);
  const secret = await readSecret(options);
  const hasher = createHasher({ threads: 1, allowMd5InFips: options.allowMd5InFips ?? false });
  try {
    const matches = await hasher.verify(credential, secret);
    if (options.json) printJson({ matches });
    else process.stdout.write(matches ? 'matches\n' : 'does not match\n');
    process.exitCode = matches ? exitCodes.done : exitCodes.no;
  } finally {
    if (typeof secret !== 'string') secret.fill(0);
    await hasher.close();
  }
}

export function command(): Command {
  return addSecretOptions(new Command('verify').description('check a password or an NT hash against a credential'))
    .requiredOption('--credential <text>', 'the credential, `v1;PPH1_MD4,<salt>,<iterations>,<hash>;`')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExit code: 0 it matches, 1 it does not.')
    .action(verify);
}
