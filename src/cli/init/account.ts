/** The one question of the express way: account and domain controller, `phs.sync@dc1.phs.test`. */

export interface Account {
  readonly user: string;
  /** The domain controller; undefined where the name is the domain's, whose controllers DNS knows. */
  readonly server: string | undefined;
  readonly domain: string | undefined;
}

const isAddress = (host: string) => /^[\d.]+$/.test(host) || host.includes(':');

/**
 * `ACCOUNT@HOST` or `ACCOUNT HOST`. A host of three labels and more is a domain controller of the domain behind its
 * first dot; one of two labels is the domain itself, and one by address leaves the domain open. The account may have
 * an `@` or a `\` of its own. Undefined where the text is none of these.
 */
export function parseAccount(text: string): Account | undefined {
  const [, user, host] = /^\s*(\S+)(?:@|\s+)([A-Za-z0-9._:-]+)\s*$/.exec(text) ?? [];
  if (user === undefined || host === undefined) return undefined;
  if (isAddress(host)) return { user, server: host, domain: undefined };
  const labels = host.split('.');
  if (labels.length < 2 || labels.includes('')) return undefined;
  if (labels.length === 2) return { user, server: undefined, domain: host };
  return { user, server: host, domain: labels.slice(1).join('.') };
}

export const ACCOUNT_EXPECTED =
  'expected ACCOUNT@DOMAIN-CONTROLLER, e.g. phs.sync@dc1.phs.test, or ACCOUNT@DOMAIN, whose controllers DNS knows';
