/** The documented example application, word by word as it stands there, in a process of its own against a real tenant. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { freePort } from '#bench/free-port.js';
import type { Hasher } from '#src/hasher/types.js';
import { temporaryDirectory, testHasher } from '../harness.js';
import { Clock, RuleSite } from '../rules/site.js';
import { describeWithChromium, giveName, givePassword, launchChromium, START_TIMEOUT, visitor } from './browser.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const text = readFileSync(join(root, 'src/tenant/example-app.md'), 'utf8');
const block = (language: string) => new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(text)![1]!;

describeWithChromium('the example application', () => {
  let hasher: Hasher;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let browser: Browser;
  let site: RuleSite;
  let folder: string;
  let application: ChildProcess;
  let address: string;

  beforeAll(async () => {
    hasher = testHasher();
    directory = await temporaryDirectory();
    const { applications } = parse(block('yaml'));
    const config = { applications: applications.map((one: object) => movedTo(one, '127.0.0.1')) };
    site = await RuleSite.start({ tenant: { stateDir: directory.path } }, hasher, {
      clock: new Clock(Date.now()),
      config,
    });
    await site.addUser('anna', { displayName: 'Anna <i>Example</i>' });
    await site.sync('anna', { password: 'Old-Passw0rd-aou-1742' });
    // Where its import finds openid-client.
    mkdirSync(join(root, 'node_modules/.cache/phsync'), { recursive: true });
    folder = mkdtempSync(join(root, 'node_modules/.cache/phsync/example-'));
    writeFileSync(join(folder, 'app.mjs'), block('js'));
    const metadata = await site.tenant.get('/phs.test/v2.0/.well-known/openid-configuration');
    const port = await freePort();
    address = `http://127.0.0.1:${port}`;
    application = spawn(process.execPath, ['app.mjs'], {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        ISSUER: metadata.json.issuer,
        NODE_EXTRA_CA_CERTS: site.tenant.caPath,
        PORT: String(port),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = await Promise.race([once(application.stdout!, 'data'), once(application, 'exit')]);
    expect(String(said)).toBe(`listening on ${address}\n`);
    browser = await launchChromium();
  }, START_TIMEOUT);
  afterAll(async () => {
    application?.kill();
    await browser?.close();
    await site?.close();
    await hasher?.close();
    await directory?.remove();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  describe('as documented', () => {
    it('signs a person in, shows who it is, and signs out', async () => {
      const { page, complaints } = await visitor(browser);
      await page.goto(address);
      await page.getByRole('link', { name: 'Sign in' }).click();
      expect(await page.locator('main').innerText()).toContain('to continue to Example');
      await giveName(page, 'anna@phs.test');
      await givePassword(page, 'Old-Passw0rd-aou-1742');
      await page.waitForURL(`${address}/`);
      const { objectId } = await site.user('anna');
      const shown = await page.locator('body').innerText();
      expect(shown).toContain('Anna <i>Example</i> is signed in as anna@phs.test.');
      expect(shown).toContain(objectId);
      await page.getByRole('link', { name: 'Sign out' }).click();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL(`${address}/`);
      expect(await page.locator('body').innerText()).toContain('Nobody is signed in.');
      await page.getByRole('link', { name: 'Sign in' }).click();
      expect(await page.getByRole('heading').innerText()).toBe('Sign in');
      expect(complaints).toEqual([]);
    });

    it('takes no answer that it did not ask for', async () => {
      const { page } = await visitor(browser);
      await page.goto(`${address}/callback?code=stolen&state=guessed`);
      expect(await page.locator('body').innerText()).toContain('Nobody is signed in.');
    });
  });
});

/** The same application at any port of this host (RFC 8252, 7.3). */
function movedTo(application: object, host: string): object {
  return JSON.parse(JSON.stringify(application).replaceAll('127.0.0.1:3000', host));
}
