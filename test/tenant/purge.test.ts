/** What the tenant drops when its time is over, and what it keeps, on both databases. */

import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { Feed } from '#src/tenant/domain-services/feed.js';
import { newestSynchronized } from '#src/tenant/store/credential-history.js';
import type { TenantDatabase } from '#src/tenant/store/database.js';
import { PostgresStore } from '#src/tenant/store/postgres-store.js';
import { purge } from '#src/tenant/store/purge.js';
import { startPurgeTimer } from '#src/tenant/store/purge-timer.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import type { Tables } from '#src/tenant/store/tables.js';
import { createCertificate } from '../provisioning/certificates.js';
import { ADMIN, serviceOf } from './domain-services/site.js';
import { describeStores, type StoreSite } from './stores.js';

const DAY = 24 * 60 * 60 * 1000;
const NOW = Date.UTC(2026, 5, 1);
const retention = { signIns: 30, audit: 40, deletedUsers: 50 };
const options = { retention, now: new Date(NOW) };
const NOTHING = {
  ...{ users: 0, signIns: 0, auditEvents: 0, lockouts: 0, familiarPlaces: 0, oidcPayloads: 0, history: 0 },
  deletions: 0,
};

const count = async (database: TenantDatabase, table: keyof Tables) =>
  (
    await database.run((db) =>
      db
        .selectFrom(table)
        .select(({ fn }) => fn.countAll<number>().as('n'))
        .execute(),
    )
  )[0]!.n;

const signIn = (at: number) => ({
  ...{
    sign_in_id: String(at),
    at,
    user_object_id: null,
    user_principal_name: null,
    client_id: 'app',
    flow: 'password',
  },
  ...{ address: '192.0.2.1', familiar: 0, error_code: 0, correlation_id: 'c' },
});
const auditEvent = (at: number) => ({
  ...{
    audit_id: String(at),
    at,
    actor_kind: 'system',
    actor_id: 'x',
    activity: 'a',
    category: 'c',
    target_kind: 'user',
  },
  ...{ target_id: 't', target_name: null, result: 'success', reason: null, details: '{}', correlation_id: null },
});
const payload = (id: string, expires_at: number | null) => ({
  ...{ model: 'Session', id_digest: id, payload: '{}', grant_id: null, user_code: null, uid: null, account_id: null },
  ...{ expires_at, consumed_at: null },
});

describeStores('the purge', (newSite) => {
  async function withStore(work: (store: TenantStore, site: StoreSite) => Promise<void>, now = NOW) {
    const site = await newSite();
    const store = await site.open({ now: () => new Date(now) });
    try {
      await work(store, site);
    } finally {
      await store.close();
    }
  }
  const names = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `u${from + i}`);
  const make = (store: TenantStore, anchors: readonly string[]) =>
    store.applyUsers(
      anchors.map((sourceAnchor) => ({
        kind: 'upsert',
        sourceAnchor,
        attributes: { userPrincipalName: `${sourceAnchor}@phs.test` },
      })),
    );
  const remove = (store: TenantStore, anchors: readonly string[]) =>
    store.applyUsers(anchors.map((sourceAnchor) => ({ kind: 'delete', sourceAnchor })));
  const credential = (sourceAnchor: string, at: number) => ({
    ...{ sourceAnchor, objectId: undefined, changeDate: new Date(at), iterations: 1000 },
    ...{ salt: randomBytes(10), hash: randomBytes(32), forcePasswordChangeOnLogon: false },
  });
  const applied = { disableExpiration: true, actor: 'agent-1' };

  it('drops users deleted longer than retention.deletedUsers, with all that is theirs, and no others', () =>
    withStore(async (store) => {
      await make(store, names(0, 1300));
      await store.applyCredentials(
        names(0, 1300).map((name) => credential(name, 0)),
        applied,
      );
      await remove(store, names(0, 1200));
      await store.database.run((db) =>
        db
          .updateTable('users')
          .set({ deleted_at: NOW - 50 * DAY - 1 })
          .where('deleted_at', 'is not', null)
          .execute(),
      );
      // Just in time: deleted fifty days ago to the millisecond, and one who came back.
      await store.database.run((db) =>
        db
          .updateTable('users')
          .set({ deleted_at: NOW - 50 * DAY })
          .where('source_anchor', '=', 'u7')
          .execute(),
      );
      await make(store, ['u8']);
      expect(await purge(store.database, options)).toEqual({ ...NOTHING, users: 1198 });
      expect(await store.counts()).toEqual({ users: 101, deleted: 1, credentials: 102 });
      expect(await count(store.database, 'credential_history')).toBe(102);
      expect((await store.findSignInUser('u8@phs.test'))?.credential).toBeDefined();
      expect(await purge(store.database, options)).toEqual(NOTHING);
    }));

  it('drops old sign-ins, audit entries, lockouts and what expired of OpenID Connect', () =>
    withStore(async ({ database }) => {
      const age = (days: number) => NOW - days * DAY;
      const old = Array.from({ length: 600 }, (_, i) => age(31) - i);
      await database.run((db) =>
        db
          .insertInto('sign_ins')
          .values([...old, age(30), NOW].map(signIn))
          .execute(),
      );
      await database.run((db) =>
        db
          .insertInto('audit_events')
          .values([age(41), age(40), NOW].map(auditEvent))
          .execute(),
      );
      await database.run((db) =>
        db
          .insertInto('lockouts')
          .values(
            [age(1) - 1, age(1), NOW].map((updated_at, i) => ({
              ...{ name_digest: Buffer.alloc(16, i), familiar: i % 2, failures: 3, locked_until: 0, locks: 0 },
              ...{ wrong: Buffer.alloc(4), updated_at },
            })),
          )
          .execute(),
      );
      // As old, and locks still.
      await database.run((db) =>
        db
          .insertInto('lockouts')
          .values({
            ...{ name_digest: Buffer.alloc(16, 9), familiar: 0, failures: 3, locked_until: NOW, locks: 9 },
            ...{ wrong: Buffer.alloc(4), updated_at: age(2) },
          })
          .execute(),
      );
      await database.run((db) =>
        db
          .insertInto('oidc_payloads')
          .values([payload('a', NOW - 1), payload('b', NOW), payload('c', null)])
          .execute(),
      );
      expect(await purge(database, options)).toEqual({
        ...NOTHING,
        signIns: 600,
        auditEvents: 1,
        lockouts: 1,
        oidcPayloads: 1,
      });
      expect(await count(database, 'sign_ins')).toBe(2);
      expect(await count(database, 'audit_events')).toBe(2);
      expect(await count(database, 'lockouts')).toBe(3);
      expect(await count(database, 'oidc_payloads')).toBe(2);
    }));

  it('drops familiar places that nobody has come from for 90 days', () =>
    withStore(async (store) => {
      await make(store, names(0, 1100));
      const { database } = store;
      const users = await database.run((db) => db.selectFrom('users').select('id').orderBy('id').execute());
      const place = (user_id: number, days: number, more = 0) => ({
        ...{ user_id, place_digest: Buffer.alloc(16, days), last_used: NOW - days * DAY - more },
      });
      const rows = users.flatMap(({ id }) => [place(id, 90, 1), place(id, 89)]);
      for (let i = 0; i < rows.length; i += 1000) {
        await database.run((db) =>
          db
            .insertInto('familiar_places')
            .values(rows.slice(i, i + 1000))
            .execute(),
        );
      }
      expect(await purge(database, options)).toEqual({ ...NOTHING, familiarPlaces: 1100 });
      const left = await database.run((db) => db.selectFrom('familiar_places').select('last_used').execute());
      expect(new Set(left.map(({ last_used }) => last_used))).toEqual(new Set([NOW - 89 * DAY]));
    }));

  it('keeps the newest password that came from on premises, which says when one last came', () =>
    withStore(async (store) => {
      await make(store, ['a']);
      for (let i = 0; i < 3; i++) await store.applyCredentials([credential('a', i)], applied);
      const { database } = store;
      const row = await database.run((db) => db.selectFrom('credential_history').selectAll().executeTakeFirstOrThrow());
      const { id: _, ...entry } = row;
      await database.run((db) =>
        db
          .insertInto('credential_history')
          .values(Array.from({ length: 150 }, (_, i) => ({ ...entry, origin: 1 as const, at: NOW + i })))
          .execute(),
      );
      expect(await purge(database, options)).toEqual({ ...NOTHING, history: 2 + 150 - 24 });
      expect(await database.run(newestSynchronized)).toMatchObject({ at: NOW });
      expect(await purge(database, options)).toEqual(NOTHING);
    }));

  it('forgets deletions after 180 days, whereupon a reader of Domain Services who has not heard of them begins anew', async () => {
    const site = await newSite();
    let now = new Date(NOW);
    const store = await site.open({ now: () => now });
    try {
      const { database } = store;
      const { der } = await createCertificate(2048);
      await serviceOf(store).enable({ domainName: 'aadds.phs.test', certificate: der }, ADMIN);
      const feed = new Feed({ database, now: () => now });
      const { cookie: early } = await feed.page(undefined, 10);
      await make(store, ['a', 'b', 'c']);
      const { cookie: middle } = await feed.page(early, 10);
      await remove(store, ['a', 'b']);
      const { cookie: late } = await feed.page(middle, 10);
      now = new Date(NOW + 180 * DAY);
      expect(await purge(database, { retention, now })).toEqual({ ...NOTHING, users: 2 });
      expect((await feed.page(middle, 10)).value.map((change) => 'deleted' in change)).toEqual([true, true]);
      now = new Date(NOW + 180 * DAY + 1);
      expect(await purge(database, { retention, now })).toEqual({ ...NOTHING, deletions: 2 });
      for (const cookie of [early, middle]) {
        await expect(feed.page(cookie, 10)).rejects.toMatchObject({ status: 410, code: 'resync_required' });
      }
      expect((await feed.page(late, 10)).value).toEqual([]);
      expect((await feed.page(undefined, 10)).value).toMatchObject([{ mailNickname: 'c' }]);
    } finally {
      await store.close();
    }
  });

  it('leaves the only connection of a pool to others between its statements', () =>
    withStore(async (_, site) => {
      if (site.kind === 'sqlite') return;
      const one = await PostgresStore.open({ url: site.tenant.databaseUrl!, maxConnections: 1, initialFeatures: 1 });
      try {
        const { database } = one;
        for (let i = 0; i < 5; i++) {
          const rows = Array.from({ length: 1000 }, (_, k) => signIn(k + 1000 * i));
          await database.append('sign_ins', rows);
        }
        let over = false;
        const purging = purge(database, options).finally(() => (over = true));
        // Each waits for its turn at the pool, and gets it before the ten statements are through.
        for (let i = 0; i < 3; i++) await one.dirSyncFeatures();
        expect(over).toBe(false);
        expect(await purging).toEqual({ ...NOTHING, signIns: 5000 });
      } finally {
        await one.close();
      }
    }));

  it("keeps the last 24 entries of a user's history", () =>
    withStore(async (store) => {
      await make(store, ['a', ...names(0, 1100), 'b']);
      for (let i = 0; i < 30; i++) await store.applyCredentials([credential('a', i)], applied);
      for (let i = 0; i < 25; i++) await store.applyCredentials([credential('b', i)], applied);
      await store.applyCredentials([credential('u1', 5)], applied);
      expect(await purge(store.database, options)).toEqual({ ...NOTHING, history: 7 });
      const rows = await store.database.run((db) =>
        db
          .selectFrom('credential_history')
          .innerJoin('users', 'users.id', 'user_id')
          .select(['source_anchor', 'change_date'])
          .orderBy('credential_history.id')
          .execute(),
      );
      const datesOf = (anchor: string) =>
        rows.filter((row) => row.source_anchor === anchor).map((row) => row.change_date);
      expect(datesOf('a')).toEqual(Array.from({ length: 24 }, (_, i) => i + 6));
      expect(datesOf('b')).toEqual(Array.from({ length: 24 }, (_, i) => i + 1));
      expect(datesOf('u1')).toEqual([5]);
    }));

  it('runs by a timer, which ends, and leaves the work to another process that is at it', () =>
    withStore(async (store, site) => {
      const { database } = store;
      await database.run((db) => db.insertInto('sign_ins').values(signIn(0)).execute());
      const timer = startPurgeTimer(database, {
        ...{ retention, now: () => new Date(NOW), log: pino({ level: 'silent' }) },
        ...{ every: 5, first: 1 },
      });
      while ((await count(database, 'sign_ins')) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      await timer.stop();
      if (site.kind === 'sqlite') return;
      const other = await site.open();
      try {
        // "phsync" and an e, as a number: the purge's lock.
        await other.database.transaction(async (queries) => {
          await sql`SELECT pg_advisory_xact_lock(${0x706873796e65})`.execute(queries);
          expect(await purge(database, options)).toBeUndefined();
        });
        expect(await purge(other.database, options)).toEqual(NOTHING);
      } finally {
        await other.close();
      }
    }));
});
