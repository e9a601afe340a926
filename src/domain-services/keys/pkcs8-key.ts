/** A private key in an encrypted PKCS #8 file (RFC 5958, EncryptedPrivateKeyInfo; RFC 7468, `ENCRYPTED PRIVATE KEY`). */

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileErrorText } from '../../config/file-error.js';
import { PhsyncError } from '../../hasher/errors.js';
import { unwrapWith } from '../../provisioning/ad-auth-info.js';
import { type CertificateOfKey, isSameKey, type PrivateKey } from './key.js';

const ENCRYPTED = '-----BEGIN ENCRYPTED PRIVATE KEY-----';
const PLAIN = /-----BEGIN (RSA )?PRIVATE KEY-----/;

/** @throws PhsyncError `config-key`: unreadable, not encrypted, another passphrase, or not the certificate's key */
export async function openPkcs8Key(
  file: string,
  passphrase: string,
  certificate: CertificateOfKey,
  name: string,
): Promise<PrivateKey> {
  const fail = (what: string, cause?: unknown) =>
    new PhsyncError('config-key', `${name}.privateKey: ${file}: ${what}`, { cause, facts: { file } });
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw fail(`cannot read it: ${fileErrorText(cause)}`, cause);
  }
  let key: KeyObject;
  try {
    key = readKey(bytes, passphrase, fail);
  } finally {
    bytes.fill(0);
  }
  if (!isSameKey(key, certificate.publicKey)) {
    throw fail(`is not the key of the certificate with the thumbprint ${certificate.thumbprint}`);
  }
  return {
    place: file,
    unwrap: async (encryptedKey) => unwrapWith(key, encryptedKey),
    // The key goes with the process: Node.js has no way to wipe a KeyObject.
    close: async () => {},
  };
}

function readKey(bytes: Buffer, passphrase: string, fail: (what: string, cause?: unknown) => PhsyncError): KeyObject {
  const text = bytes.toString('latin1');
  if (PLAIN.test(text)) {
    throw fail(
      'is not encrypted; expected an encrypted PKCS #8 key: ' +
        'openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out KEY.encrypted',
    );
  }
  const isPem = text.includes(ENCRYPTED);
  try {
    return createPrivateKey(
      isPem ? { key: bytes, passphrase } : { key: bytes, format: 'der', type: 'pkcs8', passphrase },
    );
  } catch (cause) {
    // OpenSSL's message tells a wrong passphrase from a broken file in one of two cases; nothing of either is in it.
    throw fail('cannot be opened as an encrypted PKCS #8 key: another passphrase, or a damaged file', cause);
  }
}
