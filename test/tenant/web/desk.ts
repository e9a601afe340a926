/** What the tests of signing in with Chromium share: a tenant, a browser, and a person's way through the pages. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { RuleSite } from '../rules/site.js';
import {
  backAtApplication,
  describeWithChromium,
  giveName,
  givePassword,
  launchChromium,
  type RelyingParty,
  type Result,
  START_TIMEOUT,
  type Visitor,
  visitor,
} from './browser.js';
import { startWebSite, type WebSite } from './web-site.js';

export const PASSWORD = 'Old-Passw0rd-äöü-1742';
export const NEW = 'New-Passw0rd-ЖЖЖ-𝄞-8361';
const FEDERATION = 'https://sts.fed.test/adfs/ls/?wa=wsignin1.0';

export interface Desk {
  /** Once the suite has begun. */
  site(): RuleSite;
  party(): RelyingParty;
  /** Goes at the end of the test. */
  newVisitor(options?: Parameters<typeof visitor>[1]): Promise<Visitor>;
  /** A user with a synchronized password. Returns the object id. */
  addPerson(name: string, password?: string): Promise<string>;
  /** To the first page of a sign-in. */
  begin(page: Page, parameters?: Readonly<Record<string, string>>): Promise<unknown>;
  /** From the application to the pages and back. */
  signIn(page: Page, name: string, password: string, options?: { readonly keep?: boolean }): Promise<Result>;
  textOf(page: Page): Promise<string>;
}

export function describeSignIn(name: string, body: (desk: Desk) => void): void {
  describeWithChromium(name, () => {
    let web: WebSite;
    let browser: Browser;
    const people: Visitor[] = [];
    beforeAll(async () => {
      web = await startWebSite({
        displayName: '<i>Contoso</i>',
        domains: [
          { name: 'phs.test' },
          { name: 'fed.test', authenticationType: 'Federated', federationUrl: FEDERATION },
        ],
        passwordWriteback: { timeoutSeconds: 5 },
      });
      browser = await launchChromium();
    }, START_TIMEOUT);
    afterEach(async () => {
      for (const person of people.splice(0)) await person.close();
    });
    afterAll(async () => {
      await browser?.close();
      await web?.close();
    });

    const begin: Desk['begin'] = async (page, parameters = {}) =>
      page.goto(await web.party.authorizationUrl(parameters));
    body({
      site: () => web.site,
      party: () => web.party,
      async newVisitor(options) {
        const person = await visitor(browser, options);
        people.push(person);
        return person;
      },
      async addPerson(name, password = PASSWORD) {
        const { site } = web;
        const objectId = await site.addUser(name, { displayName: `Name of ${name}`, dnsDomainName: 'phs.test' });
        await site.sync(name, { password });
        return objectId;
      },
      begin,
      async signIn(page, name, password, options = {}) {
        await begin(page);
        await giveName(page, `${name}@phs.test`);
        await givePassword(page, password, options);
        await backAtApplication(page, web.party);
        return web.party.take();
      },
      textOf: (page) => page.locator('main').innerText(),
    });
  });
}
