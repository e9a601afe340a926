/** The account that the agent logs on with may read every hash: a new agent.yaml leaves it out of the tenant, in so many words. */

import { type OwnCondition, ownConditions } from '../../agent/own-account.js';
import { type Draft, getAt, setAt } from './draft.js';

const CONDITIONS = ['scope', 'cloudFiltered'];

const connectorsOf = (draft: Draft): readonly Draft[] => {
  const connectors = getAt(draft, ['connectors']);
  return Array.isArray(connectors) ? (connectors as Draft[]) : [];
};

/** Of one connector; none where it names no account of its own domain. */
function conditionsOf(connector: Draft): OwnCondition[] {
  const user = getAt(connector, ['directory', 'auth', 'user']);
  const domain = getAt(connector, ['directory', 'domain']);
  return typeof user === 'string' && typeof domain === 'string' ? ownConditions(user, domain) : [];
}

const isSame = (a: Partial<OwnCondition>, b: OwnCondition) =>
  a.attribute === b.attribute && a.equals?.toLowerCase() === b.equals.toLowerCase();

/** Adds conditions to `scope.cloudFiltered` of each connector that names an account of its own domain, each once. */
export function leaveOutOwnAccounts(draft: Draft): void {
  for (const each of connectorsOf(draft)) {
    const given = (getAt(each, CONDITIONS) ?? []) as readonly Partial<OwnCondition>[];
    const added = conditionsOf(each).filter((own) => !given.some((condition) => isSame(condition, own)));
    if (added.length > 0) setAt(each, CONDITIONS, [...given, ...added]);
  }
}

/** Whether the connector, as it is to be written, has the conditions on its own account. */
export function leavesOutOwnAccount(connector: Draft): boolean {
  const given = (getAt(connector, CONDITIONS) ?? []) as readonly Partial<OwnCondition>[];
  return conditionsOf(connector).some((own) => given.some((condition) => isSame(condition, own)));
}

/** The names of connectors that log on with a credential cache and do not say whose it is. */
export function unknownAccounts(draft: Draft): string[] {
  const auth = (each: Draft, key: string) => getAt(each, ['directory', 'auth', key]);
  return connectorsOf(draft)
    .filter((each) => auth(each, 'credentialCache') !== undefined && auth(each, 'user') === undefined)
    .map((each) => String(getAt(each, ['name'])));
}
