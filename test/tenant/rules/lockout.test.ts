/** Smart lockout, over HTTPS on both databases: its numbers, and that many tries at once get no more than a few one after another. */

import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { networkOf } from '#src/tenant/sign-in/familiar-places.js';
import { judge, type LockoutState, lockSeconds, NO_FAILURES } from '#src/tenant/sign-in/lockout.js';
import { createSignIn, type SignInService } from '#src/tenant/sign-in/sign-in.js';
import { testHasher } from '../harness.js';
import { describeStores, type StoreSite } from '../stores.js';
import { MINUTE, RuleSite } from './site.js';

const RIGHT = 'Right.Passw0rd';
const [WRONG, LOCKED] = [50126, 50053];
const many = (code: number, times: number) => Array<number>(times).fill(code);
const SETTINGS = { threshold: 10, seconds: 60 };
/** Threshold and length of the first lock are the tenant's defaults, and Entra's. */
const [THRESHOLD, FIRST_LOCK] = [10, MINUTE];

describe('one try', () => {
  const wrong = (n: number) => ({ right: false, fingerprint: Buffer.from([n, n, n, n]) });
  const right = { right: true, fingerprint: Buffer.alloc(4) };
  const afterTries = (tries: readonly number[], from: LockoutState = NO_FAILURES, now = 0) =>
    tries.reduce((state, n) => judge(state, wrong(n), now, SETTINGS).next, from);

  it('counts each wrong password once while it is among the last three', () => {
    expect(afterTries([1, 1, 1, 1]).failures).toBe(1);
    expect(afterTries([1, 2, 3, 1, 2, 3, 3]).failures).toBe(3);
    // The fourth pushes the first out.
    expect(afterTries([1, 2, 3, 4, 1]).failures).toBe(5);
    expect(afterTries([1, 2, 3, 4, 1]).wrong).toHaveLength(12);
  });

  it('locks at the threshold, then for twice as long at each further failure, five hours at most', () => {
    let state = afterTries([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(state).toMatchObject({ failures: 9, lockedUntil: 0 });
    let now = 0;
    const lengths: number[] = [];
    for (let n = 10; n < 24; n++) {
      state = afterTries([n], state, now);
      lengths.push((state.lockedUntil - now) / 1000);
      now = state.lockedUntil;
    }
    expect(lengths.slice(0, 10)).toEqual([60, 120, 240, 480, 960, 1920, 3840, 7680, 15_360, 18_000]);
    expect(lengths.at(-1)).toBe(18_000);
    expect(lockSeconds(1000, SETTINGS)).toBe(18_000);
    expect(lockSeconds(1, { threshold: 1, seconds: 18_000 })).toBe(18_000);
  });

  it('says the same of right and wrong ones while locked, and remembers nothing of them', () => {
    const locked = afterTries([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    for (const attempt of [wrong(11), wrong(10), right]) {
      expect(judge(locked, attempt, locked.lockedUntil - 1, SETTINGS)).toEqual({ verdict: 'locked', next: locked });
    }
    expect(judge(locked, right, locked.lockedUntil, SETTINGS)).toEqual({ verdict: 'right', next: NO_FAILURES });
  });
});

describe('a place', () => {
  it.each([
    ['203.0.113.7', '203.0.113.0/24'],
    ['::ffff:203.0.113.7', '203.0.113.0/24'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
    ['2001:0DB8:0001::1', '2001:db8:1::/48'],
    ['2001:db8::1', '2001:db8:0::/48'],
    ['::1', '0:0:0::/48'],
    ['fe80::1%eth0', 'fe80:0:0::/48'],
  ])('of %s is %s', (address, network) => expect(networkOf(address)).toBe(network));

  it.each(['', 'unknown', '203.0.113', '203.0.113.7.8'])('of %j is none', (text) =>
    expect(networkOf(text)).toBeUndefined(),
  );
});

describeStores('smart lockout', (newSite) => {
  let hasher: Hasher;
  let where: StoreSite;
  let site: RuleSite;
  beforeAll(async () => {
    hasher = testHasher();
    where = await newSite();
    site = await RuleSite.start(where, hasher);
  });
  afterAll(async () => {
    await site?.close();
    await hasher?.close();
  });

  async function addUser(name: string): Promise<void> {
    await site.addUser(name);
    await site.sync(name, { password: RIGHT });
  }

  /** Two hundred tries, ten of which are right: these come in when ten have been answered and most others are under way. */
  async function atOnce(wrong: () => Promise<number>, right: () => Promise<number>): Promise<number[]> {
    let answered = 0;
    let tenAnswered = () => {};
    const ten = new Promise<void>((resolve) => {
      tenAnswered = resolve;
    });
    const counted = async () => {
      const code = await wrong();
      if (++answered === THRESHOLD) tenAnswered();
      return code;
    };
    const wrongs = Array.from({ length: 190 }, counted);
    await ten;
    const rights = Array.from({ length: 10 }, right);
    return Promise.all([...wrongs, ...rights]);
  }

  it('ten failures lock for a minute: right and wrong passwords are answered alike', async () => {
    await addUser('ten');
    expect(await site.fail('ten', THRESHOLD)).toEqual(many(WRONG, THRESHOLD));
    expect(await site.signIn('ten', RIGHT)).toBe(LOCKED);
    expect(await site.fail('ten', 3)).toEqual(many(LOCKED, 3));
    site.clock.forward(FIRST_LOCK - 1000);
    expect(await site.signIn('ten', RIGHT)).toBe(LOCKED);
    site.clock.forward(1000);
    expect(await site.signIn('ten', RIGHT)).toBe(0);
    // And everything is forgotten: ten again until the next lock, which is a first one.
    expect(await site.fail('ten', THRESHOLD, '198.51.100.1')).toEqual(many(WRONG, THRESHOLD));
    expect(await site.signIn('ten', RIGHT, '198.51.100.1')).toBe(LOCKED);
  });

  it('a name that no user has is locked like any other', async () => {
    expect(await site.fail('ghost', THRESHOLD)).toEqual(many(WRONG, THRESHOLD));
    expect(await site.fail('GHOST', 2)).toEqual(many(LOCKED, 2));
    site.clock.forward(FIRST_LOCK);
    expect(await site.fail('ghost', 2)).toEqual([WRONG, LOCKED]);
  });

  it('one wrong password, again and again, is counted once: known, unknown, and without password', async () => {
    await addUser('again');
    await site.addUser('again.none');
    for (const name of ['again', 'again.none', 'again.unknown']) {
      for (let i = 0; i < 15; i++) expect(await site.signIn(name, `Former.Passw0rd.${i % 3}`)).toBe(WRONG);
      expect(await site.fail(name, 6)).toEqual(many(WRONG, 6));
      // Nine so far. The fourth newest is forgotten, and counts.
      expect(await site.signIn(name, 'Former.Passw0rd.0')).toBe(WRONG);
      expect(await site.signIn(name, RIGHT)).toBe(LOCKED);
    }
  });

  it('after a lock the first failure locks again, twice as long', async () => {
    await addUser('relock');
    await site.fail('relock', THRESHOLD);
    site.clock.forward(FIRST_LOCK);
    for (const minutes of [2, 4, 8]) {
      expect(await site.fail('relock', 2)).toEqual([WRONG, LOCKED]);
      site.clock.forward(minutes * MINUTE - 1);
      expect(await site.signIn('relock', RIGHT)).toBe(LOCKED);
      site.clock.forward(1);
    }
    expect(await site.signIn('relock', RIGHT)).toBe(0);
  });

  it('familiar and unfamiliar places are counted apart', async () => {
    await addUser('places');
    const [home, away] = ['192.0.2.10', '198.51.100.20'];
    expect(await site.signIn('places', RIGHT, home)).toBe(0);
    await site.tenant.signInService.log.flush();
    expect(await site.fail('places', THRESHOLD, away)).toEqual(many(WRONG, THRESHOLD));
    expect(await site.signIn('places', RIGHT, away)).toBe(LOCKED);
    // At home, in another flat of the same network, nothing is locked, and the lock away stays.
    expect(await site.signIn('places', RIGHT, '192.0.2.77')).toBe(0);
    expect(await site.signIn('places', RIGHT, away)).toBe(LOCKED);
    // A stranger's network is not familiar because the neighbour's is.
    expect(await site.fail('places', 1, '192.0.3.10')).toEqual([LOCKED]);
    expect(await site.fail('places', THRESHOLD, home)).toEqual(many(WRONG, THRESHOLD));
    expect(await site.signIn('places', RIGHT, home)).toBe(LOCKED);
  });

  it('a reset by an administrator and a new password unlock', async () => {
    const objectId = await site.addUser('unlock');
    await site.sync('unlock', { password: RIGHT });
    await site.fail('unlock', THRESHOLD);
    expect(await site.signIn('unlock', RIGHT)).toBe(LOCKED);
    const newPassword = 'Quite.Another.1';
    expect(
      await site.tenant.passwords.reset({ objectId, newPassword, forceChangeNextSignIn: false, actor: 'test' }),
    ).toEqual({ status: 'changed' });
    expect(await site.signIn('unlock', newPassword)).toBe(0);
  });

  it('of two hundred guesses at once ten are answered, and the right one among the last is not', async () => {
    await addUser('parallel');
    const guess = (password = randomBytes(8).toString('hex')) => site.signIn('parallel', password);
    const codes = await atOnce(guess, () => guess(RIGHT));
    expect(codes.filter((code) => code === WRONG)).toHaveLength(THRESHOLD);
    expect(codes.filter((code) => code === LOCKED)).toHaveLength(200 - THRESHOLD);
    expect(await guess(RIGHT)).toBe(LOCKED);
    // Behind the lock all together have one guess.
    site.clock.forward(FIRST_LOCK);
    const again = await atOnce(guess, () => guess(RIGHT));
    expect(again.filter((code) => code === WRONG)).toHaveLength(1);
    expect(again.filter((code) => code === LOCKED)).toHaveLength(199);
  });

  it('a right try does not overtake wrong ones that came before it, though it alone needs no writing', async () => {
    const { lockouts, digests } = site.tenant.signInService;
    const key = { name: digests.name('overtaking'), familiar: false };
    // Connections that are there already, so that a look-up does not wait for one.
    await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        lockouts.decide(
          { name: digests.name(`warm ${i}`), familiar: false },
          { right: true, fingerprint: Buffer.alloc(4) },
        ),
      ),
    );
    await Promise.all(Array.from({ length: 8 }, () => site.tenant.store.findSignInUser('nobody')));
    const tries = Array.from({ length: 300 }, (_, i) => {
      const fingerprint = Buffer.alloc(4);
      fingerprint.writeUInt32BE(i);
      return lockouts.decide(key, { right: i >= THRESHOLD && i % 20 === 0, fingerprint });
    });
    const verdicts = await Promise.all(tries);
    expect(verdicts.filter((verdict) => verdict === 'wrong')).toHaveLength(THRESHOLD);
    expect(verdicts.filter((verdict) => verdict === 'locked')).toHaveLength(300 - THRESHOLD);
  });

  it('holds across processes: two of them on one database, two hundred guesses at once, ten answered', async () => {
    await addUser('spread');
    const store = await where.open({ now: site.clock.now });
    const other: SignInService = await createSignIn({
      store,
      hasher,
      settings: { ...SETTINGS, blockHighRisk: false },
      now: site.clock.now,
      log: pino({ level: 'silent' }),
    });
    const attempt = (password: string) =>
      other.signIn({
        userPrincipalName: 'spread@phs.test',
        password,
        clientId: 'app',
        address: '203.0.113.9',
        flow: 'password',
        correlationId: 'test',
      });
    try {
      let turn = 0;
      const guess = async (password = randomBytes(8).toString('hex')) => {
        if (turn++ % 2 === 0) return site.signIn('spread', password);
        const outcome = await attempt(password);
        return outcome.status === 'refused' ? outcome.code : outcome.status === 'signedIn' ? 0 : -1;
      };
      const codes = await atOnce(guess, () => guess(RIGHT));
      expect(codes.filter((code) => code === WRONG)).toHaveLength(THRESHOLD);
      expect(codes.filter((code) => code === LOCKED)).toHaveLength(200 - THRESHOLD);
      expect((await attempt(RIGHT)).status).toBe('refused');
    } finally {
      await other.close();
      await store.close();
    }
  });

  it('rows say nothing about names and passwords, and go when they are a day old', async () => {
    const rows = await site.tenant.store.database.run((queries) =>
      queries.selectFrom('lockouts').selectAll().execute(),
    );
    expect(rows.length).toBeGreaterThan(5);
    for (const row of rows) {
      expect(row.name_digest).toHaveLength(16);
      expect(row.wrong.length).toBeLessThanOrEqual(12);
      expect(Buffer.concat([row.name_digest, row.wrong]).toString('latin1')).not.toMatch(/ghost|parallel|spread/i);
    }
    site.clock.forward(6 * 60 * MINUTE);
    await site.purge();
    const count = async () =>
      (await site.tenant.store.database.run((queries) => queries.selectFrom('lockouts').select('failures').execute()))
        .length;
    expect(await count()).toBe(rows.length);
    site.clock.forward(24 * 60 * MINUTE);
    await site.purge();
    expect(await count()).toBe(0);
  });

  it('a hundred sign-ins of one user at once, all right, leave no row', async () => {
    await addUser('busy');
    const codes = await Promise.all(Array.from({ length: 100 }, () => site.signIn('busy', RIGHT)));
    expect(codes).toEqual(many(0, 100));
    const rows = await site.tenant.store.database.run((queries) =>
      queries.selectFrom('lockouts').selectAll().execute(),
    );
    expect(rows).toEqual([]);
  });
});
