/** LDAP (RFC 4511) with one domain controller over TLS: LDAPS or StartTLS, its certificate always checked, and a simple bind. */

import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, ResultCodeError } from 'ldapts';
import { PhsyncError } from '../../hasher/errors.js';
import { parseAccount } from '../sources/drs-account.js';
import { adLogonReason } from './logon-reason.js';

export interface LdapOptions {
  /** What its certificate must name. */
  readonly server: string;
  /** Where it is; undefined: as the system resolves its name. */
  readonly address: string | undefined;
  readonly domain: string;
  readonly tls: 'ldaps' | 'starttls';
  /** Undefined: 636, or 389 with StartTLS. */
  readonly port: number | undefined;
  /** PEM; undefined: the system's certificate authorities. */
  readonly ca: string | undefined;
  readonly caFile: string | undefined;
  readonly user: string;
  readonly password: string;
  /** For each step. */
  readonly timeoutMs: number;
}

const CONNECT_MS = 5000;

/** Of Node.js' certificate verification and of OpenSSL. */
const TLS_CODES =
  /^(?:ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|CRL_|HOSTNAME_MISMATCH|INVALID_|PATH_LENGTH_)/;

/** Active Directory takes a UPN, `DOMAIN\name` or a DN; a bare name is the domain's. */
export function bindName(user: string, domain: string): string {
  if (/[\\@=]/.test(user)) return user;
  return `${parseAccount(user, domain).user}@${domain}`;
}

/** The caller unbinds. @throws PhsyncError `ldap-unreachable`, `ldap-tls`, `ldap-logon`, `ldap-timeout` */
export async function openLdap(options: LdapOptions): Promise<Client> {
  const { server, address, tls, ca, domain, user, password, timeoutMs } = options;
  const port = options.port ?? (tls === 'ldaps' ? 636 : 389);
  const host = address ?? server;
  const tlsOptions: ConnectionOptions = {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    // The name that is checked, also where an address is connected to. An address is never sent as SNI (RFC 6066, 3).
    ...(isIP(server) === 0 ? { servername: server } : { host: server }),
    ...(ca === undefined ? {} : { ca }),
  };
  const url = `${tls === 'ldaps' ? 'ldaps' : 'ldap'}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const client = new Client({
    url,
    timeout: timeoutMs,
    connectTimeout: Math.min(CONNECT_MS, timeoutMs),
    // With it ldapts begins TLS at once, whatever the URL says.
    ...(tls === 'ldaps' ? { tlsOptions } : {}),
  });
  let step: 'connect' | 'logon' = 'connect';
  try {
    if (tls === 'starttls') await client.startTLS(tlsOptions);
    step = 'logon';
    await client.bind(bindName(user, domain), password);
    return client;
  } catch (error) {
    await closeLdap(client);
    throw explain(error, { ...options, port }, step);
  }
}

export async function closeLdap(client: Client): Promise<void> {
  // Nobody is waited for, and the connection may be gone.
  await client.unbind().catch(() => undefined);
}

/** A request whose answer did not come, in the words of `openLdap`. */
export function explain(
  error: unknown,
  { server, caFile, user, port, timeoutMs }: LdapOptions,
  step: 'connect' | 'logon' | 'request',
): PhsyncError {
  const { code, message } = error as { code?: unknown; message?: string };
  const facts = { server, port, reason: typeof code === 'string' || typeof code === 'number' ? code : undefined };
  if (error instanceof ResultCodeError) {
    return new PhsyncError(
      'ldap-logon',
      `${server} does not let ${user} log on over LDAP: ${adLogonReason(error.message)}`,
      {
        facts,
      },
    );
  }
  // ldapts hands on the socket's errors, which come when TLS is set up, in the middle of the logon with LDAPS.
  if (typeof code === 'string' && TLS_CODES.test(code)) {
    const hint =
      caFile === undefined
        ? 'If it is signed by a certification authority of your own, name its certificate in passwordWriteback.ca.'
        : `Trusted is what the certificates in ${caFile} (passwordWriteback.ca) have signed, and nothing else.`;
    return new PhsyncError(
      'ldap-tls',
      `the certificate or TLS of ${server}, port ${port}, was not accepted: ${message} (${code}). ${hint}`,
      { facts },
    );
  }
  if (/timed out|timeout/i.test(message ?? '')) {
    return new PhsyncError('ldap-timeout', `${server}, port ${port}, did not answer within ${timeoutMs} ms (LDAP)`, {
      facts,
    });
  }
  const what = step === 'request' ? 'the connection broke' : 'cannot be reached';
  return new PhsyncError(
    'ldap-unreachable',
    `${server}, port ${port}: ${what} (LDAP over TLS): ${code ?? 'no answer'}`,
    {
      facts,
    },
  );
}
