/** What the tenant drops when its time is over, and what it keeps, on both databases. */

import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import type { TenantDatabase } from '#src/tenant/store/database.js';
import { purge } from '#src/tenant/store/purge.js';
import { startPurgeTimer } from '#src/tenant/store/purge-timer.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import type { Tables } from '#src/tenant/store/tables.js';
import { describeStores, type StoreSite } from './stores.js';

const DAY = 24 * 60 * 60 * 1000;
const NOW = Date.UTC(2026, 5, 1);
const retention = { signIns: 30, audit: 40, deletedUsers: 50 };
const options = { retention, now: new Date(NOW) };
const NOTHING = { users: 0, signIns: 0, auditEvents: 0, lockouts: 0, oidcPayloads: 0, history: 0 };

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
      expect(await count(database, 'lockouts')).toBe(2);
      expect(await count(database, 'oidc_payloads')).toBe(2);
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
        const both = await Promise.all(
          Array.from({ length: 6 }, (_, i) => purge((i % 2 ? store : other).database, options)),
        );
        expect(both.filter((purged) => purged !== undefined).length).toBeGreaterThan(0);
        expect(both).toContain(undefined);
        expect(await purge(other.database, options)).toEqual(NOTHING);
      } finally {
        await other.close();
      }
    }));
});
