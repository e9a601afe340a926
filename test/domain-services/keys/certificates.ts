/** Certificates and keys as an administrator makes them: with OpenSSL and OpenSC. */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface MadeCertificate {
  readonly certificate: string;
  /** Encrypted PKCS #8. */
  readonly key: string;
  /** The same key, which nothing protects. */
  readonly plainKey: string;
  readonly der: Buffer;
}

/** In `directory`: NAME.pem, NAME.key and NAME.plain.key. */
export function makeCertificate(directory: string, name: string, passphrase: string, bits = 2048): MadeCertificate {
  const at = (extension: string) => join(directory, `${name}.${extension}`);
  const [certificate, key, plainKey] = [at('pem'), at('key'), at('plain.key')];
  const run = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  run(
    'req',
    '-x509',
    '-newkey',
    `rsa:${bits}`,
    '-nodes',
    '-days',
    '30',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    plainKey,
    '-out',
    certificate,
  );
  writeFileSync(at('pass'), passphrase);
  run('pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-passout', `file:${at('pass')}`, '-in', plainKey, '-out', key);
  return { certificate, key, plainKey, der: run('x509', '-in', certificate, '-outform', 'DER') };
}

export interface Token {
  readonly module: string;
  readonly label: string;
  readonly pin: string;
}

const MODULE = '/usr/lib/softhsm/libsofthsm2.so';

/** SoftHSM, with a token of its own; its configuration goes by the environment of this process. */
export function makeToken(directory: string, label: string, keys: readonly string[]): Token {
  const configuration = join(directory, 'softhsm2.conf');
  execFileSync('mkdir', ['-p', join(directory, 'tokens')]);
  writeFileSync(
    configuration,
    `directories.tokendir = ${join(directory, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  process.env.SOFTHSM2_CONF = configuration;
  const pin = '471100';
  execFileSync('softhsm2-util', ['--init-token', '--free', '--label', label, '--pin', pin, '--so-pin', '08150815'], {
    stdio: 'ignore',
  });
  for (const [i, key] of keys.entries()) {
    const args = ['--import', key, '--token', label, '--pin', pin, '--label', `key${i}`, '--id', `0${i + 1}`];
    execFileSync('softhsm2-util', args, { stdio: 'ignore' });
  }
  return { module: MODULE, label, pin };
}
