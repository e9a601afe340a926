/** A database of an earlier schema, with a user in it, is brought up to date where it is opened. On both databases. */

import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '#src/state/database.js';
import { revokeSessions } from '#src/tenant/oidc/revocation.js';
import { DATABASE_FILE } from '#src/tenant/state-dir.js';
import { notesBegin } from '#src/tenant/store/change-notes.js';
import type { Dialect } from '#src/tenant/store/dialect.js';
import { migrationsOf } from '#src/tenant/store/migrations.js';
import { describeStores, type StoreSite } from './stores.js';

const OBJECT_ID = '01234567-89ab-4cde-8f01-23456789abcd';
/** Of a tenant with one user, who has a password and a session. */
const ROWS: Readonly<Record<Dialect, readonly string[]>> = (() => {
  const rows = (bytes: (hex: string) => string) => [
    `INSERT INTO tenant (id, tenant_id, dirsync_features, digest_key)
      VALUES (1, '11111111-2222-4333-8444-555555555555', 1, ${bytes('07'.repeat(32))})`,
    `INSERT INTO sign_ins (sign_in_id, at, client_id, flow, address, familiar, error_code, correlation_id)
      VALUES ('sign-in-1', 1000, 'app', 'password', '192.0.2.1', 0, 0, 'correlation-1')`,
    `INSERT INTO users (id, object_id, source_anchor, upn_key, user_principal_name, account_enabled, created_at, updated_at)
      VALUES (7, '${OBJECT_ID}', 'anchor-1', 'ann@phs.test', 'Ann@phs.test', 1, 1000, 1000)`,
    `INSERT INTO credentials (user_id, salt, iterations, hash, change_date, force_change, origin, changed_at, updated_at)
      VALUES (7, ${bytes('01'.repeat(10))}, 1000, ${bytes('02'.repeat(32))}, 1000, 0, 0, 1000, 1000)`,
    `INSERT INTO oidc_payloads (model, id_digest, payload, account_id) VALUES ('Session', 'digest', '{}', '${OBJECT_ID}')`,
  ];
  return { sqlite: rows((hex) => `x'${hex}'`), postgres: rows((hex) => `'\\x${hex}'`) };
})();

/** At migration `last`, as the version that ended there left it. */
async function make({ kind, tenant }: StoreSite, last: number, more: readonly string[] = []): Promise<void> {
  const migrations = migrationsOf(kind).filter(({ number }) => number <= last);
  if (kind === 'sqlite') {
    const file = join(tenant.stateDir, DATABASE_FILE);
    const database = openDatabase(file, {
      migrations,
      synchronous: 'FULL',
      cacheKiB: 1000,
      walPages: 100,
      busyMs: 100,
    });
    for (const row of [...ROWS.sqlite, ...more]) database.exec(row);
    database.close();
    return;
  }
  const client = new pg.Client({ connectionString: tenant.databaseUrl! });
  await client.connect();
  try {
    await client.query('CREATE TABLE migrations (number bigint PRIMARY KEY, applied_at bigint NOT NULL)');
    for (const { number, sql } of migrations) {
      await client.query(sql);
      await client.query('INSERT INTO migrations (number, applied_at) VALUES ($1, 0)', [number]);
    }
    for (const row of [...ROWS.postgres, ...more]) await client.query(row);
  } finally {
    await client.end();
  }
}

/** Domain Services with what an agent has sealed for the user, noted as a version that had no digests did. */
const sealedRows = (kind: Dialect): readonly string[] => {
  const bytes = (text: string) => `${kind === 'sqlite' ? "x'" : "'\\x"}${Buffer.from(text).toString('hex')}'`;
  return [
    `INSERT INTO domain_services (id, enabled, domain_name, security_settings, epoch, sequence, forgotten, updated_at)
      VALUES (1, 1, 'aadds.phs.test', '{}', 'e', 1, 0, 1000)`,
    ...notesBegin(kind),
    `INSERT INTO windows_credentials (user_id, thumbprint, change_date, updated_at, legacy, supplemental)
      VALUES (7, ${bytes('of twenty characters')}, 1000, 1000, ${bytes('abc')}, NULL)`,
  ];
};

describeStores('a database of before', (newSite) => {
  it('with sealed credentials, at migration 4, gets their digests, and tells nobody that they have changed', async () => {
    const site = await newSite();
    await make(site, 4, sealedRows(site.kind));
    const store = await site.open();
    try {
      const [row] = await store.database.run((queries) =>
        queries.selectFrom('windows_credentials').selectAll().execute(),
      );
      // FIPS 180-4's example of one block.
      const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
      expect(Buffer.from(row!.legacy_digest!).toString('hex')).toBe(abc);
      expect(row).toMatchObject({ supplemental: null, supplemental_digest: null });
      const notes = () =>
        store.database.run((queries) => queries.selectFrom('domain_services_pending').select('object_id').execute());
      // The one of before: the password came.
      expect(await notes()).toEqual([{ object_id: OBJECT_ID }]);
      await store.database.run((queries) =>
        queries.updateTable('windows_credentials').set({ updated_at: 2 }).execute(),
      );
      expect(await notes()).toHaveLength(2);
    } finally {
      await store.close();
    }
  });

  describe.each([2, 3, 4, 5])('at migration %i', (last) => {
    it('keeps its users, and can all that came since', async () => {
      const site = await newSite();
      await make(site, last);
      // Twice: the second time there is nothing to do.
      await (await site.open()).close();
      const store = await site.open();
      try {
        const { database } = store;
        expect(store.tenantId).toBe('11111111-2222-4333-8444-555555555555');
        expect(await store.findSignInUser('ANN@phs.test')).toMatchObject({
          objectId: OBJECT_ID,
          credential: { iterations: 1000, hash: Buffer.alloc(32, 2) },
        });
        const columns = () =>
          database.run((queries) =>
            queries.selectFrom('users').select(['sessions_valid_from', 'owner']).executeTakeFirst(),
          );
        expect(await columns()).toEqual({ sessions_valid_from: null, owner: null });
        await database.transaction((queries) => revokeSessions(queries, OBJECT_ID, new Date(5000)));
        expect(await columns()).toEqual({ sessions_valid_from: 5000, owner: null });
        const signIns = await database.run((queries) => queries.selectFrom('sign_ins').select('sign_in_id').execute());
        expect(signIns).toEqual([{ sign_in_id: 'sign-in-1' }]);
        const numbers = await database.run((queries) =>
          queries
            .selectFrom('oidc_payloads')
            .select(({ fn }) => fn.countAll<number>().as('left'))
            .executeTakeFirstOrThrow(),
        );
        expect(Number(numbers.left)).toBe(0);
        const services = await database.run((queries) => queries.selectFrom('domain_services').selectAll().execute());
        expect(services).toEqual([]);
      } finally {
        await store.close();
      }
    });
  });
});
