/** `phsync tenant rotate-keys`: the tenant's next signing keys, beside a running tenant. */

import { join } from 'node:path';
import { createAuditLog } from '../tenant/audit/audit-log.js';
import type { TenantConfig } from '../tenant/config.js';
import { FORMER_KEY_FILE, PUBLISHED_BEFORE, SigningKeys } from '../tenant/oidc/signing-keys.js';
import { openExistingStore } from './existing-store.js';
import { printJson } from './output.js';

export interface RotateKeysOptions {
  readonly atOnce: boolean;
  readonly json: boolean;
}

/** @throws PhsyncError `state-missing`, and what the store throws */
export async function rotateKeys(config: TenantConfig, { atOnce, json }: RotateKeysOptions): Promise<void> {
  const store = await openExistingStore(config);
  try {
    const now = () => new Date();
    const keys = await SigningKeys.open({
      database: store.database,
      now,
      formerFile: join(config.stateDir, FORMER_KEY_FILE),
    });
    const made = (await keys.rotate({ atOnce })).map(({ kid, alg, activeFrom }) => ({
      kid,
      alg,
      activeFrom: new Date(activeFrom).toISOString(),
    }));
    await createAuditLog(store.database, now).record({
      actor: { kind: 'system', id: 'phsync tenant rotate-keys' },
      activity: atOnce ? 'Replace signing keys' : 'Rotate signing keys',
      category: 'DirectoryManagement',
      target: { kind: 'Tenant', id: store.tenantId },
      result: 'success',
      details: { keys: made },
    });
    if (json) printJson({ tenantId: store.tenantId, atOnce, keys: made });
    else process.stdout.write(summary(made, atOnce));
  } finally {
    await store.close();
  }
}

function summary(made: readonly { readonly kid: string; readonly alg: string }[], atOnce: boolean): string {
  const lines = made.map(({ kid, alg }) => `${alg}  ${kid}\n`).join('');
  const hours = PUBLISHED_BEFORE / 3_600_000;
  return atOnce
    ? `${lines}They sign now; tokens of the keys before are refused, within a minute by every running tenant.\n`
    : `${lines}They are published now and sign in ${hours} hours; tokens of the keys before stay valid to their end.\n`;
}
