/** `phsync tenant hand-over`: gives a user, or all users of an agent, to another agent, beside a running tenant. */

import { PhsyncError } from '../hasher/errors.js';
import type { TenantConfig } from '../tenant/config.js';
import { handOverAll, handOverUser } from '../tenant/provisioning/hand-over.js';
import { openExistingStore } from './existing-store.js';
import { counted, printJson } from './output.js';

export interface HandOverOptions {
  /** Source anchor of one user, or client id of the agent whose users all go. */
  readonly what: { readonly anchor: string } | { readonly of: string };
  /** Client id. */
  readonly to: string;
  readonly json: boolean;
}

/** @throws PhsyncError `agent-unknown`, `state-missing`, `user-unknown`, and what the store throws */
export async function handOver(config: TenantConfig, { what, to, json }: HandOverOptions): Promise<void> {
  const agent = config.agents.find(({ clientId }) => clientId === to);
  if (agent === undefined) {
    const known = config.agents.map(({ clientId }) => clientId).join(', ');
    throw new PhsyncError('agent-unknown', `--to: ${to} is no agent of tenant.yaml, which has ${known || 'none'}`, {
      facts: { clientId: to },
    });
  }
  const store = await openExistingStore(config);
  const now = () => new Date();
  const { database, tenantId } = store;
  try {
    if ('of' in what) {
      const users = await handOverAll(database, what.of, to, now);
      if (json) printJson({ tenantId, from: what.of, to, users });
      else process.stdout.write(`${counted(users, 'user')} of ${what.of} now belong to ${to}, as they are\n`);
      return;
    }
    // A domain's place in the configuration says nothing: any of them keeps others away.
    const domain = agent.domains?.[0] ?? config.domains[0]!.name;
    const done = await handOverUser(database, what.anchor, { clientId: to, domain }, now);
    if (json) printJson({ tenantId, sourceAnchor: what.anchor, from: done.formerOwner, to, ...done });
    else if (done.isItsOwn) process.stdout.write(`${done.userPrincipalName} belongs to ${to} already\n`);
    else {
      const from = done.formerOwner === null ? '' : ` of ${done.formerOwner}`;
      process.stdout.write(
        `${done.userPrincipalName}${from} is deleted; what ${to} brings with the source anchor ${what.anchor} is a new user\n`,
      );
    }
  } finally {
    await store.close();
  }
}
