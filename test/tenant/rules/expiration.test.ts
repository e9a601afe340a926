/** Password expiration policy: the source document's section, sentence by sentence, over HTTPS on both databases. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { NEVER_EXPIRES } from '#src/tenant/policies/domains.js';
import { isExpired } from '#src/tenant/policies/expiry.js';
import { withoutPolicy } from '#src/tenant/store/password-policies.js';
import { testHasher } from '../harness.js';
import { describeStores } from '../stores.js';
import { DAY, MINUTE, RuleSite } from './site.js';

const PASSWORD = 'Right.Passw0rd';
const NEXT = 'Other.Passw0rd';
const EXPIRED = 50055;
const OFF = DirSyncFeature.PasswordHashSync;
/** CloudPasswordPolicyForPasswordSyncedUsersEnabled. */
const ON = OFF | DirSyncFeature.EnforceCloudPasswordPolicyForPasswordSyncedUsers;
const NO_EXPIRY = 'DisablePasswordExpiration';

describeStores('password expiration', (newSite) => {
  let hasher: Hasher;
  let site: RuleSite;
  beforeAll(async () => {
    hasher = testHasher();
    site = await RuleSite.start(await newSite(), hasher);
  });
  afterAll(async () => {
    await site?.close();
    await hasher?.close();
  });

  let users = 0;
  async function withFeatures<T>(features: number, work: () => Promise<T>): Promise<T> {
    await site.features(features);
    try {
      return await work();
    } finally {
      await site.features(OFF);
    }
  }
  async function synced(features: number): Promise<string> {
    const name = `user${++users}`;
    await site.addUser(name);
    await withFeatures(features, () => site.sync(name, { password: PASSWORD }));
    return name;
  }
  const policies = async (name: string) => (await site.user(name)).passwordPolicies;

  it('"If a user is in the scope of password hash synchronization, by default the cloud account password is set to Never Expire."', async () => {
    const name = await synced(OFF);
    expect(await policies(name)).toBe(NO_EXPIRY);
    site.clock.forward(10_000 * DAY);
    expect(await site.signIn(name, PASSWORD)).toBe(0);
  });

  it('"You can continue to sign in to your cloud services by using a synchronized password that is expired in your on-premises environment. Your cloud password is updated the next time you change the password in the on-premises environment."', async () => {
    // On premises it expired 58 days ago: the tenant is told nothing of it.
    const name = `user${++users}`;
    await site.addUser(name, { lastPasswordChange: new Date(site.clock.time - 100 * DAY) });
    await site.sync(name, { password: PASSWORD, changeDate: new Date(site.clock.time - 100 * DAY) });
    expect(await site.signIn(name, PASSWORD)).toBe(0);
    expect(await site.sync(name, { password: NEXT })).toBe('stored');
    expect(await site.signIn(name, PASSWORD)).toBe(50126);
    expect(await site.signIn(name, NEXT)).toBe(0);
  });

  it('"When CloudPasswordPolicyForPasswordSyncedUsersEnabled is disabled (which is the default setting), Microsoft Entra Connect updates the PasswordPolicies attribute of synchronized users to "DisablePasswordExpiration". This update is done every time a user\'s password is synchronized"', async () => {
    expect(
      (await site.tenant.store.dirSyncFeatures()) & DirSyncFeature.EnforceCloudPasswordPolicyForPasswordSyncedUsers,
    ).toBe(0);
    const name = await synced(OFF);
    for (const changed of ['None', null, 'DisableStrongPassword']) {
      await site.setPolicies(name, changed);
      expect(await site.sync(name, { password: PASSWORD })).toBe('stored');
      expect(await policies(name)).toBe(changed === 'DisableStrongPassword' ? `${NO_EXPIRY}, ${changed}` : NO_EXPIRY);
    }
  });

  it('"... and instructs Microsoft Entra ID to ignore the cloud password expiration policy for that user"', async () => {
    const name = await synced(OFF);
    await site.setPolicies(name, 'None');
    const changed = site.clock.time;
    site.clock.time = changed + 90 * DAY - 1;
    expect(await site.signIn(name, PASSWORD)).toBe(0);
    site.clock.time = changed + 90 * DAY;
    expect(await site.signIn(name, PASSWORD)).toBe(EXPIRED);
    await site.setPolicies(name, NO_EXPIRY);
    expect(await site.signIn(name, PASSWORD)).toBe(0);
  });

  it('"Once enabled, Microsoft Entra ID doesn\'t go to each synchronized user to remove the DisablePasswordExpiration value from the PasswordPolicies attribute. Instead, the DisablePasswordExpiration value is removed from PasswordPolicies during the next password hash sync for each user, upon their next password change in on-premises AD."', async () => {
    const [name, other] = [await synced(OFF), await synced(OFF)];
    await withFeatures(ON, async () => {
      expect([await policies(name), await policies(other)]).toEqual([NO_EXPIRY, NO_EXPIRY]);
      // The same change once more, as a full synchronization brings it, is none.
      const { passwordChanged } = await site.user(name);
      expect(await site.sync(name, { password: PASSWORD, changeDate: passwordChanged! })).toBe('stored');
      expect(await policies(name)).toBe(NO_EXPIRY);
      site.clock.forward(MINUTE);
      expect(await site.sync(name, { password: NEXT })).toBe('stored');
      expect([await policies(name), await policies(other)]).toEqual(['None', NO_EXPIRY]);
      site.clock.forward(90 * DAY);
      expect(await site.signIn(name, NEXT)).toBe(EXPIRED);
      expect(await site.signIn(other, PASSWORD)).toBe(0);
    });
  });

  it('"After the CloudPasswordPolicyForPasswordSyncedUsersEnabled feature is enabled, new users are provisioned without a PasswordPolicies value."', async () => {
    expect(await policies(await synced(ON))).toBeNull();
  });

  it('"It\'s recommended to enable CloudPasswordPolicyForPasswordSyncedUsersEnabled prior to enabling password hash sync, so that the initial sync of password hashes doesn\'t add the DisablePasswordExpiration value"', async () => {
    const name = `user${++users}`;
    await withFeatures(ON & ~OFF, () => site.addUser(name));
    await withFeatures(ON, async () => {
      expect(await site.sync(name, { password: PASSWORD })).toBe('stored');
      expect(await policies(name)).toBeNull();
    });
  });

  it('"The default Microsoft Entra password policy requires users to change their passwords every 90 days. ... you can update the Microsoft Entra password policy to match by using the Update-MgDomain PowerShell command."', async () => {
    const name = await synced(ON);
    const changed = site.clock.time;
    await withFeatures(ON, async () => {
      site.clock.time = changed + 90 * DAY - 1;
      expect(await site.signIn(name, PASSWORD)).toBe(0);
      site.clock.time = changed + 90 * DAY;
      const { code, correlationId } = await site.try(name, PASSWORD);
      expect(code).toBe(EXPIRED);
      expect((await site.logged(correlationId)).error_code).toBe(EXPIRED);
      // Only to those who know the password.
      expect(await site.signIn(name, NEXT)).toBe(50126);
      await site.setDomain('phs.test', { password_validity_days: 120 });
      expect(await site.signIn(name, PASSWORD)).toBe(0);
      site.clock.time = changed + 120 * DAY;
      expect(await site.signIn(name, PASSWORD)).toBe(EXPIRED);
      await site.setDomain('phs.test', { password_validity_days: NEVER_EXPIRES });
      expect(await site.signIn(name, PASSWORD)).toBe(0);
      await site.setDomain('phs.test', { password_validity_days: null });
    });
  });

  it('"Microsoft Entra ID supports a separate password expiration policy per registered domain."', async () => {
    const [short, long] = ['short@phs.test', 'long@second.example'];
    await withFeatures(ON, async () => {
      for (const name of [short, long]) {
        await site.addUser(name);
        await site.sync(name, { password: PASSWORD });
      }
      await site.setDomain('phs.test', { password_validity_days: 30 });
      await site.setDomain('second.example', { password_validity_days: 60 });
      site.clock.forward(30 * DAY);
      expect([await site.signIn(short, PASSWORD), await site.signIn(long, PASSWORD)]).toEqual([EXPIRED, 0]);
      site.clock.forward(30 * DAY);
      expect(await site.signIn(long, PASSWORD)).toBe(EXPIRED);
      for (const name of ['phs.test', 'second.example']) await site.setDomain(name, { password_validity_days: null });
    });
  });

  it('"If there are synchronized accounts that need to have nonexpiring passwords in Microsoft Entra ID, you must explicitly add the DisablePasswordExpiration value to the PasswordPolicies attribute of the user object"', async () => {
    const [name, other] = [await synced(ON), await synced(ON)];
    await site.setPolicies(name, NO_EXPIRY);
    site.clock.forward(91 * DAY);
    await withFeatures(ON, async () => {
      expect([await site.signIn(name, PASSWORD), await site.signIn(other, PASSWORD)]).toEqual([0, EXPIRED]);
    });
  });

  it('"For hybrid users that have a PasswordPolicies value set to DisablePasswordExpiration, this value switches to None after a password change is executed on-premises."', async () => {
    const name = await synced(ON);
    await site.setPolicies(name, NO_EXPIRY);
    site.clock.forward(MINUTE);
    await withFeatures(ON, () => site.sync(name, { password: NEXT }));
    expect(await policies(name)).toBe('None');
  });

  it('counts from the last change, wherever it was made', async () => {
    const name = await synced(ON);
    await withFeatures(ON, async () => {
      site.clock.forward(91 * DAY);
      expect(await site.signIn(name, PASSWORD)).toBe(EXPIRED);
      const { objectId } = await site.user(name);
      const reset = { objectId, newPassword: NEXT, forceChangeNextSignIn: false, actor: 'admin' };
      expect(await site.tenant.passwords.reset(reset)).toEqual({ status: 'changed' });
      expect(await site.signIn(name, NEXT)).toBe(0);
      site.clock.forward(90 * DAY);
      expect(await site.signIn(name, NEXT)).toBe(EXPIRED);
    });
  });
});

describe('password policies', () => {
  it('are names in a list', () => {
    expect(withoutPolicy('DisablePasswordExpiration, DisableStrongPassword', NO_EXPIRY)).toBe('DisableStrongPassword');
    expect(withoutPolicy('DisablePasswordExpiration', NO_EXPIRY)).toBe('None');
    expect(withoutPolicy(null, NO_EXPIRY)).toBe('None');
    expect(withoutPolicy('None', NO_EXPIRY)).toBe('None');
  });

  it('of a federated domain’s users: none, and a fixed 90 days with the feature', () => {
    const domain = { authentication_type: 'Federated', password_validity_days: 10 } as const;
    const passwordChanged = new Date(0);
    const facts = { passwordPolicies: null, passwordChanged, domain };
    expect(isExpired({ ...facts, cloudPolicyForSynchronized: false }, new Date(10_000 * DAY))).toBe(false);
    expect(isExpired({ ...facts, cloudPolicyForSynchronized: true }, new Date(90 * DAY - 1))).toBe(false);
    expect(isExpired({ ...facts, cloudPolicyForSynchronized: true }, new Date(90 * DAY))).toBe(true);
    const never = { ...facts, passwordPolicies: NO_EXPIRY, cloudPolicyForSynchronized: true };
    expect(isExpired(never, new Date(10_000 * DAY))).toBe(false);
  });
});
