/** The store of a tenant that has run before, for commands that work beside it. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PhsyncError } from '../hasher/errors.js';
import type { TenantConfig } from '../tenant/config.js';
import { INITIAL_FEATURES } from '../tenant/provisioning/operations.js';
import { DATABASE_FILE } from '../tenant/state-dir.js';
import { openStore } from '../tenant/store/open-store.js';
import type { TenantStore } from '../tenant/store/store.js';

/** @throws PhsyncError `state-missing` where no tenant has run with this stateDir, and what openStore throws */
export function openExistingStore(config: TenantConfig): Promise<TenantStore> {
  if (config.store.type === 'sqlite' && !existsSync(join(config.stateDir, DATABASE_FILE))) {
    throw new PhsyncError('state-missing', `no tenant has run with the stateDir ${config.stateDir} yet`, {
      facts: { stateDir: config.stateDir },
    });
  }
  return openStore(config, { initialFeatures: INITIAL_FEATURES, now: () => new Date() });
}
