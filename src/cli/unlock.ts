/** `phsync tenant unlock`: ends a smart lockout before its time, beside a running tenant. */

import { PhsyncError } from '../hasher/errors.js';
import { createAuditLog } from '../tenant/audit/audit-log.js';
import type { TenantConfig } from '../tenant/config.js';
import { KeyedDigests } from '../tenant/sign-in/digests.js';
import { forget } from '../tenant/sign-in/lockouts.js';
import { userPrincipalNameKey } from '../tenant/store/store.js';
import { openExistingStore } from './existing-store.js';
import { counted, printJson } from './output.js';

export interface UnlockOptions {
  /** User principal name, in any case. */
  readonly user: string;
  readonly json: boolean;
}

/** @throws PhsyncError `state-missing`, `user-unknown`, and what the store throws */
export async function unlock(config: TenantConfig, { user: name, json }: UnlockOptions): Promise<void> {
  const store = await openExistingStore(config);
  try {
    const { database } = store;
    const now = () => new Date();
    const user = await store.findSignInUser(name);
    if (user === undefined) {
      throw new PhsyncError('user-unknown', `--user: no user of this tenant has the name ${name}`, { facts: { name } });
    }
    const { userPrincipalName, objectId } = user;
    const digest = (await KeyedDigests.open(database)).name(userPrincipalNameKey(userPrincipalName));
    const audit = createAuditLog(database, now);
    const { failures, wasLocked } = await database.transaction(async (queries) => {
      const forgotten = await forget(queries, digest, now());
      const entry = {
        actor: { kind: 'system', id: 'phsync tenant unlock' },
        activity: 'Unlock user account',
        category: 'UserManagement',
        target: { kind: 'User', id: objectId, name: userPrincipalName },
        result: 'success',
        details: forgotten,
      } as const;
      await audit.record(entry, queries);
      return forgotten;
    });
    if (json) printJson({ tenantId: store.tenantId, objectId, userPrincipalName, wasLocked, failures });
    else {
      const told = `${counted(failures, 'wrong password')} forgotten`;
      process.stdout.write(`${userPrincipalName} ${wasLocked ? 'is unlocked' : 'was not locked'}; ${told}\n`);
    }
  } finally {
    await store.close();
  }
}
