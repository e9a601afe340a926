/** Suites of the tenant that run on both of its databases. */

import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { DATABASE_FILE } from '#src/tenant/state-dir.js';
import { PostgresStore } from '#src/tenant/store/postgres-store.js';
import { SqliteStore } from '#src/tenant/store/sqlite-store.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import { describePostgres } from '../postgres.js';
import { temporaryDirectory } from './harness.js';

export interface StoreSite {
  readonly kind: 'sqlite' | 'postgres';
  /** For startTestTenant(): several tenants may be started on one site. */
  readonly tenant: { readonly stateDir: string; readonly databaseUrl?: string };
  /** The store alone, in this process; whoever opens it closes it. Opened again, it is the same state. */
  open(options?: { readonly now?: () => Date; readonly initialFeatures?: number }): Promise<TenantStore>;
}

/**
 * `body` twice: on SQLite, and on PostgreSQL (skipped by name where there is none; fails with CI=true). `newSite` makes
 * an empty state, for a test or for all of them; it goes after the last test.
 */
export function describeStores(name: string, body: (newSite: () => Promise<StoreSite>) => void): void {
  describe(`${name}, on SQLite`, () => {
    const directories: Awaited<ReturnType<typeof temporaryDirectory>>[] = [];
    afterAll(() => Promise.all(directories.map((directory) => directory.remove())));
    body(async () => {
      const directory = await temporaryDirectory();
      directories.push(directory);
      return {
        kind: 'sqlite',
        tenant: { stateDir: directory.path },
        open: async ({ now = () => new Date(), initialFeatures = 1 } = {}) =>
          new SqliteStore(join(directory.path, DATABASE_FILE), { initialFeatures, now }),
      };
    });
  });
  describePostgres(
    `${name}, on PostgreSQL`,
    (postgres) => {
      const directories: Awaited<ReturnType<typeof temporaryDirectory>>[] = [];
      afterAll(() => Promise.all(directories.map((directory) => directory.remove())));
      body(async () => {
        const directory = await temporaryDirectory();
        directories.push(directory);
        const url = await postgres().createDatabase();
        return {
          kind: 'postgres',
          tenant: { stateDir: directory.path, databaseUrl: url },
          open: ({ now = () => new Date(), initialFeatures = 1 } = {}) =>
            PostgresStore.open({ url, maxConnections: 4, initialFeatures, now }),
        };
      });
    },
    // No test here crashes the server, and a new database takes a third of the time.
    { settings: { fsync: 'off' } },
  );
}
