/** The account as people write it, to user and domain as NTLM wants them and to the principal that Kerberos wants. */

export interface DrsAccount {
  readonly user: string;
  /** NetBIOS or DNS name; empty with a UPN. */
  readonly domain: string;
}

/**
 * `PHS\phs.sync`, `phs.sync@phs.test` or `phs.sync`.
 * @param domain for a bare name: the directory's own.
 */
export function parseAccount(text: string, domain: string): DrsAccount {
  const backslash = text.indexOf('\\');
  if (backslash >= 0) {
    return { domain: text.slice(0, backslash), user: text.slice(backslash + 1) };
  }
  return { user: text, domain: text.includes('@') ? '' : domain };
}

/** The account for people to read, which a credential cache may leave open. */
export function accountName(auth: {
  readonly user?: string | undefined;
  readonly credentialCache?: string | undefined;
}) {
  return auth.user ?? `the owner of ${auth.credentialCache}`;
}

export interface KerberosAccount {
  /** `phs.sync@PHS.TEST` */
  readonly client: string;
  /** A user principal name with a suffix of its own, which the realm's KDC is to look up (RFC 6806 5). */
  readonly enterprise: boolean;
}

/** The same three ways to Kerberos' one. The NetBIOS name is not looked at: the account is the realm's. */
export function kerberosPrincipal(text: string, realm: string): KerberosAccount {
  const user = text.slice(text.indexOf('\\') + 1);
  const at = user.lastIndexOf('@');
  if (at < 0) {
    return { client: `${escapePrincipal(user)}@${realm}`, enterprise: false };
  }
  const suffix = user.slice(at + 1);
  if (suffix.toUpperCase() === realm.toUpperCase()) {
    return { client: `${escapePrincipal(user.slice(0, at))}@${realm}`, enterprise: false };
  }
  return { client: `${escapePrincipal(user)}@${realm}`, enterprise: true };
}

/** What separates components and realm is a character like any other in an account's name (krb5_parse_name(3)). */
function escapePrincipal(name: string): string {
  return name.replace(/[\\/@]/g, '\\$&');
}
