/** A real Chromium and a relying party (openid-client, a callback server on loopback) for the sign-in page's tests. */

import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import * as client from 'openid-client';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { fetch as undiciFetch } from 'undici';
import { describe } from 'vitest';
import type { TestTenant } from '../harness.js';

const EXECUTABLE = process.env.PHSYNC_TEST_CHROMIUM ?? '/usr/bin/chromium';
const launchOptions = {
  executablePath: EXECUTABLE,
  timeout: 120_000,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
};

/** A named skip where there is no Chromium; with CI=true that is a failure. */
export function describeWithChromium(name: string, body: () => void): void {
  const there = existsSync(EXECUTABLE);
  if (there || process.env.CI === 'true') describe(name, { timeout: 240_000 }, body);
  else describe.skip(`${name} (skipped: there is no ${EXECUTABLE}; PHSYNC_TEST_CHROMIUM may name another)`, body);
}

/** Of a `beforeAll` that starts a tenant and Chromium beside other tests. */
export const START_TIMEOUT = 240_000;

export const launchChromium = (): Promise<Browser> => chromium.launch(launchOptions);

/** A browser whose cookies outlive it, as far as they say so. */
export const launchPersistent = (directory: string): Promise<BrowserContext> =>
  chromium.launchPersistentContext(directory, { ...launchOptions, ignoreHTTPSErrors: true });

/** Gathers what a browser complains of: script errors, violations of the content security policy, failed loads. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return complaints;
}

export interface Visitor {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly complaints: string[];
  close(): Promise<void>;
}

/** A person with a browser of their own, without cookies. */
export async function visitor(browser: Browser, options: BrowserContextOptions = {}): Promise<Visitor> {
  // The tenant's own certificate authority is none of Chromium's.
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(100_000);
  return { page, context, complaints: complaintsOf(page), close: () => context.close() };
}

export const APPLICATION = { clientId: 'app', displayName: 'Patient <b>Records</b> & "Co"' } as const;

/** tenant.yaml's `applications` for the relying party, whose port is free to be any (RFC 8252, 7.3). */
export const applications = [
  {
    ...APPLICATION,
    redirectUris: ['http://127.0.0.1/callback'],
    postLogoutRedirectUris: ['http://127.0.0.1/signed-out'],
  },
] as const;

/** What came of a sign-in, as the relying party has it from openid-client, which checked state, PKCE and signature. */
export interface Result {
  readonly claims?: Readonly<Record<string, unknown>>;
  /** OAuth's name of it. */
  readonly error?: string;
}

export class RelyingParty {
  readonly results: Result[] = [];
  readonly #server = createServer();
  #checks: { readonly pkceCodeVerifier: string; readonly expectedState: string } | undefined;

  private constructor(readonly config: client.Configuration) {}

  static async start(tenant: TestTenant): Promise<RelyingParty> {
    const config = await client.discovery(
      new URL(`${tenant.url}/${tenant.tenantId}/v2.0`),
      APPLICATION.clientId,
      undefined,
      client.None(),
      {
        [client.customFetch]: (url, options) =>
          undiciFetch(url, { ...(options as object), dispatcher: tenant.dispatcher }) as unknown as Promise<Response>,
      },
    );
    const party = new RelyingParty(config);
    await party.#listen();
    return party;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Where the application sends the person. */
  async authorizationUrl(parameters: Readonly<Record<string, string>> = {}): Promise<string> {
    const pkceCodeVerifier = client.randomPKCECodeVerifier();
    const expectedState = client.randomState();
    this.#checks = { pkceCodeVerifier, expectedState };
    return client.buildAuthorizationUrl(this.config, {
      redirect_uri: `${this.origin}/callback`,
      scope: 'openid profile email',
      code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      state: expectedState,
      ...parameters,
    }).href;
  }

  signOutUrl(parameters: Readonly<Record<string, string>> = {}): string {
    return client.buildEndSessionUrl(this.config, {
      post_logout_redirect_uri: `${this.origin}/signed-out`,
      ...parameters,
    }).href;
  }

  /** The last sign-in's result, which is then forgotten. */
  take(): Result {
    const result = this.results.pop();
    if (result === undefined) throw new Error('nobody came back to the application');
    return result;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #listen(): Promise<void> {
    this.#server.on('request', async (request, response) => {
      const url = new URL(request.url ?? '/', this.origin);
      response.setHeader('content-type', 'text/html; charset=utf-8');
      if (url.pathname !== '/callback') return response.end(`<title>${url.pathname.slice(1)}</title>`);
      // OAuth 2.0 Form Post Response Mode
      if (request.method === 'POST') url.search = await text(request);
      this.results.push(await this.#redeem(url));
      response.end('<title>application</title>');
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  async #redeem(url: URL): Promise<Result> {
    try {
      const tokens = await client.authorizationCodeGrant(this.config, url, this.#checks ?? {});
      return { claims: tokens.claims() ?? {} };
    } catch (error) {
      if (error instanceof client.AuthorizationResponseError) return { error: error.error };
      return { error: String(error) };
    }
  }
}

/** Types a user name and goes on. */
export async function giveName(page: Page, name: string): Promise<void> {
  await page.getByLabel('User name').fill(name);
  await page.getByRole('button', { name: 'Next' }).click();
}

export async function givePassword(page: Page, password: string, { keep = false } = {}): Promise<void> {
  await page.getByLabel('Password', { exact: true }).fill(password);
  if (keep) await page.getByLabel('Keep me signed in').check();
  await page.getByRole('button', { name: 'Sign in' }).click();
}

export async function giveNewPassword(page: Page, old: string, fresh: string, confirmation = fresh): Promise<void> {
  await page.getByLabel('Current password').fill(old);
  await page.getByLabel('New password', { exact: true }).fill(fresh);
  await page.getByLabel('New password, once more').fill(confirmation);
  await page.getByRole('button', { name: 'Change password and sign in' }).click();
}

/** Waits until the browser is back at the application. */
export const backAtApplication = (page: Page, party: RelyingParty) =>
  page.waitForURL((url) => url.origin === party.origin);
