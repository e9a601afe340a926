/** Long reads beside sign-in: by threads on SQLite, by a few of the connections on PostgreSQL. */

import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { Lanes } from '#src/tenant/store/lanes.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import { describeStores } from './stores.js';

/** Takes either database two seconds or so: long enough that a busy machine comes to the others meanwhile. */
const LONG = sql<{
  n: number;
}>`WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 8000000)
  SELECT max(n) AS n FROM numbers`;

describeStores('reads aside', (newSite) => {
  const withStore = async (work: (store: TenantStore) => Promise<void>) => {
    const store = await (await newSite()).open();
    try {
      await store.applyUsers([
        { kind: 'upsert', sourceAnchor: 'a', attributes: { userPrincipalName: 'ann@phs.test' } },
      ]);
      await work(store);
    } finally {
      await store.close();
    }
  };
  const names = (store: TenantStore) =>
    store.database.aside(async (queries) => {
      const rows = await queries.selectFrom('users').select('user_principal_name').execute();
      return rows.map(({ user_principal_name }) => user_principal_name);
    });

  it('do not hold sign-in up, nor one another', () =>
    withStore(async (store) => {
      // All threads and connections are there before it begins.
      await Promise.all([names(store), names(store), store.findSignInUser('ann@phs.test')]);
      const over: string[] = [];
      const long = store.database
        .aside((queries) => LONG.execute(queries))
        .then(({ rows }) => {
          over.push('long');
          return rows;
        });
      expect(await store.findSignInUser('ann@phs.test')).toBeDefined();
      over.push('look-up');
      expect(await names(store)).toEqual(['ann@phs.test']);
      over.push('short');
      expect(await long).toEqual([{ n: 8_000_000 }]);
      expect(over).toEqual(['look-up', 'short', 'long']);
    }));

  it('see what is committed, bytes as well, and change nothing', () =>
    withStore(async (store) => {
      const salt = Buffer.from('0123456789');
      const change = { sourceAnchor: 'a', objectId: undefined, changeDate: new Date(1000), salt, iterations: 1000 };
      const credential = { ...change, hash: Buffer.alloc(32, 7), forcePasswordChangeOnLogon: false };
      await store.applyCredentials([credential], { disableExpiration: true, actor: 'agent-1' });
      const [row] = await store.database.aside((queries) => queries.selectFrom('credentials').selectAll().execute());
      expect(Buffer.from(row!.salt).equals(salt)).toBe(true);
      await store.database.transaction(async (queries) => {
        await queries.updateTable('users').set({ user_principal_name: 'bo@phs.test' }).execute();
        expect(await names(store)).toEqual(['ann@phs.test']);
      });
      expect(await names(store)).toEqual(['bo@phs.test']);
      if (store.database.dialect === 'postgres') return;
      const written = store.database.aside((queries) => queries.deleteFrom('users').returning('id').execute());
      await expect(written).rejects.toMatchObject({
        code: 'store-failed',
        message: expect.stringContaining('readonly'),
      });
      expect(await names(store)).toEqual(['bo@phs.test']);
    }));

  it('are put off where too many wait', () =>
    withStore(async (store) => {
      const all = await Promise.allSettled(Array.from({ length: 60 }, () => names(store)));
      const refused = all.filter((one) => one.status === 'rejected');
      expect(refused).toHaveLength(18);
      for (const { reason } of refused) expect(reason).toMatchObject({ code: 'store-busy' });
      expect(await names(store)).toEqual(['ann@phs.test']);
    }));
});

describeStores('a store that closes', (newSite) => {
  it('waits for the reads aside that are under way, and refuses those that wait and what follows', async () => {
    const store = await (await newSite()).open();
    // The end of those that are under way: both lanes are taken.
    let begun = 0;
    const read = () =>
      store.database.aside(async (queries) => {
        begun++;
        await LONG.execute(queries);
        return LONG.execute(queries);
      });
    const all = Array.from({ length: 6 }, read).map((one) => one.then(() => 'read').catch(({ code }) => code));
    await store.close();
    expect(begun).toBe(2);
    expect(await Promise.all(all.slice(2))).toEqual(Array(4).fill('store-busy'));
    await expect(store.database.aside(async () => 'too late')).rejects.toMatchObject({ code: 'store-busy' });
    if (store.database.dialect === 'postgres') return;
    // On SQLite no thread begins anew for their second statements.
    expect(await Promise.all(all.slice(0, 2))).toEqual(['store-busy', 'store-busy']);
  });
});

it('a lane is free again where its work fails', async () => {
  const lanes = new Lanes(['one'], 1);
  const failing = lanes.use(async () => {
    throw new Error('planted');
  });
  const next = lanes.use(async (lane) => lane);
  await expect(lanes.use(async (lane) => lane)).rejects.toMatchObject({ code: 'store-busy' });
  await expect(failing).rejects.toThrow('planted');
  expect(await next).toBe('one');
  expect(await lanes.use(async (lane) => lane)).toBe('one');
});
