/** Certificates (RFC 5280) of the managed domain's keys, which agents seal credentials to: read and checked before they are kept. */

import { X509Certificate } from 'node:crypto';
import { PhsyncError } from '../../hasher/errors.js';
import { recipientOf } from '../../provisioning/ad-auth-info.js';

const DAY = 24 * 60 * 60 * 1000;
/** Days before the end from which it is warned of. */
export const WARN_DAYS = 30;
/** As agents have it: a certificate that was made just now, by a clock that is ahead. */
const CLOCK_SKEW = 5 * 60 * 1000;
/** PEM of 8192 bits with a few names has 3 KiB. */
export const MAX_CERTIFICATE = 64 * 1024;

export interface SecretCertificate {
  /** SHA-1, 20 bytes. */
  readonly thumbprint: Buffer;
  readonly der: Buffer;
  /** Of the modulus. */
  readonly keyBytes: number;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly subject: string;
}

/** PEM or DER, the first where there are several. @throws PhsyncError `ad-auth-info-certificate` */
export function readCertificate(bytes: Uint8Array): SecretCertificate {
  const { publicKey, thumbprint } = recipientOf(bytes);
  const { raw, subject, validFrom, validTo } = new X509Certificate(bytes);
  return {
    thumbprint,
    der: raw,
    keyBytes: Math.ceil((publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8),
    notBefore: new Date(validFrom),
    notAfter: new Date(validTo),
    subject: subject.replaceAll('\n', ', '),
  };
}

/** @throws PhsyncError `ad-auth-info-certificate` for one whose time is not now: agents seal to none such, and send nothing. */
export function checkTime({ notBefore, notAfter }: SecretCertificate, now: Date): void {
  const wrong =
    now.getTime() < notBefore.getTime() - CLOCK_SKEW
      ? `is not valid before ${notBefore.toISOString()}`
      : now > notAfter
        ? `has ended on ${notAfter.toISOString()}`
        : undefined;
  if (wrong === undefined) return;
  throw new PhsyncError(
    'ad-auth-info-certificate',
    `the certificate ${wrong}: agents would send no keys for anybody; give one that is valid now, or add it all the same with force`,
  );
}

/** As it is shown, here, by agents and by the managed domain's side: small hexadecimal digits. */
export const thumbprintText = (thumbprint: Uint8Array) => Buffer.from(thumbprint).toString('hex');

/** With or without colons and spaces, in any case; undefined: no thumbprint. */
export function parseThumbprint(text: string): Buffer | undefined {
  const hex = text.replaceAll(/[:\s]/g, '');
  return /^[0-9a-f]{40}$/i.test(hex) ? Buffer.from(hex, 'hex') : undefined;
}

/** What to say of a certificate whose end is near or over. */
export function expiryWarning(notAfter: Date, now: Date): string | undefined {
  const days = Math.floor((notAfter.getTime() - now.getTime()) / DAY);
  if (days >= WARN_DAYS) return undefined;
  const end = notAfter.toISOString().slice(0, 10);
  return days < 0
    ? `the certificate of Domain Services has ended on ${end}: add a new one`
    : `the certificate of Domain Services ends on ${end}, in ${days} day${days === 1 ? '' : 's'}: add a new one`;
}
