/** What every implementation of TenantStore must do, as a function of the implementation. */

import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CredentialChange, UserAttributes, UserChange } from '#src/tenant/store/changes.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import type { WriteGuard } from '#src/tenant/store/write-guard.js';
import { setFeatures } from './features.js';

/** As a tenant does by default. */
const DISABLE = { disableExpiration: true, actor: 'agent-1' } as const;

export interface StoreUnderTest {
  readonly store: TenantStore;
  /** Closes it and opens it again on the same state. */
  reopen(): Promise<TenantStore>;
  remove(): Promise<void>;
}

export function storeSuite(name: string, open: (now: () => Date) => Promise<StoreUnderTest>): void {
  describe(`the ${name} store`, () => {
    let opened: StoreUnderTest;
    let store: TenantStore;
    const now = new Date('2026-01-02T03:04:05.678Z');
    beforeEach(async () => {
      opened = await open(() => now);
      store = opened.store;
    });
    afterEach(() => opened.remove());

    const upsert = (sourceAnchor: string, attributes: UserAttributes): UserChange => ({
      kind: 'upsert',
      sourceAnchor,
      attributes,
    });
    const credential = (sourceAnchor: string | undefined, more: Partial<CredentialChange> = {}): CredentialChange => ({
      sourceAnchor,
      objectId: undefined,
      changeDate: new Date('2026-01-01T00:00:00.123Z'),
      salt: randomBytes(10),
      iterations: 1000,
      hash: randomBytes(32),
      forcePasswordChangeOnLogon: false,
      ...more,
    });
    async function storeUser(sourceAnchor: string, attributes: UserAttributes): Promise<string> {
      const [outcome] = await store.applyUsers([upsert(sourceAnchor, attributes)]);
      if (outcome?.status !== 'stored' || outcome.objectId === undefined)
        throw new Error(`not stored: ${outcome?.status}`);
      return outcome.objectId;
    }

    it('takes no anchor for that of another user, which a guard keeps, though it would be written as that one', async () => {
      // PostgreSQL's text has no NUL; half of a surrogate pair is written as U+FFFD by either database's client.
      const names = { 'nul\x01': 'nul\0', 'half\ufffd': 'half\ud800' };
      for (const [i, anchor] of Object.keys(names).entries()) {
        await storeUser(anchor, { userPrincipalName: `user${i}@phs.test` });
      }
      const guard: WriteGuard = {
        owner: 'agent-2',
        decide: (_change, standing) => (standing === undefined ? 'allowed' : 'refused'),
      };
      const changes = Object.values(names).map((anchor) => credential(anchor));
      const outcomes = await store.applyCredentials(changes, { ...DISABLE, guard });
      expect(outcomes).not.toContain('stored');
      expect((await store.counts()).credentials).toBe(0);
    });

    it('keeps a user with all attributes', async () => {
      const objectId = await storeUser('anchor', {
        userPrincipalName: 'Jürgen.Müller@Phs.Test',
        displayName: 'Jürgen Müller 🐎',
        givenName: 'Jürgen',
        surname: 'Müller',
        mail: 'jm@phs.test',
        accountEnabled: false,
        onPremisesSamAccountName: 'jm',
        onPremisesDistinguishedName: 'CN=jm,DC=phs,DC=test',
        onPremisesSecurityIdentifier: Buffer.from('0105', 'hex'),
        dnsDomainName: 'phs.test',
        netBiosName: 'PHS',
        lastPasswordChange: new Date(0),
      });
      expect(objectId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(await store.findSignInUser('JÜRGEN.MÜLLER@phs.test')).toEqual({
        id: expect.any(Number),
        objectId,
        synchronized: true,
        passwordOrigin: undefined,
        userPrincipalName: 'Jürgen.Müller@Phs.Test',
        displayName: 'Jürgen Müller 🐎',
        givenName: 'Jürgen',
        surname: 'Müller',
        mail: 'jm@phs.test',
        accountEnabled: false,
        credential: undefined,
        forcePasswordChangeOnLogon: false,
        passwordPolicies: null,
        passwordChanged: undefined,
      });
    });

    it('finds composed and decomposed spellings of one name', async () => {
      const objectId = await storeUser('a', { userPrincipalName: 'ju\u0308rgen@phs.test' });
      expect((await store.findSignInUser('j\u00fcrgen@phs.test'))?.objectId).toBe(objectId);
    });

    it.each([
      ['a letter that is composed in lower case only', 'J\u030csef@phs.test', '\u01f0sef@phs.test'],
      ['a capital sigma at the end of a word', 'ΝΙΚΟΣ@phs.test', 'νικοσ@phs.test'],
      ['the sigma that is written there', 'ΝΙΚΟΣ@phs.test', 'νικος@phs.test'],
      ['a capital sharp s', 'GROẞ@phs.test', 'groß@phs.test'],
      ['a capital dotted i', 'İlker@phs.test', 'i\u0307lker@phs.test'],
    ])('finds %s in either case', async (_what, stored, typed) => {
      const objectId = await storeUser('a', { userPrincipalName: stored });
      expect((await store.findSignInUser(typed))?.objectId).toBe(objectId);
      expect(await store.applyUsers([upsert('b', { userPrincipalName: typed })])).toEqual([
        { status: 'duplicateUserPrincipalName' },
      ]);
    });

    it('keeps names apart that only look alike', async () => {
      await storeUser('a', { userPrincipalName: 'gross@phs.test' });
      for (const other of ['groß@phs.test', '\uff47ross@phs.test', 'gr\u043ess@phs.test', 'gross@phs.test\0']) {
        expect(await store.findSignInUser(other)).toBeUndefined();
      }
    });

    it('changes what comes, clears what comes as null, and leaves the rest', async () => {
      const objectId = await storeUser('a', {
        userPrincipalName: 'a@phs.test',
        displayName: 'A',
        givenName: 'G',
        mail: 'm@phs.test',
        accountEnabled: false,
      });
      expect(await storeUser('a', { displayName: 'B', givenName: null })).toBe(objectId);
      expect(await store.findSignInUser('a@phs.test')).toMatchObject({
        objectId,
        displayName: 'B',
        givenName: null,
        mail: 'm@phs.test',
        accountEnabled: false,
      });
      await storeUser('a', { userPrincipalName: 'b@phs.test', accountEnabled: true });
      expect(await store.findSignInUser('a@phs.test')).toBeUndefined();
      expect(await store.findSignInUser('b@phs.test')).toMatchObject({ displayName: 'B', accountEnabled: true });
    });

    it('enables new users of whom nothing else is said', async () => {
      await storeUser('a', { userPrincipalName: 'a@phs.test' });
      expect((await store.findSignInUser('a@phs.test'))?.accountEnabled).toBe(true);
    });

    it('refuses a second owner of a name, and only that user', async () => {
      const outcomes = await store.applyUsers([
        upsert('a', { userPrincipalName: 'a@phs.test' }),
        upsert('b', { userPrincipalName: 'A@PHS.test' }),
        upsert('c', {}),
        upsert('d', { userPrincipalName: 'd@phs.test' }),
        upsert('d', { userPrincipalName: 'a@phs.test', displayName: 'must not stay' }),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual([
        'stored',
        'duplicateUserPrincipalName',
        'userPrincipalNameMissing',
        'stored',
        'duplicateUserPrincipalName',
      ]);
      expect(await store.counts()).toEqual({ users: 2, deleted: 0, credentials: 0 });
      expect((await store.findSignInUser('d@phs.test'))?.displayName).toBeNull();
    });

    describe('with names that change hands within a batch', () => {
      const name = (sourceAnchor: string, to: string) => upsert(sourceAnchor, { userPrincipalName: `${to}@phs.test` });
      const statuses = async (...changes: UserChange[]) =>
        (await store.applyUsers(changes)).map(({ status }) => status);
      const owners = async (...names: string[]) =>
        Promise.all(names.map(async (each) => (await store.findSignInUser(`${each}@phs.test`))?.objectId));
      let ids: string[];
      beforeEach(async () => {
        ids = [];
        for (const each of ['a', 'b', 'c', 'd'])
          ids.push(await storeUser(each, { userPrincipalName: `${each}@phs.test` }));
      });

      it('swaps two, and turns three round', async () => {
        expect(await statuses(name('a', 'b'), name('b', 'a'))).toEqual(['stored', 'stored']);
        expect(await owners('a', 'b', 'c')).toEqual([ids[1], ids[0], ids[2]]);
        expect(await statuses(name('a', 'c'), name('b', 'b'), name('c', 'a'))).toEqual(['stored', 'stored', 'stored']);
        expect(await owners('a', 'b', 'c')).toEqual([ids[2], ids[1], ids[0]]);
      });

      it('gives a name to one who comes before its owner leaves', async () => {
        const remove = { kind: 'delete', sourceAnchor: 'b' } as const;
        expect(await statuses(name('a', 'b'), name('new', 'c'), remove, name('c', 'other'))).toEqual(
          Array(4).fill('stored'),
        );
        expect(await owners('a', 'b', 'other')).toEqual([undefined, ids[0], ids[2]]);
      });

      it('refuses those whose name stays taken, and they keep theirs', async () => {
        expect(await statuses(name('c', 'd'), name('a', 'b'), name('b', 'a'), name('new', 'c'))).toEqual([
          'duplicateUserPrincipalName',
          'stored',
          'stored',
          'duplicateUserPrincipalName',
        ]);
        expect(await owners('a', 'b', 'c', 'd')).toEqual([ids[1], ids[0], ids[2], ids[3]]);
        expect(await statuses(name('a', 'c'), name('b', 'c'), name('c', 'd'))).toEqual(
          Array(3).fill('duplicateUserPrincipalName'),
        );
        expect(await owners('a', 'b', 'c', 'd')).toEqual([ids[1], ids[0], ids[2], ids[3]]);
      });

      it('lets no earlier change of a user win over a later one', async () => {
        expect(await statuses(name('a', 'b'), name('a', 'x'), name('b', 'y'))).toEqual([
          'duplicateUserPrincipalName',
          'stored',
          'stored',
        ]);
        expect(await owners('a', 'b', 'x', 'y')).toEqual([undefined, undefined, ids[0], ids[1]]);
      });
    });

    it('deletes softly and brings the same object back, with its password', async () => {
      const objectId = await storeUser('a', { userPrincipalName: 'a@phs.test', displayName: 'A' });
      expect(await store.applyCredentials([credential('a')], DISABLE)).toEqual(['stored']);
      expect(await store.applyUsers([{ kind: 'delete', sourceAnchor: 'a' }])).toEqual([{ status: 'stored', objectId }]);
      expect(await store.findSignInUser('a@phs.test')).toBeUndefined();
      expect(await store.counts()).toEqual({ users: 0, deleted: 1, credentials: 1 });
      expect(await store.applyCredentials([credential('a')], DISABLE)).toEqual(['unknownUser']);
      expect(await store.applyUsers([{ kind: 'delete', sourceAnchor: 'a' }])).toEqual([
        { status: 'stored', objectId: undefined },
      ]);
      expect(await storeUser('a', { userPrincipalName: 'a@phs.test' })).toBe(objectId);
      const user = await store.findSignInUser('a@phs.test');
      expect(user?.displayName).toBe('A');
      expect(user?.credential).toBeDefined();
    });

    it('gives the name of a deleted user to another, and then not back', async () => {
      await storeUser('a', { userPrincipalName: 'a@phs.test' });
      await store.applyUsers([{ kind: 'delete', sourceAnchor: 'a' }]);
      const other = await storeUser('b', { userPrincipalName: 'a@phs.test' });
      expect(await store.applyUsers([upsert('a', {})])).toEqual([{ status: 'duplicateUserPrincipalName' }]);
      expect((await store.findSignInUser('a@phs.test'))?.objectId).toBe(other);
    });

    it('keeps a credential by anchor and by object id, byte for byte', async () => {
      const objectId = await storeUser('a', { userPrincipalName: 'a@phs.test' });
      const first = credential('a', { forcePasswordChangeOnLogon: true });
      expect(await store.applyCredentials([first], { ...DISABLE, disableExpiration: false })).toEqual(['stored']);
      let user = await store.findSignInUser('a@phs.test');
      expect(user?.credential).toEqual({ salt: first.salt, iterations: 1000, hash: first.hash });
      expect(user).toMatchObject({ forcePasswordChangeOnLogon: true, passwordPolicies: null });
      expect(user?.passwordChanged).toEqual(first.changeDate);
      const second = credential(undefined, { objectId, iterations: 100 });
      expect(await store.applyCredentials([second], DISABLE)).toEqual(['stored']);
      user = await store.findSignInUser('a@phs.test');
      expect(user?.credential).toEqual({ salt: second.salt, iterations: 100, hash: second.hash });
      expect(user).toMatchObject({ forcePasswordChangeOnLogon: false, passwordPolicies: 'DisablePasswordExpiration' });
    });

    it('marks a user without password who must change it, until one comes; an equal date may change the mark', async () => {
      const forced = async () => (await store.findSignInUser('a@phs.test'))?.forcePasswordChangeOnLogon;
      await storeUser('a', { userPrincipalName: 'a@phs.test', lastPasswordChange: new Date(Date.UTC(1601, 0, 1)) });
      expect(await forced()).toBe(true);
      await store.applyCredentials([credential('a')], DISABLE);
      expect(await forced()).toBe(false);
      expect(await store.applyCredentials([credential('a', { forcePasswordChangeOnLogon: true })], DISABLE)).toEqual([
        'stored',
      ]);
      expect(await forced()).toBe(true);
    });

    it('refuses older changes, within a batch too, and takes equal and newer ones', async () => {
      await storeUser('a', { userPrincipalName: 'a@phs.test' });
      const at = (milliseconds: number) => credential('a', { changeDate: new Date(milliseconds) });
      const batch = [at(1000), at(999), at(1000), at(1001), at(1000)];
      expect(await store.applyCredentials(batch, DISABLE)).toEqual([
        'stored',
        'olderChange',
        'stored',
        'stored',
        'olderChange',
      ]);
      const user = await store.findSignInUser('a@phs.test');
      expect(user?.credential?.hash).toEqual(batch[3]!.hash);
    });

    it('does the same in a large batch, one by one: stored, older, unknown, deleted, twice', async () => {
      const names = Array.from({ length: 300 }, (_, i) => `u${i}`);
      await store.applyUsers(names.map((name) => upsert(name, { userPrincipalName: `${name}@phs.test` })));
      await store.applyUsers([{ kind: 'delete', sourceAnchor: 'u70' }]);
      await store.database.run((db) =>
        db
          .updateTable('users')
          .set({ password_policies: 'DisableStrongPassword' })
          .where('source_anchor', 'in', ['u5', 'u205'])
          .execute(),
      );
      const at = (name: string, time: number) => credential(name, { changeDate: new Date(time) });
      expect(await store.applyCredentials([at('u3', 2000), at('u203', 2000)], DISABLE)).toEqual(['stored', 'stored']);
      const expected = (name: string) =>
        name === 'u70' || name === 'nobody' ? 'unknownUser' : ['u3', 'u203'].includes(name) ? 'olderChange' : 'stored';
      // Nobody among the first hundred, and one twice among the last.
      const batch = [...names.slice(0, 20), 'nobody', ...names.slice(20), 'u299', 'u1'];
      const changes = batch.map((name) => at(name, 1000));
      expect(await store.applyCredentials(changes, DISABLE)).toEqual(batch.map(expected));
      const rows = await store.database.run((db) =>
        db
          .selectFrom('users')
          .leftJoin('credentials', 'user_id', 'id')
          .select(['source_anchor', 'password_policies', 'change_date', 'hash'])
          .execute(),
      );
      for (const { source_anchor: name, password_policies, change_date, hash } of rows) {
        const was = ['u3', 'u203'].includes(name!) ? 2000 : 1000;
        expect(change_date, name!).toBe(name === 'u70' ? null : was);
        const last = changes.filter((change) => change.sourceAnchor === name).at(-1)!;
        if (name !== 'u70') expect(Buffer.from(last.hash).equals(hash!), name!).toBe(was === 1000);
        const policy = ['u5', 'u205'].includes(name!)
          ? 'DisablePasswordExpiration, DisableStrongPassword'
          : 'DisablePasswordExpiration';
        expect(password_policies, name!).toBe(name === 'u70' ? null : policy);
      }
      const history = await store.database.run((db) =>
        db
          .selectFrom('credential_history')
          .innerJoin('users', 'users.id', 'user_id')
          .select(['source_anchor', 'change_date', 'actor', 'origin', 'iterations', 'at'])
          .execute(),
      );
      expect(history).toHaveLength(2 + batch.filter((name) => expected(name) === 'stored').length);
      expect(history.filter((row) => row.source_anchor === 'u299')).toEqual(
        Array(2).fill({
          source_anchor: 'u299',
          ...{ change_date: 1000, actor: 'agent-1', origin: 0, iterations: 1000, at: now.getTime() },
        }),
      );
    });

    it('does not know users who are not there', async () => {
      const nobody = credential(undefined);
      const other = credential(undefined, { objectId: '00000000-0000-4000-8000-000000000000' });
      expect(await store.applyCredentials([credential('x'), nobody, other], DISABLE)).toEqual([
        'unknownUser',
        'unknownUser',
        'unknownUser',
      ]);
    });

    it('looks up many at once: each finds its own, none finds none', async () => {
      const names = Array.from({ length: 300 }, (_, i) => `u${i}@phs.test`);
      await store.applyUsers(names.map((userPrincipalName, i) => upsert(`a${i}`, { userPrincipalName })));
      // Every second one is asked for twice, and every third one by a name that nobody has.
      const asked = names.flatMap((name, i) => (i % 2 === 0 ? [name, name] : i % 3 === 0 ? [`x${name}`] : [name]));
      const found = await Promise.all(asked.map((name) => store.findSignInUser(name)));
      expect(found.map((user) => user?.userPrincipalName)).toEqual(
        asked.map((name) => (name.startsWith('x') ? undefined : name)),
      );
    });

    it('takes an empty batch', async () => {
      expect(await store.applyUsers([])).toEqual([]);
      expect(await store.applyCredentials([], DISABLE)).toEqual([]);
    });

    it('keeps everything over a restart', async () => {
      const { tenantId } = store;
      expect(tenantId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      const objectId = await storeUser('a', { userPrincipalName: 'a@phs.test' });
      const change = credential('a');
      await store.applyCredentials([change], DISABLE);
      await setFeatures(store, 16385);
      store = await opened.reopen();
      expect(store.tenantId).toBe(tenantId);
      expect(await store.dirSyncFeatures()).toBe(16385);
      const user = await store.findSignInUser('a@phs.test');
      expect(user?.objectId).toBe(objectId);
      expect(user?.credential?.hash).toEqual(change.hash);
    });

    it('stores all of a batch or nothing', async () => {
      await storeUser('a', { userPrincipalName: 'a@phs.test' });
      await storeUser('b', { userPrincipalName: 'b@phs.test' });
      // A hash that is no bytes is a fault of the caller's, met half-way through the batch.
      const broken = { ...credential('b'), hash: undefined as unknown as Uint8Array };
      await expect(store.applyCredentials([credential('a'), broken], DISABLE)).rejects.toThrow(
        /tenant database failed/,
      );
      expect(await store.counts()).toMatchObject({ credentials: 0 });
      expect(await store.applyCredentials([credential('a')], DISABLE)).toEqual(['stored']);
    });
  });
}
