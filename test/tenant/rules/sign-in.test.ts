/** What a sign-in costs, what it tells and what is written down of it; credentials of other iteration counts. */

import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PhsyncError } from '#src/hasher/errors.js';
import type { Hasher } from '#src/hasher/types.js';
import { FamiliarPlaces } from '#src/tenant/sign-in/familiar-places.js';
import type { SignInHasher } from '#src/tenant/sign-in/password-check.js';
import { createSignIn } from '#src/tenant/sign-in/sign-in.js';
import { SignInLog } from '#src/tenant/sign-in/sign-in-log.js';
import type { SignInAttempt } from '#src/tenant/sign-in/types.js';
import type { Queries, TenantDatabase } from '#src/tenant/store/database.js';
import type { KeyPart, LookUp } from '#src/tenant/store/look-up.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import { startTestTenant, testHasher } from '../harness.js';
import { describeStores, type StoreSite } from '../stores.js';
import { DAY, MINUTE, RuleSite } from './site.js';

const RIGHT = 'Right.Passw0rd';
const WRONG = 'Gu3ssed-At-Random';

describeStores('sign-in', (newSite) => {
  let hasher: Hasher;
  let where: StoreSite;
  let site: RuleSite;
  beforeAll(async () => {
    hasher = testHasher();
    where = await newSite();
    site = await RuleSite.start(where, hasher);
    await site.addUser('known');
    await site.sync('known', { password: RIGHT });
    await site.addUser('nopassword');
    await site.addUser('disabled', { accountEnabled: false });
    await site.sync('disabled', { password: RIGHT });
    await site.addUser('deleted');
    await site.sync('deleted', { password: RIGHT });
    await site.tenant.store.applyUsers([{ kind: 'delete', sourceAnchor: 'deleted' }]);
  });
  afterAll(async () => {
    await site?.close();
    await hasher?.close();
  });

  const attempt = (userPrincipalName: string, password: string): SignInAttempt => ({
    userPrincipalName,
    password,
    clientId: 'app',
    address: '203.0.113.7',
    flow: 'password',
    correlationId: randomUUID(),
  });

  it('costs the same for every failure: the same queries, one derivation of 1000 iterations', async () => {
    const iterations: number[] = [];
    const spy: SignInHasher = {
      ntHash: (password) => hasher.ntHash(password),
      derive(ntHash, options) {
        iterations.push(options?.iterations ?? 0);
        return hasher.derive(ntHash, options);
      },
    };
    const real = await where.open({ now: site.clock.now });
    let did: string[] = [];
    const store: TenantStore = Object.create(real, {
      findSignInUser: {
        value: (name: string) => {
          did.push('user');
          return real.findSignInUser(name);
        },
      },
      database: {
        value: {
          dialect: real.database.dialect,
          run: <T>(work: (queries: Queries) => Promise<T>) => {
            did.push('query');
            return real.database.run(work);
          },
          transaction: <T>(work: (queries: Queries) => Promise<T>) => {
            did.push('transaction');
            return real.database.transaction(work);
          },
          lookUp: <Key extends readonly KeyPart[], Row>(look: LookUp<Key, Row>) => {
            const find = real.database.lookUp(look);
            return (...key: Key) => {
              did.push(look.name);
              return find(...key);
            };
          },
          append: real.database.append.bind(real.database),
        },
      },
    });
    const signIn = await createSignIn({
      store,
      hasher: spy,
      settings: { threshold: 10, seconds: 60, blockHighRisk: true },
      now: site.clock.now,
      log: pino({ level: 'silent' }),
    });
    // What the log has to write is written before, and the domains are read, which is done once a second: neither counts.
    const fresh = async () => {
      await signIn.log.flush();
      signIn.realms.refresh();
      await signIn.realms.of('known@phs.test');
      did = [];
    };
    try {
      await signIn.signIn(attempt('known@phs.test', RIGHT));
      const failures = [
        ['known@phs.test', WRONG],
        ['known@phs.test', 'x'.repeat(1000)],
        ['disabled@phs.test', WRONG],
        ['nopassword@phs.test', WRONG],
        ['nopassword@phs.test', RIGHT],
        ['nobody@phs.test', WRONG],
        ['deleted@phs.test', RIGHT],
        ['known@elsewhere.test', RIGHT],
        ['', WRONG],
        ['@', WRONG],
        ['known@phs.test\0', RIGHT],
        ['\ud800known@phs.test', RIGHT],
        [`${'x'.repeat(5000)}@phs.test`, WRONG],
      ] as const;
      for (const [name, password] of failures) {
        iterations.length = 0;
        await fresh();
        expect(await signIn.signIn(attempt(name, password))).toEqual({ status: 'refused', code: 50126 });
        expect([name, iterations, did]).toEqual([
          name,
          [1000],
          ['user', 'familiar_place', 'lockout_count', 'transaction'],
        ]);
      }
      await fresh();
      expect((await signIn.signIn(attempt('known@phs.test', RIGHT))).status).toBe('signedIn');
      // The count is written off; the last query is of the risk.
      expect(did).toEqual(['user', 'familiar_place', 'lockout_count', 'transaction', 'high_risk']);
      await fresh();
      // No failure stands against the name any longer: nothing is written.
      expect((await signIn.signIn(attempt('known@phs.test', RIGHT))).status).toBe('signedIn');
      expect(did).toEqual(['user', 'familiar_place', 'lockout_count', 'high_risk']);
      // Locked, a right one is not told from a wrong one by what it costs either.
      for (let i = 0; i < 10; i++) await signIn.signIn(attempt('known@phs.test', `${WRONG}${i}`));
      for (const password of [RIGHT, WRONG, RIGHT]) {
        iterations.length = 0;
        await fresh();
        expect(await signIn.signIn(attempt('known@phs.test', password))).toEqual({ status: 'refused', code: 50053 });
        expect([iterations, did]).toEqual([[1000], ['user', 'familiar_place', 'lockout_count', 'transaction']]);
      }
      await real.database.transaction((queries) =>
        signIn.lockouts.reset(queries, signIn.digests.name('known@phs.test')),
      );
    } finally {
      await signIn.close();
      await real.close();
    }
  });

  it.each([
    ['known', RIGHT, 0, 0],
    ['known', WRONG, 50126, 50126],
    ['nobody', WRONG, 50126, 50034],
    ['deleted', RIGHT, 50126, 50034],
    ['nopassword', RIGHT, 50126, 50056],
    ['disabled', WRONG, 50126, 50126],
    ['disabled', RIGHT, 50057, 50057],
  ])('%s with %s: %i to the person, %i in the log', async (name, password, told, reason) => {
    const { code, correlationId } = await site.try(name, password, '2001:db8:1::7');
    expect(code).toBe(told);
    const row = await site.logged(correlationId);
    const known = reason !== 50034;
    expect(row).toMatchObject({
      error_code: reason,
      user_principal_name: known ? `${name}@phs.test` : null,
      client_id: 'app',
      flow: 'password',
      address: '2001:db8:1::7',
      at: site.clock.time,
    });
    expect(row.user_object_id === null).toBe(!known);
  });

  it('the log has no name that no user has: people type passwords there', async () => {
    const typed = 'My.Secret.Passw0rd@phs.test';
    await site.signIn(typed, RIGHT);
    await site.signIn('hunter2', RIGHT);
    await site.tenant.signInService.log.flush();
    const rows = await site.tenant.store.database.run((queries) =>
      queries.selectFrom('sign_ins').selectAll().execute(),
    );
    expect(JSON.stringify(rows)).not.toMatch(/My.Secret|hunter2|Gu3ssed/);
    expect(site.tenant.logText()).not.toMatch(/My.Secret|hunter2|Gu3ssed/);
  });

  it('takes from clients what no database takes', async () => {
    const odd = { clientId: 'a\0b\ud800', address: '\0', correlationId: 'odd\0' };
    await site.tenant.signInService.signIn({ ...attempt('known@phs.test', RIGHT), ...odd });
    expect(await site.logged('odd\ufffd')).toMatchObject({ error_code: 0, address: '\ufffd' });
  });

  it('is familiar from the second sign-in in a network on, for 90 days', async () => {
    await site.addUser('homely');
    await site.sync('homely', { password: RIGHT });
    const familiar = async (address: string, password = RIGHT) => {
      const { correlationId } = await site.try('homely', password, address);
      return (await site.logged(correlationId)).familiar;
    };
    expect(await familiar('192.0.2.1', WRONG)).toBe(0);
    expect(await familiar('192.0.2.1')).toBe(0);
    expect(await familiar('192.0.2.200')).toBe(1);
    expect(await familiar('192.0.3.1', WRONG)).toBe(0);
    expect(await familiar('192.0.3.1', `${WRONG}2`)).toBe(0);
    site.clock.forward(80 * DAY);
    await site.purge();
    expect(await familiar('192.0.2.1')).toBe(1);
    site.clock.forward(80 * DAY);
    await site.purge();
    expect(await familiar('192.0.2.1', WRONG)).toBe(1);
    site.clock.forward(11 * DAY);
    await site.purge();
    expect(await familiar('192.0.2.1')).toBe(0);
    const rows = await site.tenant.store.database.run((queries) =>
      queries.selectFrom('familiar_places').select('place_digest').execute(),
    );
    for (const { place_digest } of rows) expect(place_digest).toHaveLength(16);
  });

  it('a familiar place that could not be written waits, and is given up after a few refusals only', async () => {
    await site.addUser('wanderer');
    const { id: userId } = await site.user('wanderer');
    const store = await where.open({ now: site.clock.now });
    const failures: PhsyncError[] = [];
    const database: TenantDatabase = Object.create(store.database, {
      transaction: {
        value: (...work: Parameters<TenantDatabase['transaction']>) => {
          const planted = failures.shift();
          return planted === undefined ? store.database.transaction(...work) : Promise.reject(planted);
        },
      },
    });
    const places = new FamiliarPlaces(database, site.tenant.signInService.digests, site.clock.now);
    const log = new SignInLog(database, places, site.clock.now, pino({ level: 'silent' }));
    const count = async () =>
      (
        await store.database.run((queries) =>
          queries.selectFrom('familiar_places').select('user_id').where('user_id', '=', userId).execute(),
        )
      ).length;
    const fail = (code: 'store-busy' | 'store-failed', times: number) => {
      for (let i = 0; i < times; i++) failures.push(new PhsyncError(code, 'planted'));
    };
    fail('store-busy', 7);
    log.remember(userId, '203.0.113.1');
    for (let i = 0; i < 7; i++) await log.flush();
    expect(await count()).toBe(0);
    await log.flush();
    expect(await count()).toBe(1);

    fail('store-failed', 4);
    log.remember(userId, '203.0.114.1');
    for (let i = 0; i < 5; i++) await log.flush();
    expect(await count()).toBe(2);

    fail('store-failed', 5);
    log.remember(userId, '203.0.115.1');
    for (let i = 0; i < 4; i++) await log.flush();
    log.remember(userId, '203.0.116.1');
    for (let i = 0; i < 6; i++) await log.flush();
    expect(failures).toEqual([]);
    await log.close();
    await store.close();
    // The fifth refusal took both, which came to it together.
    expect(
      await site.tenant.store.database.run((queries) =>
        queries.selectFrom('familiar_places').select('user_id').where('user_id', '=', userId).execute(),
      ),
    ).toHaveLength(2);
  });

  it('what could not be written waits, and what can never be is not waited for', async () => {
    const store = await where.open({ now: site.clock.now });
    let failure: PhsyncError | undefined;
    const database: TenantDatabase = Object.create(store.database, {
      append: {
        value: (...rows: Parameters<TenantDatabase['append']>) => {
          const planted = failure;
          failure = undefined;
          return planted === undefined ? store.database.append(...rows) : Promise.reject(planted);
        },
      },
    });
    const { digests } = site.tenant.signInService;
    const places = new FamiliarPlaces(database, digests, site.clock.now);
    const log = new SignInLog(database, places, site.clock.now, pino({ level: 'silent' }));
    const entry = {
      user: undefined,
      clientId: 'writer',
      flow: 'refresh',
      address: '::1',
      familiar: false,
      errorCode: 0,
    } as const;
    const written = async () => {
      await log.flush();
      const rows = await store.database.run((queries) =>
        queries
          .selectFrom('sign_ins')
          .select('correlation_id')
          .where('client_id', '=', 'writer')
          .orderBy('id')
          .execute(),
      );
      return rows.map(({ correlation_id }) => correlation_id);
    };
    log.record({ ...entry, correlationId: 'waits' });
    failure = new PhsyncError('store-busy', 'planted: try again');
    await log.flush();
    expect(failure).toBeUndefined();
    expect(await written()).toEqual(['waits']);
    log.record({ ...entry, correlationId: 'lost' });
    failure = new PhsyncError('store-failed', 'planted: not this one');
    expect(await written()).toEqual(['waits']);
    log.record({ ...entry, correlationId: 'next' });
    expect(await written()).toEqual(['waits', 'next']);
    await log.close();
    await store.close();
  });

  it('a busy hasher is 503, and counts for nothing', async () => {
    const busy: SignInHasher & Pick<Hasher, 'info'> = {
      info: hasher.info,
      ntHash: (password) => hasher.ntHash(password),
      derive: () => Promise.reject(new PhsyncError('hasher-busy', 'the queue is full')),
    };
    const tenant = await startTestTenant({ ...(await newSite()).tenant, hasher: busy });
    try {
      for (let i = 0; i < 12; i++) {
        const reply = await tenant.signIn('known@phs.test', `${WRONG}${i}`);
        expect([reply.status, reply.json.error]).toEqual([503, 'temporarily_unavailable']);
      }
      const rows = await tenant.store.database.run((queries) => queries.selectFrom('lockouts').selectAll().execute());
      expect(rows).toEqual([]);
    } finally {
      await tenant.close();
    }
  });

  describe('a credential of another iteration count', () => {
    const credentialOf = async (name: string) => (await site.user(name)).credential!;
    const settled = async (name: string, iterations: number) => {
      await expect.poll(async () => (await credentialOf(name)).iterations).toBe(iterations);
      return credentialOf(name);
    };

    it.each([100, 10_000])('of %i becomes one of 1000 at a right sign-in, and history notes it', async (iterations) => {
      const name = `old${iterations}`;
      await site.addUser(name);
      await site.sync(name, { password: RIGHT, iterations });
      const before = await site.user(name);
      expect(await site.signIn(name, WRONG)).toBe(50126);
      expect((await credentialOf(name)).iterations).toBe(iterations);
      expect(await site.signIn(name, RIGHT)).toBe(0);
      const credential = await settled(name, 1000);
      expect(credential.iterations).toBe(1000);
      expect(Buffer.from(credential.salt)).not.toEqual(Buffer.from(before.credential!.salt));
      expect(await hasher.verify(credential, RIGHT)).toBe(true);
      const { id, passwordChanged, passwordOrigin } = await site.user(name);
      expect({ passwordChanged, passwordOrigin }).toEqual({
        passwordChanged: before.passwordChanged,
        passwordOrigin: before.passwordOrigin,
      });
      const history = await site.tenant.store.database.run((queries) =>
        queries
          .selectFrom('credential_history')
          .select(['origin', 'iterations', 'actor'])
          .where('user_id', '=', id)
          .orderBy('id')
          .execute(),
      );
      expect(history).toEqual([
        { origin: 0, iterations, actor: 'agent-1' },
        { origin: 0, iterations: 1000, actor: 'sign-in' },
      ]);
      expect(await site.signIn(name, RIGHT)).toBe(0);
    });

    it('costs no less than one of 1000 before that', async () => {
      await site.addUser('cheap');
      await site.sync('cheap', { password: RIGHT, iterations: 100 });
      const spent: number[] = [];
      const spy: SignInHasher = {
        ntHash: (password) => hasher.ntHash(password),
        derive(ntHash, options) {
          spent.push(options?.iterations ?? 0);
          return hasher.derive(ntHash, options);
        },
      };
      const store = await where.open({ now: site.clock.now });
      const settings = { threshold: 10, seconds: 60, blockHighRisk: false };
      const log = pino({ level: 'silent' });
      const signIn = await createSignIn({ store, hasher: spy, settings, now: site.clock.now, log });
      await signIn.signIn(attempt('cheap@phs.test', WRONG));
      expect(spent.reduce((sum, n) => sum + n, 0)).toBe(1000);
      await signIn.close();
      await store.close();
    });

    it('is never brought over a newer one: not when another password comes between', async () => {
      await site.addUser('race');
      await site.sync('race', { password: RIGHT, iterations: 100 });
      const { upgradeCredential } = await import('#src/tenant/sign-in/upgrade.js');
      const user = await site.user('race');
      site.clock.forward(MINUTE);
      expect(await site.sync('race', { password: 'Newer.Passw0rd' })).toBe('stored');
      const { database } = site.tenant.store;
      const { passwords } = site.tenant.signInService;
      expect(await upgradeCredential(database, passwords, { user, password: RIGHT, now: site.clock.now() })).toBe(
        false,
      );
      expect(await site.signIn('race', RIGHT)).toBe(50126);
      expect(await site.signIn('race', 'Newer.Passw0rd')).toBe(0);
    });
  });
});
