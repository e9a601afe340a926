/** The security context of a connection to a domain controller: NTLM, Kerberos, or SPNEGO with both. */

import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { ProtocolError } from '../../protocol/errors.js';
import type { SecurityContext } from '../../protocol/rpc/security-context.js';
import type { GssapiAddon } from '../../protocol/ssp/kerberos/gssapi.js';
import { KerberosContext } from '../../protocol/ssp/kerberos/kerberos-context.js';
import type { Mechanism } from '../../protocol/ssp/mechanism.js';
import { NtlmContext } from '../../protocol/ssp/ntlm/ntlm-context.js';
import { SpnegoContext } from '../../protocol/ssp/spnego/spnego-context.js';
import { kerberosPrincipal, parseAccount } from './drs-account.js';
import { loadGssapi } from './gssapi-addon.js';

export interface DrsAuth {
  /** Raw NTLM, raw Kerberos, or SPNEGO: Kerberos where it can be had, and NTLM otherwise, for which it takes a password. */
  readonly mechanism: 'ntlm' | 'negotiate' | 'kerberos';
  /** `phs.sync`, `PHS\phs.sync` or `phs.sync@phs.test`; undefined with a credential cache: whosever it is. */
  readonly user?: string | undefined;
  /** For a bare user name. Default: the directory's domain. */
  readonly domain?: string | undefined;
  /** One of the three. */
  readonly password?: string | undefined;
  /** A file. */
  readonly keytab?: string | undefined;
  /** A file, or `TYPE:residual`. */
  readonly credentialCache?: string | undefined;
  /** Default: the directory's domain in capitals. */
  readonly realm?: string | undefined;
  readonly allowRc4?: boolean | undefined;
}

export interface DrsSecurityOptions {
  readonly server: string;
  readonly address?: string | undefined;
  readonly domain: string;
  readonly auth: DrsAuth;
  readonly allowMd5InFips?: boolean | undefined;
  readonly onNotice?: ((notice: { readonly code: string; readonly message: string }) => void) | undefined;
  /** Default: the package's own. */
  readonly gssapi?: GssapiAddon | undefined;
}

export interface DrsSecurity {
  readonly context: SecurityContext;
  /** When its ticket ends; undefined: never (NTLM). */
  readonly expires: Date | undefined;
}

/** What keeps Kerberos from being tried at all, or shows that the account is not at fault: NTLM may do better. */
const FALL_BACK: readonly string[] = [
  'kerberos-missing',
  'kdc-unreachable',
  'ticket-missing',
  'ticket-expired',
  'keytab-unusable',
  'spn-unknown',
  'clock-skew',
  'kerberos-failed',
];

/**
 * Gets Kerberos' tickets where they are needed. Rejects with a ProtocolError as `KerberosContext.acquire` does, or
 * `config-fips` where FIPS mode forbids NTLM and there is nothing else.
 */
export async function openSecurity(options: DrsSecurityOptions): Promise<DrsSecurity> {
  const { mechanism, password } = options.auth;
  if (mechanism === 'ntlm') return { context: ntlmContext(options), expires: undefined };
  let kerberos: KerberosContext | undefined;
  try {
    kerberos = await kerberosContext(options);
  } catch (error) {
    const mayFallBack =
      mechanism === 'negotiate' &&
      password !== undefined &&
      error instanceof ProtocolError &&
      FALL_BACK.includes(error.code);
    if (!mayFallBack) throw error;
    options.onNotice?.({
      code: 'kerberos-fell-back',
      message: `${options.server}: no Kerberos, so NTLM is spoken instead: ${error.message}`,
    });
    return { context: new SpnegoContext([ntlmContext(options)]), expires: undefined };
  }
  const { expires } = kerberos;
  if (mechanism === 'kerberos') return { context: kerberos, expires };
  return { context: new SpnegoContext([kerberos, ...secondChoice(options)]), expires };
}

async function kerberosContext({
  server,
  address,
  domain,
  auth,
  gssapi,
}: DrsSecurityOptions): Promise<KerberosContext> {
  if (isIP(server) !== 0) {
    throw new ProtocolError(
      'spn-unknown',
      `Kerberos knows servers by name: give the domain controller's as \`server\`, and ${server} as \`address\``,
      { structure: 'Kerberos' },
    );
  }
  const { user, password, keytab, credentialCache, allowRc4 = false } = auth;
  const realm = auth.realm ?? domain.toUpperCase();
  const kdc = address ?? server;
  const context = new KerberosContext({
    gssapi: gssapi ?? loadGssapi(),
    realm,
    // Every domain controller is a KDC of its domain.
    kdcs: [isIP(kdc) === 6 ? `[${kdc}]` : kdc],
    allowRc4,
    ...(user === undefined ? {} : kerberosPrincipal(user, realm)),
    service: `ldap/${server}@${realm}`,
    password,
    keytab,
    credentialCache,
    now: () => new Date(),
  });
  try {
    await context.acquire();
    return context;
  } catch (error) {
    context.dispose();
    throw error;
  }
}

/** NTLM behind Kerberos, where there is a password for it and it may be spoken. */
function secondChoice(options: DrsSecurityOptions): Mechanism[] {
  if (options.auth.password === undefined) return [];
  try {
    return [ntlmContext(options)];
  } catch (error) {
    if (error instanceof ProtocolError) return [];
    throw error;
  }
}

function ntlmContext({ server, domain, auth, allowMd5InFips }: DrsSecurityOptions): NtlmContext {
  const { user, password } = auth;
  if (user === undefined || password === undefined) {
    throw new RangeError('NTLM takes a user and a password');
  }
  return new NtlmContext({
    ...parseAccount(user, auth.domain ?? domain),
    password,
    targetName: `ldap/${server}`,
    random: randomBytes,
    now: () => new Date(),
    allowMd5InFips,
  });
}
