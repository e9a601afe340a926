/** What the HTTPS server presents: the configured certificate, or for `tls: auto` one that is kept below stateDir. */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { fileErrorText } from '../../config/file-error.js';
import { PhsyncError } from '../../hasher/errors.js';
import { readIfThere, writePrivate } from '../state-dir.js';
import { createAuthority, issueServerCertificate, type PemPair } from './certificates.js';

const RENEW_BEFORE = 30 * 24 * 60 * 60 * 1000;

export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  /** The file clients trust; undefined where the certificate is configured. */
  readonly caPath: string | undefined;
}

/** Reads the configured pair. @throws PhsyncError `config-tls` when a file is missing, unreadable or does not fit. */
export async function readConfiguredTls({ cert, key }: { cert: string; key: string }): Promise<ServerTls> {
  const read = async (what: string, file: string) => {
    try {
      return await readFile(file, 'utf8');
    } catch (cause) {
      const reason = fileErrorText(cause);
      throw new PhsyncError('config-tls', `cannot read tls.${what} ${file}: ${reason}`, { cause, facts: { file } });
    }
  };
  const pair = { cert: await read('cert', cert), key: await read('key', key) };
  try {
    createSecureContext(pair);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PhsyncError('config-tls', `tls.cert ${cert} and tls.key ${key} cannot be used: ${reason}`, {
      cause,
      facts: { cert, key },
    });
  }
  return { ...pair, caPath: undefined };
}

/**
 * `tls: auto`: takes what lies below `directory`, makes what is missing, and renews the server's certificate when it
 * ends within 30 days, does not name every host, or does not fit the authority.
 * @throws PhsyncError `tls-state` when the authority's key or certificate is there without the other, or unreadable.
 */
export async function keepAutoTls(
  directory: string,
  listenHost: string,
  now: Date,
  publicUrl?: string,
): Promise<ServerTls> {
  const caPath = join(directory, 'ca.pem');
  const authority = await keepPair(caPath, join(directory, 'ca-key.pem'), 0o644, {
    usable: (pair) => readCertificate(pair, caPath).validTo > now,
    create: () => createAuthority('phsync tenant CA', now),
    halfIsAnError: true,
  });
  const hosts = hostsOf(listenHost, publicUrl);
  const certPath = join(directory, 'cert.pem');
  const server = await keepPair(certPath, join(directory, 'key.pem'), 0o600, {
    usable: (pair) => isServerCertificateUsable(pair, authority, hosts, now),
    create: () => issueServerCertificate(authority, hosts, now),
    halfIsAnError: false,
  });
  return { ...server, caPath };
}

/** The names and addresses that clients on this host, for a wildcard address others, and those of `publicUrl` may use. */
export function hostsOf(listenHost: string, publicUrl?: string): string[] {
  const wildcard = listenHost === '0.0.0.0' || listenHost === '::';
  // An IPv6 address stands in brackets in a URL.
  const named = publicUrl === undefined ? [] : [new URL(publicUrl).hostname.replace(/^\[|\]$/g, '')];
  return [...new Set([...named, wildcard ? hostname() : listenHost, 'localhost', '127.0.0.1', '::1'])];
}

interface Keep {
  usable(pair: PemPair): boolean;
  create(): Promise<PemPair>;
  readonly halfIsAnError: boolean;
}

async function keepPair(certPath: string, keyPath: string, certMode: number, keep: Keep): Promise<PemPair> {
  const cert = await readIfThere(certPath);
  const key = await readIfThere(keyPath);
  if (cert !== undefined && key !== undefined && keep.usable({ cert, key })) return { cert, key };
  if (keep.halfIsAnError && (cert === undefined) !== (key === undefined)) {
    // A new authority would lock out every client that trusts the old one: that is for a person to decide.
    const [there, missing] = cert === undefined ? [keyPath, certPath] : [certPath, keyPath];
    throw new PhsyncError('tls-state', `${there} is there but ${missing} is not: bring it back, or remove both`, {
      facts: { there, missing },
    });
  }
  const pair = await keep.create();
  await writePrivate(keyPath, pair.key);
  await writePrivate(certPath, pair.cert, certMode);
  return pair;
}

function isServerCertificateUsable(pair: PemPair, authority: PemPair, hosts: readonly string[], now: Date): boolean {
  const server = parseCertificate(pair.cert);
  if (server === undefined) return false;
  return (
    Date.parse(server.validTo) - now.getTime() > RENEW_BEFORE &&
    server.verify(new X509Certificate(authority.cert).publicKey) &&
    hosts.every((host) => (isIP(host) === 0 ? server.checkHost(host) : server.checkIP(host)) !== undefined) &&
    fits(server, pair.key)
  );
}

function readCertificate(pair: PemPair, file: string): { readonly validTo: Date } {
  const certificate = parseCertificate(pair.cert);
  if (certificate === undefined || !fits(certificate, pair.key)) {
    throw new PhsyncError(
      'tls-state',
      `${file} and its key are damaged or do not belong together: restore or remove both`,
      {
        facts: { file },
      },
    );
  }
  return { validTo: new Date(certificate.validTo) };
}

function parseCertificate(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(text);
  } catch {
    // Damaged counts as missing; the callers say what follows from it.
    return undefined;
  }
}

function fits(certificate: X509Certificate, key: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}
