/** The account as people write it, to user and domain as NTLM wants them. */

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
