/** Self-signed certificates such as Domain Services has, made for one test run. */

import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

export interface TestCertificate {
  readonly der: Buffer;
  readonly privateKey: KeyObject;
}

const rsa = (bits: number) => ({
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: bits,
  publicExponent: Uint8Array.of(1, 0, 1),
  hash: 'SHA-256',
});

/** With an RSA key of so many bits, or one on P-256; valid from a minute ago for an hour where nothing else is said. */
export async function createCertificate(
  key: number | 'P-256',
  { from = Date.now() - 60_000, to = from + 3_600_000 }: { readonly from?: number; readonly to?: number } = {},
): Promise<TestCertificate> {
  const algorithm = key === 'P-256' ? { name: 'ECDSA', namedCurve: key, hash: 'SHA-256' } : rsa(key);
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=Domain Services',
      notBefore: new Date(from),
      notAfter: new Date(to),
      signingAlgorithm: algorithm,
      keys,
    },
    webcrypto,
  );
  return { der: Buffer.from(certificate.rawData), privateKey: KeyObject.from(keys.privateKey) };
}
