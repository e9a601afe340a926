/** X.509 (RFC 5280) for `tls: auto`: a certificate authority of the tenant's own and server certificates under it. */

// tsyringe, below @peculiar/x509, wants the polyfill before it loads.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY = 24 * 60 * 60 * 1000;
const CA_DAYS = 3650;
/** The most that browsers take (CA/Browser Forum, until 2026). */
const SERVER_DAYS = 397;
/** Clients whose clock is behind still accept a new certificate. */
const BACKDATE = 60 * 60 * 1000;

export interface PemPair {
  readonly cert: string;
  /** PKCS #8. */
  readonly key: string;
}

/** Self-signed, for ten years, good for signing certificates of servers and nothing below. */
export async function createAuthority(name: string, now: Date): Promise<PemPair> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: [{ CN: [name] }],
      ...validity(now, CA_DAYS),
      signingAlgorithm: ALGORITHM,
      keys: keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    },
    webcrypto,
  );
  return { cert: pem(certificate), key: await exportKey(keys.privateKey) };
}

/** A certificate for these names and addresses, signed by the authority. */
export async function issueServerCertificate(
  authority: PemPair,
  hosts: readonly string[],
  now: Date,
): Promise<PemPair> {
  const issuer = new x509.X509Certificate(authority.cert);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(authority.key),
    ALGORITHM,
    false,
    ['sign'],
  );
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: [{ CN: [hosts[0] ?? 'localhost'] }],
      issuer: issuer.subjectName,
      ...validity(now, SERVER_DAYS),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          hosts.map((host) => ({ type: isIP(host) === 0 ? ('dns' as const) : ('ip' as const), value: host })),
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ],
    },
    webcrypto,
  );
  return { cert: pem(certificate), key: await exportKey(keys.privateKey) };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

const pem = (certificate: x509.X509Certificate) => `${certificate.toString('pem')}\n`;

/** Positive, 16 bytes, 126 of its bits random (RFC 5280, 4.1.2.2). */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

function validity(now: Date, days: number) {
  return { notBefore: new Date(now.getTime() - BACKDATE), notAfter: new Date(now.getTime() + days * DAY) };
}
