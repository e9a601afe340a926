/** Who signs in here and who is sent to the federation: domains, their backup switch, staged rollout. */

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import type { SignInOutcome } from '#src/tenant/sign-in/types.js';
import { testHasher } from '../harness.js';
import { describeStores, type StoreSite } from '../stores.js';
import { DAY, RuleSite } from './site.js';

const PASSWORD = 'Right.Passw0rd';
const STS = 'https://sts.federated.test/adfs/ls/';
const DOMAINS = [{ name: 'phs.test' }, { name: 'federated.test', authenticationType: 'Federated', federationUrl: STS }];
const FEATURES = DirSyncFeature.PasswordHashSync;
const ENFORCED = FEATURES | DirSyncFeature.EnforceCloudPasswordPolicyForPasswordSyncedUsers;

describeStores('realms', (newSite) => {
  let hasher: Hasher;
  let where: StoreSite;
  let site: RuleSite;
  beforeAll(async () => {
    hasher = testHasher();
    where = await newSite();
    site = await RuleSite.start(where, hasher, { config: { domains: DOMAINS } });
    for (const name of ['staged@federated.test', 'other@federated.test', 'managed@phs.test']) {
      await site.addUser(name);
      await site.sync(name, { password: PASSWORD });
    }
  });
  afterAll(async () => {
    await site?.close();
    await hasher?.close();
  });

  const signIn = (userPrincipalName: string, password = PASSWORD): Promise<SignInOutcome> =>
    site.tenant.signInService.signIn({
      userPrincipalName,
      password,
      clientId: 'app',
      address: '203.0.113.7',
      flow: 'browser',
      correlationId: randomUUID(),
    });
  const sent = { status: 'federated', url: STS };

  it('of a federated domain everybody is sent away, known or not, and no password is looked at', async () => {
    const before = site.tenant.verifications();
    for (const name of ['staged@federated.test', 'nobody@federated.test', 'Other@FEDERATED.test']) {
      expect(await signIn(name)).toEqual(sent);
      expect(await site.tenant.signInService.realm(name)).toEqual({ type: 'federated', url: STS });
    }
    expect(site.tenant.verifications()).toBe(before);
  });

  it('of managed and unknown domains nobody is', async () => {
    expect((await signIn('managed@phs.test')).status).toBe('signedIn');
    for (const name of ['managed@phs.test', 'nobody@phs.test', 'x@elsewhere.test', 'no-domain', '']) {
      expect(await site.tenant.signInService.realm(name)).toEqual({ type: 'managed' });
    }
  });

  it('"Password hash synchronization can also be enabled in addition to federation. It may be used as a fallback if your federation service experiences an outage."', async () => {
    await site.setDomain('federated.test', { password_hash_fallback: 1 });
    expect((await signIn('other@federated.test')).status).toBe('signedIn');
    expect(await signIn('other@federated.test', 'wrong')).toEqual({ status: 'refused', code: 50126 });
    expect(await signIn('nobody@federated.test')).toEqual({ status: 'refused', code: 50126 });
    await site.setDomain('federated.test', { password_hash_fallback: 0 });
    expect(await signIn('other@federated.test')).toEqual(sent);
  });

  describe('"Staged Rollout allows you to selectively test groups of users with cloud authentication capabilities ... before cutting over your domains."', () => {
    const [policy, group] = [randomUUID(), randomUUID()];
    const set = async (enabled: number, all = 0) => {
      await site.tenant.store.database.run((queries) =>
        queries
          .updateTable('rollout_policies')
          .set({ is_enabled: enabled, is_applied_to_organization: all })
          .where('policy_id', '=', policy)
          .execute(),
      );
      site.tenant.signInService.realms.refresh();
    };
    beforeAll(async () => {
      const { id } = await site.user('staged@federated.test');
      const time = site.clock.time;
      await site.tenant.store.database.transaction(async (queries) => {
        await queries
          .insertInto('groups')
          .values({ group_id: group, display_name: 'First', description: null, created_at: time })
          .execute();
        await queries.insertInto('group_members').values({ group_id: group, user_id: id }).execute();
        await queries
          .insertInto('rollout_policies')
          .values({
            policy_id: policy,
            display_name: 'PHS',
            description: null,
            feature: 'passwordHashSync',
            is_enabled: 1,
            is_applied_to_organization: 0,
            created_at: time,
          })
          .execute();
        await queries
          .insertInto('rollout_groups')
          .values({ policy_id: policy, group_id: group, added_at: time })
          .execute();
      });
      site.tenant.signInService.realms.refresh();
    });

    it('members of its groups sign in here, the others of the domain do not', async () => {
      expect((await signIn('staged@federated.test')).status).toBe('signedIn');
      expect(await signIn('other@federated.test')).toEqual(sent);
      expect(await signIn('nobody@federated.test')).toEqual(sent);
    });

    it('switched off, nobody does; for the whole organization, everybody', async () => {
      await set(0);
      expect(await signIn('staged@federated.test')).toEqual(sent);
      await set(1, 1);
      expect((await signIn('other@federated.test')).status).toBe('signedIn');
      await set(1);
    });

    it('their passwords do not expire; with CloudPasswordPolicyForPasswordSyncedUsersEnabled in 90 days, whatever the domain’s period', async () => {
      await site.setPolicies('staged@federated.test', null);
      await site.setDomain('federated.test', { password_validity_days: 10 });
      site.clock.forward(90 * DAY);
      expect((await signIn('staged@federated.test')).status).toBe('signedIn');
      await site.features(ENFORCED);
      expect(await signIn('staged@federated.test')).toMatchObject({ code: 50055, change: 'expired' });
      site.clock.forward(-DAY);
      expect((await signIn('staged@federated.test')).status).toBe('signedIn');
      await site.features(FEATURES);
    });
  });

  it('what another process changes is in force within a second', async () => {
    expect((await signIn('managed@phs.test')).status).toBe('signedIn');
    await site.tenant.store.database.run((queries) =>
      queries
        .updateTable('domains')
        .set({ authentication_type: 'Federated', federation_url: STS })
        .where('name', '=', 'phs.test')
        .execute(),
    );
    await expect.poll(async () => (await signIn('managed@phs.test')).status).toBe('federated');
    await site.setDomain('phs.test', { authentication_type: 'Managed', federation_url: null });
  });

  it('tenant.yaml adds domains that are missing, and does not change those that are there: it warns', async () => {
    await site.setDomain('phs.test', { password_validity_days: 30 });
    const again = await RuleSite.start(where, hasher, {
      config: {
        domains: [
          { name: 'new.test' },
          { name: 'phs.test', authenticationType: 'Federated', federationUrl: 'https://elsewhere.test/' },
        ],
      },
    });
    try {
      const rows = await again.tenant.store.database.run((queries) =>
        queries.selectFrom('domains').selectAll().orderBy('name').execute(),
      );
      expect(rows).toMatchObject([
        { name: 'federated.test', authentication_type: 'Federated', is_default: 0 },
        { name: 'new.test', authentication_type: 'Managed', is_default: 0, password_validity_days: null },
        { name: 'phs.test', authentication_type: 'Managed', is_default: 1, password_validity_days: 30 },
      ]);
      const warnings = again.tenant.logText().match(/"level":40.*differ.*/g);
      expect(warnings).toHaveLength(1);
      expect(warnings![0]).toContain('phs.test');
      // A domain of the store is one of the tenant, whether or not tenant.yaml names it.
      expect((await again.tenant.get('/federated.test/v2.0/.well-known/openid-configuration')).status).toBe(200);
    } finally {
      await again.close();
    }
  });
});
