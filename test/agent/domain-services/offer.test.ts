/** What the tenant says of Domain Services, and what comes of it. */

import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type DomainServicesPolicy, judgeOffer, offerOfFailure } from '#src/agent/domain-services/offer.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { createCertificate } from '../../provisioning/certificates.js';

const ANY: DomainServicesPolicy = { send: 'auto', allowed: undefined };
const HOUR = 3_600_000;
const now = Date.now();

const config = (legacy: boolean, supplemental: boolean, certificate?: Buffer | string) => ({
  enableWindowsLegacyCredentials: legacy,
  enableWindowsSupplementalCredentials: supplemental,
  secretEncryptionCertificate: typeof certificate === 'string' ? certificate : certificate?.toString('base64'),
});

describe('the flags', async () => {
  const { der } = await createCertificate(2048);

  test.each([
    [true, true, { kind: 'on', ntlm: true, kerberos: true }],
    [false, true, { kind: 'on', ntlm: false, kerberos: true }],
    [true, false, { kind: 'on', ntlm: true, kerberos: false }],
    [false, false, { kind: 'off', why: 'tenant' }],
  ])('legacy %s, supplementary %s', (legacy, supplemental, expected) => {
    expect(judgeOffer(config(legacy, supplemental, der), ANY, now)).toMatchObject(expected);
  });

  test('off, whatever else is said, where agent.yaml says never', () => {
    expect(judgeOffer(config(true, true, der), { ...ANY, send: 'never' }, now)).toEqual({ kind: 'off', why: 'vetoed' });
  });

  test('off needs no certificate', () => {
    expect(judgeOffer(config(false, false), ANY, now)).toEqual({ kind: 'off', why: 'tenant' });
  });
});

describe('the certificate', () => {
  const codeOf = (certificate: Buffer | string | undefined, policy = ANY, at = now) => {
    const offer = judgeOffer(config(true, true, certificate), policy, at);
    return offer.kind === 'unusable' ? offer.code.replace('domain-services-certificate-', '') : offer.kind;
  };

  test('is named by the SHA-1 of its bytes', async () => {
    const { der } = await createCertificate(2048);
    const x509 = new X509Certificate(der);
    const offer = judgeOffer(config(true, true, der), ANY, now);
    if (offer.kind !== 'on') throw new Error(offer.kind);
    expect(offer.certificate).toEqual({
      der: x509.raw,
      thumbprint: x509.fingerprint.replaceAll(':', '').toLowerCase(),
      subject: 'CN=Domain Services',
      validFrom: Date.parse(x509.validFrom),
      validTo: Date.parse(x509.validTo),
    });
  });

  test('must be there, and be one', async () => {
    const { der } = await createCertificate(2048);
    expect(codeOf(undefined)).toBe('missing');
    expect(codeOf('  ')).toBe('missing');
    expect(codeOf('no certificate')).toBe('malformed');
    expect(codeOf(der.subarray(0, 100))).toBe('malformed');
  });

  test('has RSA with 2048 bits or more', async () => {
    expect(codeOf((await createCertificate(1024)).der)).toBe('key');
    expect(codeOf((await createCertificate('P-256')).der)).toBe('key');
    expect(codeOf((await createCertificate(3072)).der)).toBe('on');
  });

  test('is valid, give or take the five minutes of a clock', async () => {
    const { der } = await createCertificate(2048, { from: now, to: now + HOUR });
    // A certificate's dates are whole seconds.
    expect(codeOf(der, ANY, now - 4 * 60_000)).toBe('on');
    expect(codeOf(der, ANY, now - 6 * 60_000)).toBe('not-valid-yet');
    expect(codeOf(der, ANY, now + HOUR - 2000)).toBe('on');
    expect(codeOf(der, ANY, now + HOUR + 2000)).toBe('expired');
  });

  test('is one of those that agent.yaml allows', async () => {
    const [{ der }, other] = [await createCertificate(2048), await createCertificate(2048)];
    const allow = (...certificates: Buffer[]): DomainServicesPolicy => ({
      send: 'auto',
      allowed: new Set(certificates.map((each) => new X509Certificate(each).fingerprint256)),
    });
    expect(codeOf(der, allow(other.der))).toBe('not-allowed');
    expect(codeOf(der, allow(other.der, der))).toBe('on');
    expect(codeOf(der, allow())).toBe('not-allowed');
  });
});

describe('a tenant that cannot say it', () => {
  const fault = (facts: Record<string, string>) =>
    offerOfFailure(new PhsyncError('provisioning-fault', 'no', { facts }));

  test('and does not know the question has none', () => {
    expect(fault({ faultSubcode: 'ActionNotSupported' })).toEqual({ kind: 'off', why: 'unknown' });
    expect(fault({ errorCode: 'OperationNotSupported' })).toEqual({ kind: 'off', why: 'unknown' });
  });

  test('and knows it may have some', () => {
    expect(fault({ errorCode: 'InternalError' })).toMatchObject({
      kind: 'unanswered',
      code: 'domain-services-unanswered',
    });
    const reply = new PhsyncError('provisioning-bad-reply', 'a result is missing');
    expect(offerOfFailure(reply)).toMatchObject({ kind: 'unanswered', code: 'domain-services-unanswered' });
  });
});
