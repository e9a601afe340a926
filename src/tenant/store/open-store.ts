/** Opens the database that tenant.yaml names. */

import { join } from 'node:path';
import { resolveSecret } from '../../config/secrets.js';
import type { TenantConfig } from '../config.js';
import { DATABASE_FILE } from '../state-dir.js';
import { PostgresStore } from './postgres-store.js';
import { SqliteStore } from './sqlite-store.js';
import type { TenantStore } from './store.js';

export interface OpenStoreOptions {
  /** DirSyncFeatures of a tenant that is made now. */
  readonly initialFeatures: number;
  readonly now: () => Date;
  /** Where `{ env: … }` is looked up. */
  readonly env?: Readonly<NodeJS.ProcessEnv> | undefined;
}

/** @throws PhsyncError `config-secret`, `store-open`, `store-newer` or `store-sqlite`. */
export async function openStore(
  { store, stateDir }: Pick<TenantConfig, 'store' | 'stateDir'>,
  { env, ...options }: OpenStoreOptions,
): Promise<TenantStore> {
  if (store.type === 'sqlite') return new SqliteStore(join(stateDir, DATABASE_FILE), options);
  const url = await resolveSecret(store.url, 'store.url', env);
  return PostgresStore.open({ url, maxConnections: store.maxConnections, ...options });
}
