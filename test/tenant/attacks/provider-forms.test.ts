/** Attacks on what oidc-provider itself shows and takes: sign-out and device codes by another site's form, markup in parameters, other origins. */

import type * as client from 'openid-client';
import { request } from 'undici';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type TestTenant, temporaryDirectory, testHasher } from '../harness.js';
import { addPerson, Browser, follow, hiddenFields, signInAt } from '../oidc/people.js';
import { authorizationRequest, LOGGED_OUT, REDIRECT, redeem, relyingParty, startOidcTenant } from '../oidc/site.js';

const hasher = testHasher();
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let tenant: TestTenant;
let spa: client.Configuration;
let browser: Browser;
let tokens: Awaited<ReturnType<typeof redeem>>;

beforeAll(async () => {
  directory = await temporaryDirectory();
  tenant = await startOidcTenant({ stateDir: directory.path, hasher });
  await addPerson(tenant, 'anna');
  spa = await relyingParty(tenant, 'spa');
});
afterAll(async () => {
  await tenant.close();
  await hasher.close();
  await directory.remove();
});
beforeEach(async () => {
  browser = new Browser(tenant.dispatcher);
  const asked = await authorizationRequest(spa);
  const begun = await browser.get(asked.url);
  const back = await signInAt(browser, tenant, begun.location!, 'anna');
  tokens = await redeem(spa, back.location!, asked);
});

const url = (path: string, query: Readonly<Record<string, string>> = {}) =>
  `${tenant.url}/${tenant.tenantId}/oauth2/v2.0/${path}?${new URLSearchParams(query)}`;
const actionOf = ({ text }: { readonly text: string }) => /<form method="post" action="([^"]+)"/.exec(text)![1]!;

const isSignedIn = async () => {
  const { url: silent } = await authorizationRequest(spa, { prompt: 'none' });
  return new URL((await browser.get(silent)).location!).searchParams.has('code');
};

describe('a sign-out', () => {
  it('takes more than an address: the person is asked', async () => {
    await browser.get(url('logout'));
    await browser.get(
      url('logout', { id_token_hint: tokens.id_token!, post_logout_redirect_uri: LOGGED_OUT, logout: 'yes' }),
    );
    await follow(browser, tenant, await browser.get(url('logout', { client_id: 'spa' })));
    expect(await isSignedIn()).toBe(true);
  });

  it('takes the word of the page that asked: another site’s form has none, or another person’s', async () => {
    const asked = await browser.get(url('logout', { id_token_hint: tokens.id_token! }));
    const other = new Browser(tenant.dispatcher);
    const strange = hiddenFields((await other.get(url('logout'))).text);
    for (const fields of [
      {},
      { xsrf: '' },
      { xsrf: 'x' },
      strange,
      { xsrf: hiddenFields(asked.text).xsrf!.slice(1) },
    ]) {
      const reply = await browser.post(actionOf(asked), { ...fields, logout: 'yes' });
      expect(reply.status).toBe(400);
      expect(await isSignedIn()).toBe(true);
    }
    await browser.post(actionOf(asked), { ...hiddenFields(asked.text), logout: 'yes' });
    expect(await isSignedIn()).toBe(false);
  });
});

describe('a device', () => {
  const ask = async () => {
    const { body } = await request(url('devicecode'), {
      method: 'POST',
      dispatcher: tenant.dispatcher,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'client_id=spa&scope=openid',
    });
    return (await body.json()) as { readonly user_code: string; readonly device_code: string };
  };
  const poll = async (deviceCode: string) => {
    const grant = {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      client_id: 'spa',
      device_code: deviceCode,
    };
    return (await tenant.token(grant)).json.error as string | undefined;
  };

  it('is not signed in by an address, nor by another site’s form in a signed-in browser', async () => {
    const { user_code, device_code } = await ask();
    await follow(browser, tenant, await browser.get(url('deviceauth', { user_code, confirm: 'yes' })));
    const page = await browser.get(url('deviceauth', { user_code }));
    const other = new Browser(tenant.dispatcher);
    const strange = hiddenFields((await other.get(url('deviceauth', { user_code }))).text);
    for (const fields of [{}, { xsrf: 'x' }, { xsrf: strange.xsrf ?? '' }]) {
      const form = { ...fields, user_code, confirm: 'yes' };
      const reply = await follow(browser, tenant, await browser.post(actionOf(page), form));
      expect(reply.text).not.toContain('You are signed in on your device');
    }
    expect(await poll(device_code)).toBe('authorization_pending');
  });

  it('has a form of a new session, and no failure, where the session has ended or never was', async () => {
    const { user_code } = await ask();
    for (const path of ['deviceauth', 'deviceauth/x']) {
      const stranger = new Browser(tenant.dispatcher);
      const reply =
        path === 'deviceauth'
          ? await stranger.post(url(path), { xsrf: 'x', user_code, confirm: 'yes' })
          : await stranger.get(url(path));
      const page = await follow(stranger, tenant, reply);
      expect(page.status).toBe(200);
      const next = await stranger.post(actionOf(page), { ...hiddenFields(page.text), user_code });
      expect(next.text).toContain('on another device?');
    }
    expect(tenant.logText()).not.toContain('request failed');
  });

  it('is not found by trying codes: there are too many', async () => {
    const codes = await Promise.all(Array.from({ length: 20 }, ask));
    // 20 letters in 8 places (RFC 8628 6.1): 34 bits, for a quarter of an hour.
    for (const { user_code } of codes)
      expect(user_code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
    expect(new Set(codes.map(({ user_code }) => user_code)).size).toBe(20);
    for (const { device_code } of codes) expect(device_code.length).toBeGreaterThanOrEqual(43);
  });
});

describe('markup in parameters', () => {
  const MARKUP = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`;
  const BARE = /<script>alert|<img src=x/i;

  it('stays text where it is said again', async () => {
    const { url: good } = await authorizationRequest(spa);
    for (const name of [
      ...new URL(good).searchParams.keys(),
      'login_hint',
      'domain_hint',
      'prompt',
      'response_mode',
      'claims',
      'request',
      'ui_locales',
      'acr_values',
    ]) {
      const bad = new URL(good);
      bad.searchParams.set(name, MARKUP);
      const reply = await follow(browser, tenant, await browser.get(bad.href));
      expect(reply.text, name).not.toMatch(BARE);
      // Elsewhere only with an error, to the address that is registered.
      if (reply.location !== undefined)
        expect(new URL(reply.location).href.startsWith(`${REDIRECT}?`), name).toBe(true);
    }
    for (const path of ['deviceauth', 'logout']) {
      for (const name of [
        'user_code',
        'client_id',
        'id_token_hint',
        'post_logout_redirect_uri',
        'state',
        'error',
        'error_description',
      ]) {
        expect((await browser.get(url(path, { [name]: MARKUP }))).text, `${path} ${name}`).not.toMatch(BARE);
      }
    }
    const errors = await browser.get(
      `${tenant.url}/error?code=${encodeURIComponent(MARKUP)}&error_description=${encodeURIComponent(MARKUP)}`,
    );
    expect(errors.text).not.toMatch(BARE);
  });

  it('stays text in a form that sends itself off, and its script is the only one allowed', async () => {
    const asked = await authorizationRequest(spa, { response_mode: 'form_post', state: MARKUP, prompt: 'none' });
    const page = await browser.get(asked.url);
    expect(page.status).toBe(200);
    expect(page.text).not.toMatch(BARE);
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toMatch(/script-src 'sha256-[A-Za-z0-9+/=]+'/);
    expect(policy).not.toContain('unsafe-inline');
  });
});

describe('pages of other origins', () => {
  const cors = async (path: string, origin: string, method: 'GET' | 'POST' | 'OPTIONS' = 'GET', body?: string) => {
    const reply = await request(`${tenant.url}${path}`, {
      method,
      dispatcher: tenant.dispatcher,
      headers: {
        origin,
        ...(method === 'OPTIONS'
          ? { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }
          : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      ...(body === undefined ? {} : { body }),
    });
    await reply.body.dump();
    return reply.headers;
  };

  it('read no page, no Graph and no token, and never with cookies', async () => {
    for (const origin of ['https://evil.example', 'null', 'https://app.example.evil.example', 'http://app.example']) {
      for (const path of [
        '/sign-in/x/name',
        '/common/oauth2/v2.0/authorize?client_id=spa',
        '/common/oauth2/v2.0/logout',
        '/v1.0/me',
        '/common/userrealm/a@phs.test',
      ]) {
        for (const method of ['GET', 'OPTIONS'] as const) {
          expect(await cors(path, origin, method), `${method} ${path}`).not.toHaveProperty(
            'access-control-allow-origin',
          );
        }
      }
      const form = 'grant_type=refresh_token&client_id=spa&refresh_token=x';
      const answered = await cors('/common/oauth2/v2.0/token', origin, 'POST', form);
      expect(answered).not.toHaveProperty('access-control-allow-origin');
      expect(answered).not.toHaveProperty('access-control-allow-credentials');
    }
    const own = await cors(
      '/common/oauth2/v2.0/token',
      new URL(REDIRECT).origin,
      'POST',
      'grant_type=refresh_token&client_id=spa&refresh_token=x',
    );
    expect(own['access-control-allow-origin']).toBe(new URL(REDIRECT).origin);
    expect(own).not.toHaveProperty('access-control-allow-credentials');
  });
});
