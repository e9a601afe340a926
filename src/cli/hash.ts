/** `phsync hash`: the OrgId credential of a password or an NT hash. */

import { Command } from 'commander';
import { createHasher } from '../hasher/create-hasher.js';
import { formatCredential } from '../hasher/credential.js';
import { PhsyncError } from '../hasher/errors.js';
import { DEFAULT_ITERATIONS, MAX_ITERATIONS, SALT_SIZE } from '../hasher/types.js';
import { printJson } from './output.js';
import { addSecretOptions, hexOption, readSecret, type SecretOptions } from './secret-options.js';

interface Options extends SecretOptions {
  readonly salt?: string;
  readonly iterations: string;
  readonly json?: true;
}

function iterationsOption(text: string): number {
  const iterations = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (iterations < 1) {
    throw new PhsyncError('usage-iterations', `--iterations: expected a number from 1 to ${MAX_ITERATIONS}`);
  }
  return iterations;
}

async function hash(options: Options): Promise<void> {
  const iterations = iterationsOption(options.iterations);
  const salt = options.salt === undefined ? {} : { salt: hexOption('--salt', options.salt, SALT_SIZE) };
  const secret = await readSecret(options);
  const hasher = createHasher({ threads: 1, allowMd5InFips: options.allowMd5InFips ?? false });
  const ntHash = typeof secret === 'string' ? hasher.ntHash(secret) : secret;
  try {
    const credential = await hasher.derive(ntHash, { ...salt, iterations });
    const text = formatCredential(credential);
    if (options.json) {
      const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
      printJson({ credential: text, salt: hex(credential.salt), iterations, hash: hex(credential.hash) });
    } else {
      process.stdout.write(`${text}\n`);
    }
  } finally {
    ntHash.fill(0);
    await hasher.close();
  }
}

export function command(): Command {
  return addSecretOptions(new Command('hash').description('make the credential of a password or an NT hash'))
    .option('--salt <hex>', '20 hex digits; random where left out')
    .option('--iterations <n>', 'PBKDF2 iterations', String(DEFAULT_ITERATIONS))
    .option('--json', 'print one JSON document')
    .addHelpText('after', "\nExample: printf %s 'Pa$$w0rd' | phsync hash --password-stdin")
    .action(hash);
}
