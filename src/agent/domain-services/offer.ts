/** What the tenant wants for Domain Services (GetWindowsCredentialsSyncConfig), and whether it can be had. Pure. */

import { X509Certificate } from 'node:crypto';
import { PhsyncError } from '../../hasher/errors.js';
import { recipientOf } from '../../provisioning/ad-auth-info.js';
import type { WindowsCredentialsSyncConfig } from '../../provisioning/types.js';

/** What this agent's own configuration has to say to it. */
export interface DomainServicesPolicy {
  readonly send: 'auto' | 'never';
  /** SHA-256 fingerprints (as X509Certificate writes them) of certificates that may be used; undefined: any. */
  readonly allowed: ReadonlySet<string> | undefined;
}

/** Whom keys are sealed for. */
export interface OfferedCertificate {
  readonly der: Uint8Array;
  /** SHA-1, lower-case hex: what a blob names its certificate by. */
  readonly thumbprint: string;
  readonly subject: string;
  /** Milliseconds since 1970. */
  readonly validFrom: number;
  readonly validTo: number;
}

export type DomainServicesOffer =
  /** `unknown`: a tenant that does not know the operation; `vetoed`: by agent.yaml. */
  | { readonly kind: 'off'; readonly why: 'tenant' | 'unknown' | 'vetoed' }
  | {
      readonly kind: 'on';
      /** The real NT hash; otherwise a random one takes its place (SyncNtlmPasswords). */
      readonly ntlm: boolean;
      /** Kerberos keys; otherwise the NT hash goes alone. */
      readonly kerberos: boolean;
      readonly certificate: OfferedCertificate;
      /** With another one, the tenant has nothing any more of what was sent before; null: it does not say. */
      readonly epoch: string | null;
    }
  /** It is on, and nothing may be sent: for want of a certificate that can be used. */
  | {
      readonly kind: 'unusable';
      readonly code: string;
      readonly reason: string;
      readonly certificate: OfferedCertificate | undefined;
    }
  /** It was asked, and did not say. */
  | { readonly kind: 'unanswered'; readonly code: typeof UNANSWERED_CODE; readonly reason: string };

/** The tenant was asked, and did not say: what it said before stands until it does. */
export const UNANSWERED_CODE = 'domain-services-unanswered';

export const OFF: DomainServicesOffer = { kind: 'off', why: 'tenant' };
export const UNKNOWN: DomainServicesOffer = { kind: 'off', why: 'unknown' };
export const VETOED: DomainServicesOffer = { kind: 'off', why: 'vetoed' };

/** As much as Kerberos forgives: a certificate that was made a moment ago is not refused for a clock's sake. */
const CLOCK_SKEW_MS = 5 * 60_000;

/** `now`: milliseconds since 1970. */
export function judgeOffer(
  config: WindowsCredentialsSyncConfig,
  { send, allowed }: DomainServicesPolicy,
  now: number,
): DomainServicesOffer {
  if (send === 'never') return VETOED;
  const {
    enableWindowsLegacyCredentials: legacy,
    enableWindowsSupplementalCredentials: kerberos,
    secretEncryptionCertificate: text,
    epoch = null,
  } = config;
  if (!legacy && !kerberos) return OFF;
  if (text === undefined || text.trim() === '') {
    return unusable(
      'certificate-missing',
      'the tenant has Domain Services switched on and names no certificate',
      undefined,
    );
  }
  let x509: X509Certificate;
  try {
    x509 = new X509Certificate(Buffer.from(text, 'base64'));
  } catch {
    // What OpenSSL says of it would be of no use to anybody.
    return unusable('certificate-malformed', 'the certificate that the tenant names cannot be read', undefined);
  }
  const certificate: OfferedCertificate = {
    der: x509.raw,
    thumbprint: x509.fingerprint.replaceAll(':', '').toLowerCase(),
    subject: x509.subject.replaceAll('\n', ', '),
    validFrom: Date.parse(x509.validFrom),
    validTo: Date.parse(x509.validTo),
  };
  const named = `the certificate that the tenant names (${certificate.subject}, thumbprint ${certificate.thumbprint})`;
  try {
    recipientOf(x509.raw);
  } catch (error) {
    if (!(error instanceof PhsyncError)) throw error;
    return unusable('certificate-key', `${named} cannot be sealed for: ${error.message}`, certificate);
  }
  if (allowed !== undefined && !allowed.has(x509.fingerprint256)) {
    return unusable(
      'certificate-not-allowed',
      `${named} is none of domainServices.certificates in agent.yaml`,
      certificate,
    );
  }
  const { validFrom, validTo } = certificate;
  if (now > validTo)
    return unusable('certificate-expired', `${named} has expired on ${dateText(validTo)}`, certificate);
  if (now < validFrom - CLOCK_SKEW_MS) {
    return unusable('certificate-not-valid-yet', `${named} is not valid before ${dateText(validFrom)}`, certificate);
  }
  return { kind: 'on', ntlm: legacy, kerberos, certificate, epoch };
}

/** The tenant could not say it. `error`: a fault, or an answer that makes no sense. */
export function offerOfFailure(error: PhsyncError): DomainServicesOffer {
  if (isUnknownOperation(error)) return UNKNOWN;
  const reason = `the tenant did not say what it wants for Domain Services: ${error.message}`;
  return { kind: 'unanswered', code: UNANSWERED_CODE, reason };
}

/** Of a WCF service, and of a tenant of ours that is older than the operation. */
function isUnknownOperation({ code, facts }: PhsyncError): boolean {
  if (code !== 'provisioning-fault') return false;
  return facts.faultSubcode === 'ActionNotSupported' || facts.errorCode === 'OperationNotSupported';
}

function unusable(why: string, reason: string, certificate: OfferedCertificate | undefined): DomainServicesOffer {
  return { kind: 'unusable', code: `domain-services-${why}`, reason, certificate };
}

const dateText = (ms: number) => `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
