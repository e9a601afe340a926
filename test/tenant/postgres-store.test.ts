/** The PostgreSQL store: the suite of all stores, and what is its own. */

import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import type { UserChange } from '#src/tenant/store/changes.js';
import { PostgresStore } from '#src/tenant/store/postgres-store.js';
import { describePostgres } from '../postgres.js';
import { storeSuite } from './store-suite.js';

describePostgres(
  'on PostgreSQL',
  (postgres) => {
    const databases: string[] = [];
    storeSuite('PostgreSQL', async (now) => {
      const url = (databases[0] ??= await postgres().createDatabase());
      const open = () => PostgresStore.open({ url, maxConnections: 4, initialFeatures: 1, now });
      let store = await open();
      return {
        store,
        async reopen() {
          await store.close();
          return (store = await open());
        },
        async remove() {
          // A new database would take a second a test.
          await store.database.run((db) => db.deleteFrom('users').execute());
          await store.database.run((db) => db.deleteFrom('tenant').execute());
          await store.close();
        },
      };
    });

    it('plans a look-up a few times, and not at each, for one key and for many', async () => {
      const url = await postgres().createDatabase();
      const store = await PostgresStore.open({ url, maxConnections: 1, initialFeatures: 1 });
      try {
        for (let i = 0; i < 20; i++) await store.findSignInUser(`u${i}@phs.test`);
        await Promise.all(Array.from({ length: 50 }, (_, i) => store.findSignInUser(`u${i}@phs.test`)));
        const { rows } = await store.database.pool.query(
          "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE name = 'sign_in'",
        );
        expect(rows).toEqual([{ custom_plans: 5, generic_plans: 16 }]);
      } finally {
        await store.close();
      }
    });

    describe('batches of two processes at once', () => {
      const names = Array.from({ length: 200 }, (_, i) => `u${i}`);
      /** Another order every time, the same in every run. */
      const shuffled = (seed: number) =>
        names
          .map((name) => ({ name, at: createHash('sha256').update(`${seed} ${name}`).digest('hex') }))
          .sort((a, b) => (a.at < b.at ? -1 : 1))
          .map(({ name }) => name);
      const upsert = (sourceAnchor: string, userPrincipalName: string): UserChange => ({
        kind: 'upsert',
        sourceAnchor,
        attributes: { userPrincipalName, displayName: userPrincipalName },
      });
      const credential = (sourceAnchor: string, date: number) => ({
        ...{ sourceAnchor, objectId: undefined, changeDate: new Date(date), salt: Buffer.alloc(10), iterations: 1000 },
        ...{ hash: Buffer.alloc(32, date), forcePasswordChangeOnLogon: false },
      });

      it('of the same users in any order do not wait for each other in a ring', { timeout: 240_000 }, async () => {
        const url = await postgres().createDatabase();
        const open = () => PostgresStore.open({ url, maxConnections: 4, initialFeatures: 1 });
        const stores = [await open(), await open()];
        try {
          await Promise.all(
            stores.map(async (store, s) => {
              for (let round = 0; round < 25; round++) {
                const order = shuffled(2 * round + s);
                const users = await store.applyUsers(order.map((name) => upsert(name, `${name}@phs.test`)));
                expect(users.every(({ status }) => status === 'stored')).toBe(true);
                // Policies go and come back: rows of users are written, too.
                const options = { disableExpiration: round % 2 === 0, actor: `agent-${s}` };
                const changes = shuffled(1000 + round + s).map((name) => credential(name, round));
                const outcomes = await store.applyCredentials(changes, options);
                expect(outcomes).not.toContain('unknownUser');
              }
            }),
          );
          expect(await stores[0]!.counts()).toEqual({ users: 200, deleted: 0, credentials: 200 });
          const deadlocks = await stores[0]!.database.run((db) =>
            sql<{ n: number }>`SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()`.execute(
              db,
            ),
          );
          expect(deadlocks.rows[0]!.n).toBe(0);
          const user = await stores[1]!.findSignInUser('u7@phs.test');
          expect(user?.credential?.hash).toEqual(Buffer.alloc(32, 24));
        } finally {
          for (const store of stores) await store.close();
        }
      });

      it('that hand names round, delete and bring back all come to an end', { timeout: 240_000 }, async () => {
        const url = await postgres().createDatabase();
        const open = () => PostgresStore.open({ url, maxConnections: 4, initialFeatures: 1 });
        const stores = [await open(), await open()];
        try {
          await stores[0]!.applyUsers(names.slice(0, 40).map((name) => upsert(name, `${name}@phs.test`)));
          await Promise.all(
            stores.map(async (store, s) => {
              for (let round = 0; round < 8; round++) {
                const order = shuffled(2 * round + s).filter((name) => Number(name.slice(1)) < 40);
                // Each takes the name of the next one: nobody's is free.
                const turned = order.map((name, i) => upsert(name, `${order[(i + 1) % order.length]}@phs.test`));
                const outcomes = await store.applyUsers(turned);
                expect(outcomes.every(({ status }) => status === 'stored')).toBe(true);
                await store.applyUsers([
                  ...order.slice(0, 5).map((sourceAnchor) => ({ kind: 'delete' as const, sourceAnchor })),
                  ...order
                    .slice(5, 9)
                    .map((sourceAnchor) => ({ kind: 'upsert' as const, sourceAnchor, attributes: { surname: 'S' } })),
                ]);
              }
              // Those who were deleted come back under names of their own.
              await store.applyUsers(names.slice(0, 40).map((name) => upsert(name, `${name}@phs.test`)));
            }),
          );
          const counts = await stores[0]!.counts();
          expect(counts).toMatchObject({ users: 40, deleted: 0 });
        } finally {
          for (const store of stores) await store.close();
        }
      });
    });
  },
  // Databases come and go; nothing is crashed.
  { settings: { fsync: 'off' } },
);
