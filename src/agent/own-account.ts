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
 * A condition of `scope.cloudFiltered` that the account meets. `user` as agent.yaml has it: `phs.sync`, `PHS\phs.sync` or
 * `phs.sync@phs.test`; `domain` by its DNS name. Undefined for an account of another domain, whose name may be somebody
 * else's in this one.
 */
export function ownCondition(user: string, domain: string): OwnCondition | undefined {
  const [, netbios, name] = /^(?:([^\\]*)\\)?(.+)$/.exec(user) ?? [];
  if (name === undefined || (netbios !== undefined && !same(netbios, domain.split('.')[0]!))) return undefined;
  const at = netbios === undefined ? name.lastIndexOf('@') : -1;
  if (at < 0) return { attribute: 'sAMAccountName', equals: name };
  // A longer one is no sAMAccountName: Active Directory's consoles cut that, and keep the userPrincipalName whole.
  const isAccountName = same(name.slice(at + 1), domain) && at <= MAX_ACCOUNT_NAME;
  if (isAccountName) return { attribute: 'sAMAccountName', equals: name.slice(0, at) };
  return { attribute: 'userPrincipalName', equals: name };
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
  const condition = ownCondition(auth.user, domain);
  return condition !== undefined && same(object[condition.attribute] ?? '', condition.equals);
}
