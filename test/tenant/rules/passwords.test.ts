/** Passwords that meet: synchronized ones, an administrator's, the owner's; complexity; temporary passwords. The source document's sentences. */

import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { normalize, whatIsWeak } from '#src/tenant/passwords/complexity.js';
import { createPasswordChanges } from '#src/tenant/passwords/password-changes.js';
import type { PasswordChange, PasswordWriteback } from '#src/tenant/passwords/types.js';
import { CredentialOrigin } from '#src/tenant/store/tables.js';
import { testHasher } from '../harness.js';
import { describeStores } from '../stores.js';
import { DAY, MINUTE, RuleSite } from './site.js';

const OLD = 'Former.Passw0rd.1';
const CLOUD = 'Cl0ud.Secret.Words';
const NEW = 'Newer.Passw0rd.2';
const [WRONG, DISABLED, MUST_CHANGE] = [50126, 50057, 50055];
const FEATURES = DirSyncFeature.PasswordHashSync;

describeStores('passwords', (newSite) => {
  let hasher: Hasher;
  let site: RuleSite;
  beforeAll(async () => {
    hasher = testHasher();
    site = await RuleSite.start(await newSite(), hasher, {
      config: {
        domains: [
          { name: 'phs.test' },
          { name: 'federated.test', authenticationType: 'Federated', federationUrl: 'https://sts.federated.test/adfs' },
        ],
      },
    });
  });
  afterAll(async () => {
    await site?.close();
    await hasher?.close();
  });

  let users = 0;
  async function synced(more: Parameters<RuleSite['addUser']>[1] = {}): Promise<{ name: string; objectId: string }> {
    const name = `person${++users}`;
    const objectId = await site.addUser(name, more);
    await site.sync(name, { password: OLD });
    site.clock.forward(MINUTE);
    return { name, objectId };
  }
  const reset = (objectId: string, newPassword: string, forceChangeNextSignIn = false): Promise<PasswordChange> =>
    site.tenant.passwords.reset({ objectId, newPassword, forceChangeNextSignIn, actor: 'admin-app' });
  const history = async (name: string) => {
    const { id } = await site.user(name);
    return site.tenant.store.database.run((queries) =>
      queries
        .selectFrom('credential_history')
        .select(['origin', 'actor', 'force_change'])
        .where('user_id', '=', id)
        .orderBy('id')
        .execute(),
    );
  };
  const audited = (objectId: string) =>
    site.tenant.store.database.run((queries) =>
      queries
        .selectFrom('audit_events')
        .select(['actor_kind', 'actor_id', 'activity', 'result', 'reason', 'details'])
        .where('target_id', '=', objectId)
        .orderBy('id')
        .execute(),
    );

  /** A domain controller of which only the answer is there: what it does with passwords, Samba shows elsewhere. */
  function changesWith(
    written: Awaited<ReturnType<PasswordWriteback['write']>> | 'off',
    meanwhile?: () => Promise<unknown>,
  ) {
    const { store, signInService: signIn, audit } = site.tenant;
    const writeback: PasswordWriteback = {
      isOn: async () => written !== 'off',
      async write() {
        await meanwhile?.();
        if (written === 'off') throw new Error('asked although it is off');
        return written;
      },
    };
    const log = pino({ level: 'silent' });
    return createPasswordChanges({ store, signIn, writeback, audit, now: site.clock.now, log });
  }
  const request = async (name: string, oldPassword: string, newPassword: string) => ({
    user: await site.user(name),
    oldPassword,
    newPassword,
    clientId: 'app',
    address: '203.0.113.7',
    correlationId: 'change',
  });

  describe('overwriting', () => {
    it('"When you synchronize a password, it overwrites the existing cloud password."', async () => {
      const objectId = await site.addUser('overwritten');
      expect(await reset(objectId, CLOUD)).toEqual({ status: 'changed' });
      expect(await site.signIn('overwritten', CLOUD)).toBe(0);
      expect(await site.sync('overwritten', { password: OLD })).toBe('stored');
      expect([await site.signIn('overwritten', CLOUD), await site.signIn('overwritten', OLD)]).toEqual([WRONG, 0]);
    });

    it('"An administrator can manually reset your password directly in Microsoft Entra ID by using PowerShell ... In this case, the new password overrides your synchronized password"', async () => {
      const { name, objectId } = await synced();
      expect(await reset(objectId, CLOUD)).toEqual({ status: 'changed' });
      expect([await site.signIn(name, OLD), await site.signIn(name, CLOUD)]).toEqual([WRONG, 0]);
      // The same synchronized password once more, as a full synchronization brings it, does not undo it.
      const again = { password: OLD, changeDate: new Date(site.clock.time - MINUTE) };
      expect(await site.sync(name, again)).toBe('olderChange');
      expect(await site.signIn(name, CLOUD)).toBe(0);
      expect(await history(name)).toEqual([
        { origin: CredentialOrigin.onPremises, actor: 'agent-1', force_change: 0 },
        { origin: CredentialOrigin.reset, actor: 'admin-app', force_change: 0 },
      ]);
      expect(await audited(objectId)).toEqual([
        {
          actor_kind: 'app',
          actor_id: 'admin-app',
          activity: 'Reset user password',
          result: 'success',
          reason: null,
          details: '{"forceChangePasswordNextSignIn":false}',
        },
      ]);
    });

    it('"(unless the user is in a federated domain)"', async () => {
      const objectId = await site.addUser('fed@federated.test');
      await site.sync('fed@federated.test', { password: OLD });
      expect(await reset(objectId, CLOUD)).toMatchObject({ status: 'refused', reason: 'federated' });
      expect(await audited(objectId)).toMatchObject([{ result: 'failure', reason: 'federated' }]);
      // Nor where federation's backup lets its users sign in here.
      await site.setDomain('federated.test', { password_hash_fallback: 1 });
      expect(await reset(objectId, CLOUD)).toMatchObject({ status: 'refused', reason: 'federated' });
      expect(await site.signIn('fed@federated.test', OLD)).toBe(0);
      await site.setDomain('federated.test', { password_hash_fallback: 0 });
    });

    it('"... and all password policies defined in the cloud are applied to the new password." Complexity:', async () => {
      const { name, objectId } = await synced();
      expect(await reset(objectId, 'short1A')).toMatchObject({ status: 'refused', reason: 'complexity' });
      expect(await reset(objectId, `${name}.X1y2z3`)).toMatchObject({ status: 'refused', reason: 'complexity' });
      expect(await site.signIn(name, OLD)).toBe(0);
      expect(await audited(objectId)).toMatchObject([{ result: 'failure', reason: 'complexity' }, {}]);
    });

    it('"... and all password policies defined in the cloud are applied to the new password." Expiration:', async () => {
      const { name, objectId } = await synced();
      expect((await site.user(name)).passwordPolicies).toBe('DisablePasswordExpiration');
      await reset(objectId, CLOUD);
      expect((await site.user(name)).passwordPolicies).toBe('None');
      site.clock.forward(90 * DAY);
      expect(await site.signIn(name, CLOUD)).toBe(MUST_CHANGE);
      // The next one from on premises is synchronized under the default again.
      await site.sync(name, { password: NEW });
      site.clock.forward(90 * DAY);
      expect(await site.signIn(name, NEW)).toBe(0);
    });

    it('"If you change your on-premises password again, the new password is synchronized to the cloud, and it overrides the manually updated password."', async () => {
      const { name, objectId } = await synced();
      await reset(objectId, CLOUD);
      site.clock.forward(MINUTE);
      expect(await site.sync(name, { password: NEW })).toBe('stored');
      expect([await site.signIn(name, CLOUD), await site.signIn(name, NEW)]).toEqual([WRONG, 0]);
    });

    it('"Passwords are synchronized on a per-user basis and in chronological order." An older change is refused', async () => {
      const { name } = await synced();
      expect(await site.sync(name, { password: NEW, changeDate: new Date(site.clock.time - DAY) })).toBe('olderChange');
      expect([await site.signIn(name, NEW), await site.signIn(name, OLD)]).toEqual([WRONG, 0]);
    });
  });

  describe('complexity', () => {
    it('"the password complexity policies in your on-premises Active Directory instance override complexity policies in the cloud for synchronized users. You can use all of the valid passwords from your on-premises Active Directory instance to access Microsoft Entra services."', async () => {
      const { name } = await synced();
      for (const password of ['a', 'password', name, 'Пароль-ñ-密码', ' ', 'x'.repeat(256)]) {
        site.clock.forward(MINUTE);
        expect(await site.sync(name, { password })).toBe('stored');
        expect(await site.signIn(name, password)).toBe(0);
      }
    });

    it('"Passwords for users that are created directly in the cloud are still subject to password policies as defined in the cloud."', async () => {
      const objectId = await site.addCloudUser('cloudy', CLOUD, { given_name: 'Claudia' });
      for (const password of [
        'a',
        'password',
        'Passw0rd',
        'cloudy.A1b2',
        'xYz1claudia9!',
        'only-lower-case',
        'Ünïcode.1234',
      ]) {
        expect(await reset(objectId, password)).toMatchObject({ status: 'refused', reason: 'complexity' });
        const own = await site.tenant.passwords.change(await request('cloudy', CLOUD, password));
        expect(own).toMatchObject({ status: 'refused', reason: 'complexity' });
      }
      expect(await site.tenant.passwords.change(await request('cloudy', CLOUD, NEW))).toEqual({ status: 'changed' });
      expect([await site.signIn('cloudy', CLOUD), await site.signIn('cloudy', NEW)]).toEqual([WRONG, 0]);
    });
  });

  describe('temporary passwords', () => {
    const TEMPORARY = FEATURES | DirSyncFeature.EnableUserForcePasswordChangeOnLogon;
    const NEVER_CHANGED = new Date(Date.UTC(1601, 0, 1));

    it('"A new user created in Active Directory with "User must change password at next logon" flag will always be provisioned in Microsoft Entra ID with a password policy to "Force change password on next sign-in", irrespective of the ForcePasswordChangeOnLogOn feature being true or false."', async () => {
      for (const features of [FEATURES, TEMPORARY]) {
        await site.features(features);
        const name = `newcomer${features}`;
        await site.addUser(name, { lastPasswordChange: NEVER_CHANGED });
        expect((await site.user(name)).forcePasswordChangeOnLogon).toBe(true);
      }
      await site.features(FEATURES);
    });

    it('"If a user was created in Active Directory with "User must change password at next logon" before the feature was enabled, the user will receive an error while signing in. ... After synchronizing the user object changes, the user will receive the expected prompt in Microsoft Entra ID to update their password."', async () => {
      await site.addUser('before', { lastPasswordChange: NEVER_CHANGED });
      await site.features(TEMPORARY);
      const { code, correlationId } = await site.try('before', OLD);
      expect([code, (await site.logged(correlationId)).error_code]).toEqual([WRONG, 50056]);
      await site.sync('before', { password: OLD, forceChange: true });
      expect(await site.signIn('before', OLD)).toBe(MUST_CHANGE);
      await site.features(FEATURES);
    });

    it('is told to those who know it, as temporary and not as expired', async () => {
      const { name } = await synced();
      await site.sync(name, { password: NEW, forceChange: true });
      expect(await site.signIn(name, OLD)).toBe(WRONG);
      const outcome = await site.tenant.signInService.signIn({
        userPrincipalName: `${name}@phs.test`,
        password: NEW,
        clientId: 'app',
        address: '203.0.113.7',
        flow: 'browser',
        correlationId: 'temporary',
      });
      expect(outcome).toMatchObject({
        status: 'refused',
        code: MUST_CHANGE,
        change: 'temporary',
        user: { synchronized: true },
      });
    });

    it('an administrator’s reset, with and without', async () => {
      const { name, objectId } = await synced();
      await reset(objectId, CLOUD, true);
      expect(await site.signIn(name, CLOUD)).toBe(MUST_CHANGE);
      await reset(objectId, CLOUD, false);
      expect(await site.signIn(name, CLOUD)).toBe(0);
    });

    it('a disabled account is disabled first', async () => {
      const { name } = await synced({ accountEnabled: false });
      await site.sync(name, { password: NEW, forceChange: true });
      expect(await site.signIn(name, NEW)).toBe(DISABLED);
    });
  });

  describe('changed by the owner', () => {
    it('of the cloud alone: valid at once; the old one is needed, and tries count for the lockout', async () => {
      const objectId = await site.addCloudUser('owner', CLOUD);
      const { passwords } = site.tenant;
      expect(await passwords.change(await request('owner', CLOUD, CLOUD))).toMatchObject({ reason: 'sameAsOld' });
      expect(await passwords.change(await request('owner', NEW, 'An0ther.Secret'))).toMatchObject({
        reason: 'wrongPassword',
      });
      expect(await passwords.change(await request('owner', CLOUD, NEW))).toEqual({ status: 'changed' });
      expect([await site.signIn('owner', CLOUD), await site.signIn('owner', NEW)]).toEqual([WRONG, 0]);
      expect((await history('owner')).at(-1)).toEqual({ origin: 2, actor: objectId, force_change: 0 });
      expect((await audited(objectId)).at(-1)).toMatchObject({ activity: 'Change user password', actor_kind: 'user' });
      // The places of the sign-ins until here are familiar from now on.
      await site.tenant.signInService.log.flush();
      for (let i = 0; i < 10; i++) {
        expect(await passwords.change(await request('owner', `Guess.${i}`, CLOUD))).toMatchObject({
          reason: 'wrongPassword',
        });
      }
      expect(await passwords.change(await request('owner', NEW, CLOUD))).toMatchObject({ reason: 'locked' });
      expect(await site.signIn('owner', NEW)).toBe(50053);
      site.clock.forward(MINUTE);
      expect(await site.signIn('owner', NEW)).toBe(0);
    });

    it('of sixty tries at once to change a password with a guessed old one, ten are answered', async () => {
      await site.addCloudUser('guessed', CLOUD);
      const asked = await Promise.all(Array.from({ length: 60 }, (_, i) => request('guessed', `Guess.${i}`, NEW)));
      const answers = await Promise.all(asked.map((each) => site.tenant.passwords.change(each)));
      const reasons = answers.map((answer) => (answer.status === 'refused' ? answer.reason : answer.status));
      expect(reasons.filter((reason) => reason === 'wrongPassword')).toHaveLength(10);
      expect(reasons.filter((reason) => reason === 'locked')).toHaveLength(50);
      expect(await site.signIn('guessed', CLOUD)).toBe(50053);
    });

    it('a temporary one is over when its owner has changed it', async () => {
      const objectId = await site.addCloudUser('fresh', CLOUD);
      await reset(objectId, CLOUD, true);
      expect(await site.signIn('fresh', CLOUD)).toBe(MUST_CHANGE);
      expect(await site.tenant.passwords.change(await request('fresh', CLOUD, NEW))).toEqual({ status: 'changed' });
      expect(await site.signIn('fresh', NEW)).toBe(0);
    });

    it('that is right, and refused all the same, is in the sign-in log and in the audit log, with the reason', async () => {
      const cloud = await site.addCloudUser('logged', CLOUD);
      const { name, objectId: synchronized } = await synced();
      const changes = site.tenant.passwords;
      const tries: [typeof changes, string, string, string, string, number][] = [
        [changes, cloud, 'logged', CLOUD, 'short', 50055],
        [changes, cloud, 'logged', CLOUD, CLOUD, 50055],
        [changes, synchronized, name, OLD, NEW, 50055],
        [
          changesWith({ status: 'refused', reason: 'onPremisesPolicy', message: 'Too short.' }),
          synchronized,
          name,
          OLD,
          NEW,
          50055,
        ],
        [changesWith({ status: 'unavailable', message: 'No agent.' }), synchronized, name, OLD, NEW, 50055],
      ];
      const reasons = ['complexity', 'sameAsOld', 'writebackOff', 'onPremisesPolicy', 'writebackUnavailable'];
      for (const [i, [by, objectId, user, oldPassword, newPassword, code]] of tries.entries()) {
        const correlationId = `refused-${i}`;
        const outcome = await by.change({ ...(await request(user, oldPassword, newPassword)), correlationId });
        expect(outcome).toMatchObject({ status: 'refused', reason: reasons[i] });
        expect(await site.logged(correlationId)).toMatchObject({
          user_object_id: objectId,
          error_code: code,
          flow: 'browser',
          client_id: 'app',
        });
        expect((await audited(objectId)).at(-1)).toMatchObject({
          activity: 'Change user password',
          actor_kind: 'user',
          actor_id: objectId,
          result: 'failure',
          reason: reasons[i],
        });
      }
      await site.addUser(name, { accountEnabled: false });
      const correlationId = 'refused-disabled';
      await changes.change({ ...(await request(name, OLD, NEW)), correlationId });
      expect(await site.logged(correlationId)).toMatchObject({ error_code: 50057 });
      // A wrong one is counted and logged as any.
      await changes.change({ ...(await request('logged', 'wrong', NEW)), correlationId: 'refused-wrong' });
      expect(await site.logged('refused-wrong')).toMatchObject({ error_code: 50126 });
      expect(await audited(cloud)).toHaveLength(3);
    });

    it('of a synchronized user, with write-back off: "You should only use this feature when SSPR and Password Writeback are enabled on the tenant." Refused, and nothing changes', async () => {
      const { name } = await synced();
      expect(await site.tenant.passwords.change(await request(name, OLD, NEW))).toMatchObject({
        status: 'refused',
        reason: 'writebackOff',
      });
      expect(await site.signIn(name, OLD)).toBe(0);
    });

    it('"... if a user changes their password via SSPR, it will be synchronized to Active Directory": stored when the domain controller took it, valid at once', async () => {
      const { name } = await synced();
      const changes = changesWith({ status: 'done' });
      // Three letters: the domain controller judges, not the cloud.
      expect(await changes.change(await request(name, OLD, 'abc'))).toEqual({ status: 'changed' });
      expect([await site.signIn(name, OLD), await site.signIn(name, 'abc')]).toEqual([WRONG, 0]);
      expect((await site.user(name)).passwordOrigin).toBe(CredentialOrigin.changed);
      // Its own synchronization, by the domain controller's clock, is neither refused nor does it undo anything.
      expect(await site.sync(name, { password: 'abc', changeDate: new Date(site.clock.time - 2000) })).toBe('stored');
      expect(await site.signIn(name, 'abc')).toBe(0);
      expect((await site.user(name)).passwordOrigin).toBe(CredentialOrigin.onPremises);
    });

    it('what was synchronized before it does not undo it', async () => {
      const { name } = await synced();
      const before = (await site.user(name)).passwordChanged!;
      await changesWith({ status: 'done' }).change(await request(name, OLD, NEW));
      for (const changeDate of [before, new Date(before.getTime() - MINUTE)]) {
        expect(await site.sync(name, { password: OLD, changeDate })).toBe('olderChange');
      }
      expect(await site.signIn(name, NEW)).toBe(0);
    });

    it('and does not undo what was synchronized while the domain controller was asked', async () => {
      for (const password of [NEW, 'Still.Newer.Passw0rd']) {
        const { name } = await synced();
        const changes = changesWith({ status: 'done' }, () => site.sync(name, { password }));
        expect(await changes.change(await request(name, OLD, NEW))).toEqual({ status: 'changed' });
        expect(await site.signIn(name, password)).toBe(0);
        expect((await site.user(name)).passwordOrigin).toBe(CredentialOrigin.onPremises);
      }
    });

    it.each([
      [{ status: 'refused', reason: 'onPremisesPolicy', message: 'Too young.' }, 'onPremisesPolicy'],
      [{ status: 'refused', reason: 'wrongPassword', message: 'No.' }, 'wrongPassword'],
      [{ status: 'unavailable', message: 'No agent.' }, 'writebackUnavailable'],
    ] as const)('%j of the domain controller reaches the person, and nothing changes', async (written, reason) => {
      const { name } = await synced();
      const answer = await changesWith(written).change(await request(name, OLD, NEW));
      expect(answer).toMatchObject({ status: 'refused', reason });
      expect([await site.signIn(name, NEW), await site.signIn(name, OLD)]).toEqual([WRONG, 0]);
    });

    it('is refused for a disabled account, another user of that name, and nobody', async () => {
      const { name } = await synced({ accountEnabled: false });
      const changes = changesWith({ status: 'done' });
      expect(await changes.change(await request(name, OLD, NEW))).toMatchObject({ reason: 'disabled' });
      const other = await synced();
      const asked = { ...(await request(other.name, OLD, NEW)) };
      const user = { ...asked.user, objectId: '00000000-0000-0000-0000-000000000000' };
      expect(await changes.change({ ...asked, user })).toMatchObject({ reason: 'wrongPassword' });
      expect(await reset(user.objectId, CLOUD)).toMatchObject({ reason: 'unknownUser' });
    });
  });

  it('a password that is changed ends the risk, and until then a user at high risk is refused where the tenant says so', async () => {
    const strict = await RuleSite.start(await newSite(), hasher, { config: { signIn: { blockHighRisk: true } } });
    try {
      const objectId = await strict.addUser('leaked');
      await strict.sync('leaked', { password: OLD });
      const { id } = await strict.user('leaked');
      const risk = { user_id: id, risk_level: 'high', risk_state: 'atRisk', risk_detail: 'none', updated_at: 1 };
      await strict.tenant.store.database.run((queries) => queries.insertInto('risky_users').values(risk).execute());
      expect(await strict.signIn('leaked', NEW)).toBe(WRONG);
      expect(await strict.signIn('leaked', OLD)).toBe(50135);
      strict.clock.forward(MINUTE);
      await strict.tenant.passwords.reset({ objectId, newPassword: CLOUD, forceChangeNextSignIn: false, actor: 'a' });
      expect(await strict.signIn('leaked', CLOUD)).toBe(0);
    } finally {
      await strict.close();
    }
  });
});

describe('complexity, after Microsoft’s documentation of banned passwords', () => {
  const NONE = { names: [], bannedWords: ['contoso', 'blank'] };

  it('normalizes: "p0LL23fb" is "poll23fb", and a user named Poll may not have it', () => {
    expect(normalize('p0LL23fb')).toBe('poll23fb');
    expect(normalize('$p@1')).toBe('spal');
    expect(whatIsWeak('p0LL23fb', { names: ['Poll'], bannedWords: [] })).toContain('name');
    expect(whatIsWeak('p0LL23fb', { names: ['Someone'], bannedWords: [] })).toBeUndefined();
  });

  it('scores: "C0ntos0Blank12" has 4 points and is refused, "ContoS0Bl@nkf9!" has 5 and is accepted', () => {
    expect(whatIsWeak('C0ntos0Blank12', NONE)).toContain('guessed');
    expect(whatIsWeak('ContoS0Bl@nkf9!', NONE)).toBeUndefined();
  });

  // "abcdeg", "abcdefg" and "abcde" for "abcdef" there, which are shorter than a password may be.
  it.each(['abcdefghik', 'abcdefghijk', 'abcdefghi'])('is within one edit of a banned word: %s', (password) => {
    const facts = { names: [], bannedWords: ['abcdefghij'], weakAllowed: true };
    expect(whatIsWeak(password, facts)).toContain('guessed');
    // And one edit alone.
    expect(whatIsWeak('abcdefghkl', facts)).toBeUndefined();
  });

  it.each([
    ['Abcdef1', 'characters'],
    [`Aa1${'x'.repeat(254)}`, 'characters'],
    ['abcdefg1', 'three of the four'],
    ['ABCDEFG1', 'three of the four'],
    ['abcdefgh.', 'three of the four'],
    ['Grüße.12', 'accents'],
    ['Passw0rd', 'guessed'],
    ['P@$$w0rd', 'guessed'],
    ['P@ssw0rd1', 'guessed'],
    ['Password123', 'guessed'],
    ['Welcome1!', 'guessed'],
  ])('%s: %s', (password, why) => expect(whatIsWeak(password, { names: [] })).toContain(why));

  it.each(['Tr4vel by Train', 'Xk7!pq2z', 'correct Horse battery 1'])('%s will do', (password) =>
    expect(whatIsWeak(password, { names: ['A B', null, 'jo@phs.test'] })).toBeUndefined(),
  );

  it('counts no kinds where DisableStrongPassword stands', () => {
    expect(whatIsWeak('lower case only', { names: [], weakAllowed: true })).toBeUndefined();
    expect(whatIsWeak('short', { names: [], weakAllowed: true })).toContain('characters');
  });
});
