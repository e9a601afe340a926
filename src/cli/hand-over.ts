/** `phsync tenant hand-over`: gives a user, or all users of an agent, to another agent, beside a running tenant. */

import { PhsyncError } from '../hasher/errors.js';
import { AgentDomains } from '../tenant/agent-domains.js';
import type { TenantConfig } from '../tenant/config.js';
import { type AllHandedOver, type HandedOver, handOverAll, handOverUser } from '../tenant/provisioning/hand-over.js';
import { openExistingStore } from './existing-store.js';
import { counted, printJson } from './output.js';

export interface HandOverOptions {
  /** Source anchor of one user, or client id of the agent whose users all go. */
  readonly what: { readonly anchor: string } | { readonly of: string };
  /** Client id. */
  readonly to: string;
  readonly json: boolean;
}

/** @throws PhsyncError `agent-unknown`, `agent-domains`, `state-missing`, `user-unknown`, and what the store throws */
export async function handOver(config: TenantConfig, { what, to, json }: HandOverOptions): Promise<void> {
  const agent = config.agents.find(({ clientId }) => clientId === to);
  if (agent === undefined) {
    const known = config.agents.map(({ clientId }) => clientId).join(', ');
    throw new PhsyncError('agent-unknown', `--to: ${to} is no agent of tenant.yaml, which has ${known || 'none'}`, {
      facts: { clientId: to },
    });
  }
  // A domain's place in the configuration says nothing: any of them keeps others away.
  const receiver = { clientId: to, domain: agent.domains?.[0] ?? config.domains[0]!.name };
  const store = await openExistingStore(config);
  const now = () => new Date();
  const { database, tenantId } = store;
  try {
    if ('of' in what) {
      const done = await handOverAll(database, what.of, receiver, new AgentDomains(config.agents), now);
      if (json) printJson({ tenantId, from: what.of, to, ...done });
      else process.stdout.write(allText(done, what.of, to));
      return;
    }
    const done = await handOverUser(database, what.anchor, receiver, now);
    if (json) printJson({ tenantId, sourceAnchor: what.anchor, from: done.formerOwner, to, ...done });
    else process.stdout.write(oneText(done, what.anchor, to));
  } finally {
    await store.close();
  }
}

function allText({ users, reserved }: AllHandedOver, of: string, to: string): string {
  const told = `${counted(users, 'user')} of ${of} now ${users === 1 ? 'belongs' : 'belong'} to ${to}, as ${users === 1 ? 'it is' : 'they are'}\n`;
  if (reserved === 0) return told;
  const kept = `${counted(reserved, 'source anchor')} that ${of} has not brought yet ${reserved === 1 ? 'is' : 'are'} kept for ${to} now\n`;
  return users === 0 ? kept : told + kept;
}

function oneText({ userPrincipalName: name, formerOwner, isItsOwn }: HandedOver, anchor: string, to: string): string {
  if (name === null) {
    return isItsOwn
      ? `the source anchor is kept for ${to}, which has not brought it yet\n`
      : `the source anchor, which ${formerOwner} has not brought yet, is kept for ${to} now; what ${to} brings with ${anchor} is a new user\n`;
  }
  if (isItsOwn) return `${name} belongs to ${to} already\n`;
  const from = formerOwner === null ? '' : ` of ${formerOwner}`;
  return `${name}${from} is deleted; what ${to} brings with the source anchor ${anchor} is a new user\n`;
}
