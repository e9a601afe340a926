/** The account that a connector logs on with, as an object of its directory: it may read every hash, and is nobody's to sign in with. */

import type { FilterCondition } from './config/scope.js';
import type { DirectoryObject } from './source.js';

export interface OwnCondition extends Pick<FilterCondition, 'equals'> {
  readonly attribute: 'sAMAccountName' | 'userPrincipalName';
  readonly equals: string;
}

const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

/** MS-SAMR 3.1.1.8.4, of a user. */
const MAX_ACCOUNT_NAME = 20;

/**
 * The conditions of `scope.cloudFiltered` by which the account is left out; the account meets one of them. `user` as
 * agent.yaml has it: `phs.sync`, `PHS\\phs.sync` or `phs.sync@phs.test`; `domain` by its DNS name. A name before the domain
 * is the sAMAccountName of one account and the userPrincipalName of another (a domain controller takes both), and agent.yaml
 * does not say which it is. None for an account of another domain, whose name may be somebody else's in this one.
 */
export function ownConditions(user: string, domain: string): OwnCondition[] {
  const [, netbios, name] = /^(?:([^\\]*)\\)?(.+)$/.exec(user) ?? [];
  if (name === undefined || (netbios !== undefined && !same(netbios, domain.split('.')[0]!))) return [];
  const at = netbios === undefined ? name.lastIndexOf('@') : -1;
  const short = at < 0 ? name : name.slice(0, at);
  const isOfDomain = at < 0 || same(name.slice(at + 1), domain);
  const principal = { attribute: 'userPrincipalName', equals: at < 0 ? `${name}@${domain}` : name } as const;
  // A longer one is no sAMAccountName: Active Directory's consoles cut that, and keep the userPrincipalName whole.
  if (!isOfDomain || short.length > MAX_ACCOUNT_NAME) return [principal];
  return [{ attribute: 'sAMAccountName', equals: short }, principal];
}

interface Connector {
  readonly directory: {
    readonly type: string;
    readonly domain?: string;
    readonly auth?: { readonly user?: string | undefined };
  };
}

/** Whether the object is the account that the connector logs on with. */
export function isOwnAccount({ directory }: Connector, object: DirectoryObject): boolean {
  const { auth, domain } = directory;
  if (auth?.user === undefined || domain === undefined) return false;
  return ownConditions(auth.user, domain).some(({ attribute, equals }) => same(object[attribute] ?? '', equals));
}
