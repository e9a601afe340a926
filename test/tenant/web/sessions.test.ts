/** Sessions and sign-out with a real browser: a password change, several accounts, *Keep me signed in*. */

import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../harness.js';
import type { RuleSite } from '../rules/site.js';
import { backAtApplication, giveName, givePassword, launchPersistent, type RelyingParty } from './browser.js';
import { describeSignIn, NEW, PASSWORD } from './desk.js';

describeSignIn('signing in with Chromium', (desk) => {
  const { addPerson, begin, newVisitor, signIn, textOf } = desk;
  let site: RuleSite;
  let party: RelyingParty;
  beforeAll(() => {
    site = desk.site();
    party = desk.party();
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
});
