/** The private keys of a managed domain by their certificates' thumbprints: several, while certificates are rotated. */

import { resolveSecret } from '../../config/secrets.js';
import { PhsyncError } from '../../hasher/errors.js';
import { type Unwrap, unknownCertificate } from '../../provisioning/ad-auth-info.js';
import type { KeyConfig } from '../config.js';
import { type CertificateOfKey, type PrivateKey, readKeyCertificate } from './key.js';
import { openPkcs8Key } from './pkcs8-key.js';
import { openPkcs11Key } from './pkcs11-key.js';

export interface OpenKey {
  /** SHA-1 of the certificate, in small hexadecimal digits. */
  readonly thumbprint: string;
  readonly subject: string;
  readonly notAfter: Date;
  /** A file, or a token. */
  readonly place: string;
}

export interface KeyRing {
  readonly keys: readonly OpenKey[];
  /** For `openAdAuthInfo`. */
  readonly unwrap: Unwrap;
  close(): Promise<void>;
}

type Opened = PrivateKey & CertificateOfKey;

/** @throws PhsyncError `config-key`, `config-secret`, `domain-services-key-unavailable`, `domain-services-pkcs11` */
export async function openKeyRing(
  configs: readonly KeyConfig[],
  env: Readonly<NodeJS.ProcessEnv> = process.env,
): Promise<KeyRing> {
  const ring = new Map<string, Opened>();
  const close = async () => {
    await Promise.all([...ring.values()].map((key) => key.close()));
  };
  try {
    for (const [i, config] of configs.entries()) {
      const name = `keys[${i}]`;
      const certificate = await readKeyCertificate(config.certificate, name);
      if (ring.has(certificate.thumbprint)) {
        throw new PhsyncError('config-key', `${name}.certificate: stands there twice (${certificate.thumbprint})`);
      }
      const key = await openPrivateKey(config.privateKey, certificate, name, env);
      ring.set(certificate.thumbprint, {
        ...certificate,
        place: key.place,
        unwrap: (encryptedKey) => key.unwrap(encryptedKey),
        close: () => key.close(),
      });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    keys: [...ring.values()].map(({ thumbprint, subject, notAfter, place }) => ({
      thumbprint,
      subject,
      notAfter,
      place,
    })),
    unwrap: (thumbprint, encryptedKey) => {
      const key = ring.get(Buffer.from(thumbprint).toString('hex'));
      if (key === undefined) throw unknownCertificate(thumbprint);
      return key.unwrap(encryptedKey);
    },
    close,
  };
}

async function openPrivateKey(
  place: KeyConfig['privateKey'],
  certificate: CertificateOfKey,
  name: string,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<PrivateKey> {
  if ('file' in place) {
    const passphrase = await resolveSecret(place.passphrase, `${name}.privateKey.passphrase`, env);
    return openPkcs8Key(place.file, passphrase, certificate, name);
  }
  const { module, token, pin } = place.pkcs11;
  const secret = await resolveSecret(pin, `${name}.privateKey.pkcs11.pin`, env);
  return openPkcs11Key({ module, token, pin: secret }, certificate, name);
}
