/** A password that must be changed at sign-in, with a real browser: by its owner, on premises too, or not here. */

import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { DAY, type RuleSite } from '../rules/site.js';
import { killAgents, WireAgent } from '../write-back/wire-agent.js';
import { backAtApplication, giveName, giveNewPassword, givePassword, type RelyingParty } from './browser.js';
import { describeSignIn, NEW, PASSWORD } from './desk.js';

/** The cloud's rules know letters without accents only. */
const CLOUD_PASSWORD = 'Old-Passw0rd-aou-1742';
const CLOUD_NEW = 'New-Passw0rd-zzz-8361';

describeSignIn('signing in with Chromium', (desk) => {
  const { begin, newVisitor, textOf } = desk;
  let site: RuleSite;
  let party: RelyingParty;
  beforeAll(() => {
    site = desk.site();
    party = desk.party();
  });

  describe('a password that must be changed', () => {
    afterEach(() => killAgents());

    it('is changed by its owner, who then is signed in', async () => {
      await site.addCloudUser('frida', CLOUD_PASSWORD);
      await site.tenant.passwords.reset({
        objectId: (await site.user('frida')).objectId,
        newPassword: CLOUD_PASSWORD,
        forceChangeNextSignIn: true,
        actor: 'test',
      });
      const { page, complaints } = await newVisitor();
      await begin(page);
      await giveName(page, 'frida@phs.test');
      await givePassword(page, CLOUD_PASSWORD);
      expect(await textOf(page)).toContain('Your password is temporary');
      await giveNewPassword(page, CLOUD_PASSWORD, CLOUD_NEW, `${CLOUD_NEW}!`);
      expect(await textOf(page)).toContain('The two new passwords are not the same.');
      expect(await page.locator('#confirm:focus').count()).toBe(1);
      await giveNewPassword(page, 'not the old one', CLOUD_NEW);
      expect(await textOf(page)).toContain('This is not your current password.');
      await giveNewPassword(page, CLOUD_PASSWORD, 'short');
      expect(await page.getByLabel('New password', { exact: true }).getAttribute('aria-invalid')).toBe('true');
      expect(await page.content()).not.toContain(CLOUD_PASSWORD);
      await giveNewPassword(page, CLOUD_PASSWORD, CLOUD_NEW);
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'frida@phs.test' });
      expect(await site.signIn('frida', CLOUD_NEW)).toBe(0);
      expect(complaints).toEqual([]);
    });

    it('"The default … password policy requires users to change their passwords every 90 days": has expired, and is changed the same way', async () => {
      await site.addCloudUser('gerd', CLOUD_PASSWORD);
      await site.tenant.store.database.run((queries) =>
        queries
          .updateTable('credentials')
          .set({ changed_at: Date.now() - 91 * DAY })
          .where('user_id', 'in', queries.selectFrom('users').select('id').where('upn_key', '=', 'gerd@phs.test'))
          .execute(),
      );
      const { page } = await newVisitor();
      await begin(page);
      await giveName(page, 'gerd@phs.test');
      await givePassword(page, CLOUD_PASSWORD);
      expect(await textOf(page)).toContain('Your password has expired.');
      await giveNewPassword(page, CLOUD_PASSWORD, CLOUD_NEW);
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'gerd@phs.test' });
    });

    it('of a synchronized user: "the user will receive the expected prompt … to update their password", which goes on premises first; what the policy there says is said here', async () => {
      await site.addUser('hugo', { dnsDomainName: 'phs.test' });
      await site.sync('hugo', { password: PASSWORD, forceChange: true });
      await site.features(DirSyncFeature.PasswordHashSync | DirSyncFeature.PasswordWriteBack);
      const { page } = await newVisitor();
      await begin(page);
      await giveName(page, 'hugo@phs.test');
      await givePassword(page, PASSWORD);
      const agent = await WireAgent.make(site.tenant);
      const refused = agent.take().then(({ id }) =>
        agent.result(id, {
          status: 'refused',
          reason: 'tooShort',
          minimumLength: 24,
        }),
      );
      await giveNewPassword(page, PASSWORD, NEW);
      await refused;
      expect(await page.locator('#new-error').innerText()).toContain('at least 24 characters');

      const done = agent.take().then(async ({ id, newPassword }) => {
        expect(newPassword.toString()).toBe(NEW);
        await agent.result(id, { status: 'done' });
      });
      await giveNewPassword(page, PASSWORD, NEW);
      await done;
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'hugo@phs.test' });
    });

    it('of a synchronized user, without write-back: "You should only use this feature when SSPR and Password Writeback are enabled on the tenant." What to do is said at once, and no form is shown', async () => {
      await site.features(
        DirSyncFeature.PasswordHashSync | DirSyncFeature.EnforceCloudPasswordPolicyForPasswordSyncedUsers,
      );
      for (const name of ['ilse', 'jens']) await site.addUser(name, { dnsDomainName: 'phs.test' });
      await site.sync('ilse', { password: PASSWORD, forceChange: true });
      await site.sync('jens', { password: PASSWORD, changeDate: new Date(Date.now() - 91 * DAY) });
      for (const [name, reason] of [
        ['ilse', 'Your password is temporary'],
        ['jens', 'Your password has expired'],
      ] as const) {
        const { page, complaints } = await newVisitor();
        await begin(page);
        await giveName(page, `${name}@phs.test`);
        await givePassword(page, PASSWORD);
        const text = await textOf(page);
        expect(text).toContain(reason);
        expect(text).toContain('Change it on a computer of your organization’s network');
        expect(await page.content()).toContain('50055');
        expect(await page.locator('input[type=password]').count()).toBe(0);
        expect(complaints).toEqual([]);
      }
      // Switched off while the form is shown: the same page, not the form once more.
      await site.features(DirSyncFeature.PasswordHashSync | DirSyncFeature.PasswordWriteBack);
      const { page } = await newVisitor();
      await begin(page);
      await giveName(page, 'ilse@phs.test');
      await givePassword(page, PASSWORD);
      await site.features(DirSyncFeature.PasswordHashSync);
      await giveNewPassword(page, PASSWORD, NEW);
      expect(await textOf(page)).toContain('Change it on a computer of your organization’s network');
      expect(await page.locator('input[type=password]').count()).toBe(0);
    });
  });
});
