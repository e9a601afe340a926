/** Opens the database that tenant.yaml names. */

import { join } from 'node:path';
import { resolveSecret } from '../../config/secrets.js';
import { PhsyncError } from '../../hasher/errors.js';
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

/** @throws PhsyncError `config-secret`, `config-store-tls`, `store-open`, `store-newer` or `store-sqlite`. */
export async function openStore(
  { store, stateDir }: Pick<TenantConfig, 'store' | 'stateDir'>,
  { env, ...options }: OpenStoreOptions,
): Promise<TenantStore> {
  if (store.type === 'sqlite') return new SqliteStore(join(stateDir, DATABASE_FILE), options);
  const url = await resolveSecret(store.url, 'store.url', env);
  checkEncryption(url);
  return PostgresStore.open({ url, maxConnections: store.maxConnections, ...options });
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])?$/i;

/** Nobody is to send credentials over a network in the clear by leaving a word out. What is no URL is refused later. */
function checkEncryption(text: string): void {
  if (!URL.canParse(text)) return;
  const { protocol, hostname, searchParams } = new URL(text);
  if (!/^postgres(ql)?:$/.test(protocol)) return;
  // A socket's directory stands in `host`.
  if (LOOPBACK.test(hostname) || searchParams.has('sslmode') || searchParams.has('ssl')) return;
  throw new PhsyncError(
    'config-store-tls',
    'store.url: the database is on another machine, and nothing is said of TLS: add sslmode=verify-full ' +
      '(or sslmode=disable, where the network between is safe by itself)',
  );
}
