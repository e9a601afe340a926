/** Signing in with a real browser and a real relying party: authorization code with PKCE over the tenant's pages. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { temporaryDirectory } from '../harness.js';
import { DAY, type RuleSite } from '../rules/site.js';
import { killAgents, WireAgent } from '../write-back/wire-agent.js';
import {
  APPLICATION,
  backAtApplication,
  describeWithChromium,
  giveName,
  giveNewPassword,
  givePassword,
  launchChromium,
  launchPersistent,
  type RelyingParty,
  START_TIMEOUT,
  type Visitor,
  visitor,
} from './browser.js';
import { startWebSite, type WebSite } from './web-site.js';

const PASSWORD = 'Old-Passw0rd-äöü-1742';
const NEW = 'New-Passw0rd-ЖЖЖ-𝄞-8361';
/** The cloud's rules know letters without accents only. */
const CLOUD_PASSWORD = 'Old-Passw0rd-aou-1742';
const CLOUD_NEW = 'New-Passw0rd-zzz-8361';
const FEDERATION = 'https://sts.fed.test/adfs/ls/?wa=wsignin1.0';

describeWithChromium('signing in with Chromium', () => {
  let web: WebSite;
  let browser: Browser;
  let site: RuleSite;
  let party: RelyingParty;
  const people: Visitor[] = [];
  const newVisitor = async (...options: Parameters<typeof visitor> extends [unknown, ...infer Rest] ? Rest : never) => {
    const person = await visitor(browser, ...options);
    people.push(person);
    return person;
  };

  beforeAll(async () => {
    web = await startWebSite({
      displayName: '<i>Contoso</i>',
      domains: [{ name: 'phs.test' }, { name: 'fed.test', authenticationType: 'Federated', federationUrl: FEDERATION }],
      passwordWriteback: { timeoutSeconds: 5 },
    });
    ({ site, party } = web);
    browser = await launchChromium();
  }, START_TIMEOUT);
  afterEach(async () => {
    for (const person of people.splice(0)) await person.close();
  });
  afterAll(async () => {
    await browser?.close();
    await web?.close();
  });

  /** A user with a synchronized password. */
  const addPerson = async (name: string, password = PASSWORD) => {
    const objectId = await site.addUser(name, { displayName: `Name of ${name}`, dnsDomainName: 'phs.test' });
    await site.sync(name, { password });
    return objectId;
  };
  const begin = async (page: Page, parameters: Readonly<Record<string, string>> = {}) =>
    page.goto(await party.authorizationUrl(parameters));
  const signIn = async (page: Page, name: string, password: string, options: { keep?: boolean } = {}) => {
    await begin(page);
    await giveName(page, `${name}@phs.test`);
    await givePassword(page, password, options);
    await backAtApplication(page, party);
    return party.take();
  };
  const textOf = (page: Page) => page.locator('main').innerText();

  describe('name and password', () => {
    it('lead to the application with a code that openid-client redeems for this person', async () => {
      const objectId = await addPerson('anna');
      const { page, complaints } = await newVisitor();
      const { claims } = await signIn(page, 'anna', PASSWORD);
      expect(claims).toMatchObject({
        oid: objectId,
        sub: objectId,
        preferred_username: 'anna@phs.test',
        name: 'Name of anna',
        tid: site.tenant.tenantId,
        aud: APPLICATION.clientId,
      });
      expect(complaints).toEqual([]);
    });

    it('lead back by a form where the application asked for response_mode=form_post', async () => {
      const { page, complaints } = await newVisitor();
      await begin(page, { response_mode: 'form_post', login_hint: 'anna@phs.test' });
      await givePassword(page, PASSWORD);
      await backAtApplication(page, party);
      expect(new URL(page.url()).search).toBe('');
      expect(party.take().claims).toMatchObject({ preferred_username: 'anna@phs.test' });
      expect(complaints).toEqual([]);
    });

    it('say the same of a wrong password and of a name that nobody has, and never send the password back', async () => {
      await addPerson('bert');
      const seen: string[] = [];
      for (const name of ['bert@phs.test', 'nobody@phs.test']) {
        const { page, complaints } = await newVisitor();
        await begin(page);
        await giveName(page, name);
        await givePassword(page, 'Wr0ng-Password-99');
        expect(await page.title()).toBe('Error: Enter your password - <i>Contoso</i>');
        const field = page.getByLabel('Password', { exact: true });
        expect(await page.locator('#password:focus').count()).toBe(1);
        expect(await field.getAttribute('aria-invalid')).toBe('true');
        expect(await field.inputValue()).toBe('');
        const described = await field.getAttribute('aria-describedby');
        expect(await page.locator(`#${described}`).innerText()).toBe('User name or password is wrong.');
        expect(await page.content()).not.toContain('Wr0ng-Password-99');
        expect(complaints).toEqual([]);
        seen.push((await textOf(page)).replaceAll(name, ''));
      }
      expect(seen[0]).toBe(seen[1]);
    });

    it('that are right are refused once the account is locked out', async () => {
      await addPerson('carl');
      await site.fail('carl', 10, '127.0.0.1');
      const { page } = await newVisitor();
      await begin(page);
      await giveName(page, 'carl@phs.test');
      await givePassword(page, PASSWORD);
      expect(await page.getByRole('alert').innerText()).toContain('too many wrong passwords');
      expect(await page.title()).toContain('Error: ');
      expect(party.results).toEqual([]);
    });

    it('of a disabled account say so, to who knows the password only', async () => {
      await addPerson('dora');
      await site.addUser('dora', { accountEnabled: false });
      const { page } = await newVisitor();
      await begin(page);
      await giveName(page, 'dora@phs.test');
      await givePassword(page, 'wrong');
      expect(await textOf(page)).toContain('User name or password is wrong.');
      await givePassword(page, PASSWORD);
      expect(await page.getByRole('heading').innerText()).toBe('Your account is turned off');
      expect(party.results).toEqual([]);
    });

    it('that are missing or of the wrong form are asked for again', async () => {
      const { page } = await newVisitor();
      await begin(page);
      await page.getByRole('button', { name: 'Next' }).click();
      expect(await textOf(page)).toContain('Enter your user name.');
      await giveName(page, 'anna');
      expect(await textOf(page)).toContain('It has an @ in it');
      expect(await page.getByLabel('User name').inputValue()).toBe('anna');
      await giveName(page, 'anna@phs.test');
      await page.getByRole('button', { name: 'Sign in' }).click();
      expect(await textOf(page)).toContain('Enter your password.');
    });

    it('can be given by keyboard alone', async () => {
      await addPerson('emil');
      const { page } = await newVisitor();
      // The page gives the focus when it is drawn, which on a busy machine comes after it was loaded.
      const focus = (purpose: string) => page.locator(`input[autocomplete=${purpose}]:focus`).waitFor();
      await begin(page);
      await focus('username');
      await page.keyboard.type('emil@phs.test');
      await page.keyboard.press('Enter');
      await page.waitForURL(/\/password$/);
      await focus('current-password');
      await page.keyboard.type(PASSWORD);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Space');
      expect(await page.getByLabel('Keep me signed in').isChecked()).toBe(true);
      await page.keyboard.press('Tab');
      expect(await page.locator(':focus').innerText()).toBe('Sign in');
      await page.keyboard.press('Enter');
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'emil@phs.test' });
    });
  });

  describe('names with markup in them', () => {
    it('are shown as they are, on every page that shows one', async () => {
      const name = `"><img/src=x/onerror=alert(1)>'<script>alert(2)</script>@phs.test`;
      await site.addUser('xss', { userPrincipalName: name, displayName: '<script>alert(3)</script>' });
      await site.sync('xss', { password: PASSWORD });
      const { page, complaints } = await newVisitor();
      await begin(page);
      const text = await textOf(page);
      expect(text).toContain(APPLICATION.displayName);
      expect(text).toContain('<i>Contoso</i>');
      await giveName(page, name);
      expect(await textOf(page)).toContain(name);
      expect(await page.locator('img, script, main i, main b').count()).toBe(0);
      await givePassword(page, PASSWORD);
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: name });
      await page.goto(party.signOutUrl());
      expect(await textOf(page)).toContain(name);
      expect(await page.locator('img, script, main i, main b').count()).toBe(0);
      expect(complaints).toEqual([]);
    });
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

  describe('a federated domain', () => {
    it('has its people sent to its own page, with their name', async () => {
      const { page, context } = await newVisitor();
      await context.route('https://sts.fed.test/**', (route) => route.fulfill({ body: 'federation' }));
      await begin(page);
      await giveName(page, 'ida@fed.test');
      await page.waitForURL('https://sts.fed.test/**');
      const url = new URL(page.url());
      expect(url.origin + url.pathname).toBe('https://sts.fed.test/adfs/ls/');
      expect(Object.fromEntries(url.searchParams)).toEqual({ wa: 'wsignin1.0', login_hint: 'ida@fed.test' });
    });

    it('is gone to at once with domain_hint; a hint at any other place leads nowhere', async () => {
      const { page, context } = await newVisitor();
      await context.route('https://sts.fed.test/**', (route) => route.fulfill({ body: 'federation' }));
      await begin(page, { domain_hint: 'FED.test' });
      await page.waitForURL('https://sts.fed.test/**');
      await begin(page, { domain_hint: 'evil.example' });
      expect(await page.getByRole('heading').innerText()).toBe('Sign in');
    });
  });

  describe('sessions', () => {
    it('login_hint skips the page for the name, which can be gone back to', async () => {
      const { page } = await newVisitor();
      await begin(page, { login_hint: 'anna@phs.test' });
      expect(await textOf(page)).toContain('anna@phs.test');
      await page.getByRole('link', { name: 'Not you?' }).click();
      expect(await page.getByLabel('User name').inputValue()).toBe('anna@phs.test');
    });

    it('"Your current cloud service session isn’t immediately affected by a synchronized password change"; "when the cloud service requires you to authenticate again, you need to provide your new password"', async () => {
      await addPerson('jana');
      const { page } = await newVisitor();
      await signIn(page, 'jana', PASSWORD);
      await site.sync('jana', { password: NEW, changeDate: new Date(site.clock.time + 60_000) });
      await begin(page);
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'jana@phs.test' });
      for (const again of [{ prompt: 'login' }, { max_age: '0' }] as const) {
        await begin(page, again);
        expect(await textOf(page)).toContain('jana@phs.test');
        await givePassword(page, PASSWORD);
        expect(await textOf(page)).toContain('User name or password is wrong.');
        await givePassword(page, NEW);
        await backAtApplication(page, party);
        expect(party.take().claims).toMatchObject({ preferred_username: 'jana@phs.test' });
      }
    });

    it('prompt=select_account offers the session’s account and another one, which takes its place, without any script', async () => {
      await addPerson('karl');
      await addPerson('lena');
      const { page, complaints } = await newVisitor({ javaScriptEnabled: false });
      await signIn(page, 'karl', PASSWORD);
      await begin(page, { prompt: 'select_account' });
      await page.getByRole('button', { name: 'karl@phs.test' }).click();
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'karl@phs.test' });
      await begin(page, { prompt: 'select_account' });
      await page.getByRole('button', { name: 'Use another account' }).click();
      await giveName(page, 'lena@phs.test');
      await givePassword(page, PASSWORD);
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'lena@phs.test' });
      await begin(page);
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'lena@phs.test' });
      expect(complaints).toEqual([]);
    });

    it('of two windows with two people is the one’s who signed in last, without any script', async () => {
      await addPerson('tina');
      await addPerson('udo');
      const { page, context, complaints } = await newVisitor({ javaScriptEnabled: false });
      const second = await context.newPage();
      await begin(page);
      await giveName(page, 'tina@phs.test');
      const later = await party.authorizationUrl();
      await second.goto(later);
      await giveName(second, 'udo@phs.test');
      await givePassword(page, PASSWORD);
      await backAtApplication(page, party);
      // Begun before the other one: its state and PKCE are not those that the application expects now.
      expect(party.take().error).toBeDefined();
      await givePassword(second, PASSWORD);
      await backAtApplication(second, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'udo@phs.test' });
      await begin(page);
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'udo@phs.test' });
      expect(complaints).toEqual([]);
    });

    it('prompt=none says login_required to the application where nobody is signed in', async () => {
      const { page } = await newVisitor();
      await begin(page, { prompt: 'none' });
      await backAtApplication(page, party);
      expect(party.take()).toEqual({ error: 'login_required' });
    });

    it('"Keep me signed in … sets a session cookie that bypasses authentication for 180 days": across a restart of the browser, and only with it', async () => {
      await addPerson('mona');
      const profiles = await temporaryDirectory();
      const open = async (work: (page: Page) => Promise<void>) => {
        const context = await launchPersistent(profiles.path);
        await work(await context.newPage());
        await context.close();
      };
      try {
        await open(async (page) => {
          await signIn(page, 'mona', PASSWORD);
        });
        await open(async (page) => {
          await begin(page);
          expect(await page.getByRole('heading').innerText()).toBe('Sign in');
          await signIn(page, 'mona', PASSWORD, { keep: true });
          const kept = (await page.context().cookies()).filter(({ expires }) => expires > Date.now() / 1000 + 86_400);
          expect(kept.length).toBeGreaterThan(0);
          for (const { expires, secure, httpOnly } of kept) {
            expect(Math.round((expires - Date.now() / 1000) / 86_400)).toBe(180);
            expect({ secure, httpOnly }).toEqual({ secure: true, httpOnly: true });
          }
        });
        await open(async (page) => {
          await begin(page);
          await backAtApplication(page, party);
          expect(party.take().claims).toMatchObject({ preferred_username: 'mona@phs.test' });
        });
      } finally {
        await profiles.remove();
      }
    });

    it('that once ended with the browser is kept when the next sign-in says so', async () => {
      await addPerson('nils');
      const { page, context } = await newVisitor();
      await signIn(page, 'nils', PASSWORD);
      const persistent = async () =>
        (await context.cookies()).some(({ name, expires }) => name === '__Host-session' && expires > 0);
      expect(await persistent()).toBe(false);
      await begin(page, { prompt: 'login' });
      await givePassword(page, PASSWORD, { keep: true });
      await backAtApplication(page, party);
      party.take();
      expect(await persistent()).toBe(true);
    });
  });

  describe('sign-out', () => {
    it('asks, ends the session, and goes back to the application', async () => {
      await addPerson('olga');
      const { page, complaints } = await newVisitor();
      await signIn(page, 'olga', PASSWORD);
      await page.goto(party.signOutUrl());
      expect(await textOf(page)).toContain('olga@phs.test');
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL(`${party.origin}/signed-out`);
      await begin(page);
      expect(await page.getByRole('heading').innerText()).toBe('Sign in');
      await page.goto(party.signOutUrl());
      await page.waitForURL(`${party.origin}/signed-out`);
      expect(complaints).toEqual([]);
    });

    it('can be declined', async () => {
      await addPerson('paul');
      const { page } = await newVisitor();
      await signIn(page, 'paul', PASSWORD);
      await page.goto(party.signOutUrl());
      await page.getByRole('button', { name: 'Stay signed in' }).click();
      await page.waitForURL(`${party.origin}/signed-out`);
      await begin(page);
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'paul@phs.test' });
    });

    it('never leads to an address that is not the application’s', async () => {
      const { page } = await newVisitor();
      await page.goto(party.signOutUrl({ post_logout_redirect_uri: 'https://evil.example/' }));
      expect(new URL(page.url()).origin).toBe(site.tenant.url);
      expect(await page.title()).toContain('Error: ');
    });
  });

  describe('Back and impatience', () => {
    it('Back from a wrong password shows the page before, without sending anything again', async () => {
      await addPerson('quin');
      const { page } = await newVisitor();
      await begin(page);
      await giveName(page, 'quin@phs.test');
      await givePassword(page, 'wrong');
      const before = site.tenant.verifications();
      await page.goBack();
      await page.goBack();
      expect(await page.getByLabel('User name').inputValue()).toBe('quin@phs.test');
      expect(site.tenant.verifications()).toBe(before);
      await page.goForward();
      await givePassword(page, PASSWORD);
      await backAtApplication(page, party);
      expect(party.take().claims).toMatchObject({ preferred_username: 'quin@phs.test' });
    });

    it('Back after the sign-in says that it is over', async () => {
      await addPerson('rosa');
      const { page } = await newVisitor();
      await begin(page);
      await giveName(page, 'rosa@phs.test');
      const address = page.url();
      await givePassword(page, PASSWORD);
      await backAtApplication(page, party);
      party.take();
      await page.goto(address);
      expect(await page.getByRole('heading').innerText()).toBe('This sign-in is over');
    });
  });
});
