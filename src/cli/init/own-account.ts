/** The account that the agent logs on with may read every hash: a new agent.yaml leaves it out of the tenant, in so many words. */

import { ownCondition } from '../../agent/own-account.js';
import { type Draft, getAt, setAt } from './draft.js';

/**
 * Adds a condition to `scope.cloudFiltered` of each connector that names an account of its own domain, unless one that
 * asks for the same attribute is there: who takes the line away has the account synchronized as any other.
 */
export function leaveOutOwnAccounts(draft: Draft): void {
  const connectors = getAt(draft, ['connectors']);
  if (!Array.isArray(connectors)) return;
  for (const each of connectors as Draft[]) {
    const user = getAt(each, ['directory', 'auth', 'user']);
    const domain = getAt(each, ['directory', 'domain']);
    const own = typeof user === 'string' && typeof domain === 'string' ? ownCondition(user, domain) : undefined;
    if (own === undefined) continue;
    const given = (getAt(each, ['scope', 'cloudFiltered']) ?? []) as readonly { readonly attribute: string }[];
    if (given.some(({ attribute }) => attribute === own.attribute)) continue;
    setAt(each, ['scope', 'cloudFiltered'], [...given, own]);
  }
}
