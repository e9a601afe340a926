/** Device codes with a real browser, and every page as people have it who see, hear or use it otherwise (axe-core, WCAG 2.2 AA). */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { AxeResults, RunOptions } from 'axe-core';
import * as client from 'openid-client';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DirSyncFeature } from '#src/provisioning/types.js';
import type { RuleSite } from '../rules/site.js';
import {
  APPLICATION,
  backAtApplication,
  describeWithChromium,
  giveName,
  giveNewPassword,
  givePassword,
  launchChromium,
  type RelyingParty,
  START_TIMEOUT,
  type Visitor,
  visitor,
} from './browser.js';
import { startWebSite, type WebSite } from './web-site.js';

const WITH_WRITEBACK = DirSyncFeature.PasswordHashSync | DirSyncFeature.PasswordWriteBack;
const PASSWORD = 'Old-Passw0rd-aou-1742';
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

describeWithChromium('the pages in Chromium', () => {
  let web: WebSite;
  let browser: Browser;
  let site: RuleSite;
  let party: RelyingParty;
  let person: Visitor;
  let page: Page;

  beforeAll(async () => {
    web = await startWebSite({
      displayName: 'Contoso Clinics and Hospitals',
      domains: [
        { name: 'phs.test' },
        { name: 'fed.test', authenticationType: 'Federated', federationUrl: 'https://sts.fed.test/adfs/ls/' },
      ],
    });
    ({ site, party } = web);
    for (const name of ['anna', 'temp', 'off']) {
      await site.addUser(name, { accountEnabled: name !== 'off' });
      await site.sync(name, { password: PASSWORD, forceChange: name === 'temp' });
    }
    // People whose passwords come from on premises are shown the form only so.
    await site.features(WITH_WRITEBACK);
    browser = await launchChromium();
    // Colours are looked at, not their fading.
    person = await visitor(browser, { reducedMotion: 'reduce' });
    page = person.page;
  }, START_TIMEOUT);
  afterAll(async () => {
    await browser?.close();
    await web?.close();
  });

  const begin = async (parameters: Readonly<Record<string, string>> = {}) =>
    page.goto(await party.authorizationUrl(parameters));
  const askForCode = () => client.initiateDeviceAuthorization(party.config, { scope: 'openid profile' });
  const heading = () => page.getByRole('heading').innerText();
  const signOutOfBrowser = () => person.context.clearCookies();

  describe('a device code', () => {
    it('signs the device in after its code was compared, and openid-client has the tokens', async () => {
      const device = await askForCode();
      await page.goto(device.verification_uri);
      await page.getByLabel('Code').fill(device.user_code);
      await page.getByRole('button', { name: 'Next' }).click();
      const text = await page.locator('main').innerText();
      expect(text).toContain(`Sign in to ${APPLICATION.displayName} on another device?`);
      expect(text).toContain(device.user_code);
      expect(text).toContain('Go on only if you started this yourself');
      expect(text).toContain('127.0.0.1');
      await page.getByRole('button', { name: 'Continue' }).click();
      await giveName(page, 'anna@phs.test');
      await givePassword(page, PASSWORD);
      await page.getByRole('heading', { name: 'You are signed in on your device' }).waitFor();
      const tokens = await client.pollDeviceAuthorizationGrant(party.config, { ...device, interval: 0 });
      expect(tokens.claims()).toMatchObject({ preferred_username: 'anna@phs.test' });
      const log = await signInLog();
      expect(log).toMatchObject({ flow: 'deviceCode', error_code: 0, client_id: APPLICATION.clientId });
      expect(person.complaints).toEqual([]);
    });

    it('in the address still waits for the person, and what is cancelled is denied to the device', async () => {
      const device = await askForCode();
      await page.goto(`${device.verification_uri}?user_code=${device.user_code}`);
      expect(await heading()).toBe('Enter the code');
      expect(await page.getByLabel('Code').inputValue()).toBe(device.user_code);
      await page.getByRole('button', { name: 'Next' }).click();
      await page.getByRole('button', { name: 'Cancel' }).click();
      expect(await page.getByRole('status').first().innerText()).toContain('Nobody was signed in.');
      const polled = client.pollDeviceAuthorizationGrant(party.config, { ...device, interval: 0 });
      await expect(polled).rejects.toMatchObject({ error: 'authorization_declined' });
    });

    it('that nobody asked for, or that was used, is told as such', async () => {
      const device = await askForCode();
      await page.goto(device.verification_uri);
      await page.getByLabel('Code').fill('WRNG-CODE');
      await page.getByRole('button', { name: 'Next' }).click();
      expect(await page.locator('#user_code-error').innerText()).toBe('There is no such code. Look at it once more.');
      expect(await page.locator('#user_code:focus').count()).toBe(1);
      expect(await page.title()).toContain('Error: ');
      await page.getByLabel('Code').fill(device.user_code);
      await page.getByRole('button', { name: 'Next' }).click();
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByRole('heading', { name: 'You are signed in on your device' }).waitFor();
      await page.goto(device.verification_uri);
      await page.getByLabel('Code').fill(device.user_code);
      await page.getByRole('button', { name: 'Next' }).click();
      expect(await page.locator('#user_code-error').innerText()).toContain('used already');
    });

    const signInLog = async () => {
      await site.tenant.signInService.log.flush();
      return site.tenant.store.database.run((queries) =>
        queries.selectFrom('sign_ins').selectAll().orderBy('id', 'desc').limit(1).executeTakeFirst(),
      );
    };
  });

  /** For whoever wants to look at the pages: PHSYNC_SCREENSHOTS names a directory. */
  const shot = async (name: string) => {
    const { PHSYNC_SCREENSHOTS: folder } = process.env;
    if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`) });
  };

  /** How each page is come to. */
  const scenes: Readonly<Record<string, () => Promise<unknown>>> = {
    'user name': () => begin(),
    'user name, wrong': async () => {
      await begin();
      await giveName(page, 'anna');
    },
    password: () => begin({ login_hint: 'anna@phs.test' }),
    'password, wrong': async () => {
      await begin({ login_hint: 'anna@phs.test' });
      await givePassword(page, 'wrong');
    },
    'locked out': async () => {
      await site.fail('locked', 10, '127.0.0.1');
      await begin({ login_hint: 'locked@phs.test' });
      await givePassword(page, 'wrong');
    },
    'change of password': async () => {
      await begin({ login_hint: 'temp@phs.test' });
      await givePassword(page, PASSWORD);
    },
    'change of password, refused': async () => {
      await begin({ login_hint: 'temp@phs.test' });
      await givePassword(page, PASSWORD);
      await giveNewPassword(page, PASSWORD, 'New-Passw0rd-zzz-8361', 'another');
    },
    'change of password, not possible': async () => {
      await site.features(DirSyncFeature.PasswordHashSync);
      await begin({ login_hint: 'temp@phs.test' });
      await givePassword(page, PASSWORD);
      await site.features(WITH_WRITEBACK);
    },
    disabled: async () => {
      await begin({ login_hint: 'off@phs.test' });
      await givePassword(page, PASSWORD);
    },
    federated: async () => {
      // No content: the browser stays where it is.
      await page.route('https://sts.fed.test/**', (route) => route.fulfill({ status: 204 }));
      await begin({ login_hint: 'x@fed.test' });
    },
    'signed in': async () => {
      await page.route('**/oauth2/v2.0/authorize/*', (route) => route.fulfill({ status: 204 }));
      await begin({ login_hint: 'anna@phs.test' });
      await givePassword(page, PASSWORD);
      await page.getByRole('heading', { name: 'You are signed in' }).waitFor();
    },
    over: () => page.goto(`${site.tenant.url}/sign-in/none/name`),
    'unknown application': async () =>
      page.goto((await party.authorizationUrl()).replace('client_id=app', 'client_id=nobody')),
    'unknown tenant': async () =>
      page.goto((await party.authorizationUrl()).replace(site.tenant.tenantId, 'elsewhere.test')),
    'device code': () => page.goto(`${site.tenant.url}/${site.tenant.tenantId}/oauth2/v2.0/deviceauth`),
    'device code, wrong': async () => {
      await page.goto(`${site.tenant.url}/${site.tenant.tenantId}/oauth2/v2.0/deviceauth`);
      await page.getByLabel('Code').fill('WRNG-CODE');
      await page.getByRole('button', { name: 'Next' }).click();
    },
    'device code, to be confirmed': async () => {
      const device = await askForCode();
      await page.goto(`${device.verification_uri}?user_code=${device.user_code}`);
      await page.getByRole('button', { name: 'Next' }).click();
    },
    'choice of account': async () => {
      await begin({ login_hint: 'anna@phs.test' });
      await givePassword(page, PASSWORD);
      await backAtApplication(page, party);
      await begin({ prompt: 'select_account' });
    },
    'sign-out': async () => {
      await begin({ login_hint: 'anna@phs.test' });
      await givePassword(page, PASSWORD);
      await backAtApplication(page, party);
      await page.goto(party.signOutUrl());
    },
    'signed out': () => page.goto(`${site.tenant.url}/${site.tenant.tenantId}/oauth2/v2.0/logout`),
  };

  describe('has nothing that axe-core complains of, in light and dark, and no scrolling sideways at 320 px', () => {
    it.each(Object.keys(scenes))('%s', async (name) => {
      await signOutOfBrowser();
      await page.emulateMedia({ colorScheme: 'light' });
      await page.setViewportSize({ width: 1280, height: 800 });
      await scenes[name]!();
      await shot(`${name} light`);
      expect(await violations(page)).toEqual([]);
      await page.emulateMedia({ colorScheme: 'dark' });
      await shot(`${name} dark`);
      expect(await violations(page, { runOnly: ['color-contrast'] })).toEqual([]);
      // 200 % of a window of 640 px, 400 % of one of 1280 (WCAG 1.4.10).
      await page.setViewportSize({ width: 320, height: 640 });
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(320);
      await shot(`${name} narrow`);
      await page.unrouteAll();
    });
  });
});

async function violations(page: Page, options: RunOptions = {}): Promise<string[]> {
  // Half a megabyte, once for each page.
  if (await page.evaluate("typeof axe === 'undefined'")) await page.evaluate(axeSource);
  const results = (await page.evaluate(`axe.run(${JSON.stringify(options)})`)) as AxeResults;
  return results.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}
