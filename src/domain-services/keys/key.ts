/** A private key that blobs are sealed for, wherever it lies. */

import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileErrorText } from '../../config/file-error.js';
import { PhsyncError } from '../../hasher/errors.js';
import { recipientOf } from '../../provisioning/ad-auth-info.js';

export interface PrivateKey {
  /** Where it lies, for people. */
  readonly place: string;
  /**
   * Undoes RSA-OAEP (SHA-1, MGF1 with SHA-1, empty label); undefined where the ciphertext is not one for this key. Whoever
   * asks wipes the answer. @throws PhsyncError `domain-services-key-unavailable`: the key cannot be used now
   */
  unwrap(encryptedKey: Buffer): Promise<Buffer | undefined>;
  close(): Promise<void>;
}

export interface CertificateOfKey {
  /** SHA-1 of the DER, in small hexadecimal digits. */
  readonly thumbprint: string;
  readonly publicKey: KeyObject;
  readonly subject: string;
  readonly notAfter: Date;
}

/** @throws PhsyncError `config-key`: unreadable, no certificate, or not RSA of 2048 bits and more */
export async function readKeyCertificate(file: string, name: string): Promise<CertificateOfKey> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    const reason = fileErrorText(cause);
    throw new PhsyncError('config-key', `${name}.certificate: cannot read ${file}: ${reason}`, {
      cause,
      facts: { file },
    });
  }
  try {
    const { publicKey, thumbprint } = recipientOf(bytes);
    const { subject, validTo } = new X509Certificate(bytes);
    return { thumbprint: thumbprint.toString('hex'), publicKey, subject, notAfter: new Date(validTo) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PhsyncError('config-key', `${name}.certificate: ${file}: ${reason}`, { cause, facts: { file } });
  }
}

/** Whether both have the same modulus and exponent. */
export function isSameKey(privateOrPublic: KeyObject, publicKey: KeyObject): boolean {
  const own = privateOrPublic.type === 'private' ? createPublicKey(privateOrPublic) : privateOrPublic;
  return own.equals(publicKey);
}
