/** Signing in with a real browser and a real relying party: authorization code with PKCE over the tenant's pages. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { RuleSite } from '../rules/site.js';
import { APPLICATION, backAtApplication, giveName, givePassword, type RelyingParty } from './browser.js';
import { describeSignIn, PASSWORD } from './desk.js';

describeSignIn('signing in with Chromium', (desk) => {
  const { addPerson, begin, newVisitor, signIn, textOf } = desk;
  let site: RuleSite;
  let party: RelyingParty;
  beforeAll(() => {
    site = desk.site();
    party = desk.party();
  });

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
