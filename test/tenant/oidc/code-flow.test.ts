/** Authorization code with PKCE: openid-client and a browser's cookies through the sign-in pages, and attacks on the way. */

import { createHash } from 'node:crypto';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import * as client from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { type TestTenant, temporaryDirectory, testHasher } from '../harness.js';
import { addPerson, Browser, follow, hiddenFields, PASSWORD, signInAt } from './people.js';
import {
  type AuthorizationRequest,
  authorizationRequest,
  LOGGED_OUT,
  REDIRECT,
  redeem,
  relyingParty,
  SECRETS,
  startOidcTenant,
} from './site.js';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let hasher: Hasher;
let tenant: TestTenant;
let anna: string;
let spa: client.Configuration;
let browser: Browser;

beforeAll(async () => {
  directory = await temporaryDirectory();
  hasher = testHasher();
  tenant = await startOidcTenant({ stateDir: directory.path, hasher });
  anna = await addPerson(tenant, 'anna');
  await addPerson(tenant, 'root');
  spa = await relyingParty(tenant, 'spa');
});
afterAll(async () => {
  await tenant.close();
  await hasher.close();
  await directory.remove();
});
beforeEach(() => {
  browser = new Browser(tenant.dispatcher);
});

/** The address at the application, with the code. */
async function signIn(request: AuthorizationRequest, name = 'anna', more = {}): Promise<string> {
  const first = await browser.get(request.url);
  const back = await signInAt(browser, tenant, first.location!, name, more);
  expect(back.location, back.text).toBeDefined();
  return back.location!;
}

/** The token endpoint's answer to a code, without openid-client's own checks. */
const redeemRaw = (back: string, { verifier }: { verifier: string }, more: Record<string, string> = {}) =>
  tenant.token({
    grant_type: 'authorization_code',
    client_id: 'spa',
    redirect_uri: REDIRECT,
    code: new URL(back).searchParams.get('code') ?? '',
    code_verifier: verifier,
    ...more,
  });

const parameters = (url: string | undefined) => Object.fromEntries(new URL(url!).searchParams);

describe('openid-client', () => {
  it('signs a person in, gets tokens for Graph, and renews them', async () => {
    const request = await authorizationRequest(spa, {
      scope: 'openid profile email offline_access https://graph.microsoft.com/User.Read User.Read.All',
    });
    const tokens = await redeem(spa, await signIn(request), request);
    // Administrators' scopes are for administrators.
    expect(tokens.scope?.split(' ').sort()).toEqual(['User.Read', 'email', 'offline_access', 'openid', 'profile']);
    expect(tokens.claims()).toMatchObject({ oid: anna, tid: tenant.tenantId, preferred_username: 'anna@phs.test' });
    const me = await tenant.get('/v1.0/me', { headers: { authorization: `Bearer ${tokens.access_token}` } });
    expect(me).toMatchObject({ status: 200, json: { id: anna } });
    const all = await tenant.get('/v1.0/users', { headers: { authorization: `Bearer ${tokens.access_token}` } });
    expect(all.status).toBe(403);
    expect(await client.fetchUserInfo(spa, tokens.access_token, anna)).toMatchObject({ sub: anna, name: 'anna' });

    const renewed = await client.refreshTokenGrant(spa, tokens.refresh_token!);
    expect(renewed.refresh_token).not.toBe(tokens.refresh_token);
    expect(renewed.claims()).toMatchObject({ oid: anna });
  });

  it('gets administrators’ scopes for an administrator', async () => {
    const request = await authorizationRequest(spa, { scope: 'openid https://graph.microsoft.com/.default' });
    const tokens = await redeem(spa, await signIn(request, 'root'), request);
    expect(tokens.scope?.split(' ')).toEqual(expect.arrayContaining(['User.Read', 'User.Read.All']));
    const all = await tenant.get('/v1.0/users', { headers: { authorization: `Bearer ${tokens.access_token}` } });
    expect(all.status).toBe(200);
  });

  it('signs in as a confidential application, with secret and without PKCE', async () => {
    const web = await relyingParty(tenant, 'web', SECRETS.WEB_SECRET);
    const request = await authorizationRequest(web, { code_challenge: undefined, code_challenge_method: undefined });
    const back = await signIn(request);
    const { claims } = await client.authorizationCodeGrant(web, new URL(back), {
      expectedState: request.state,
      expectedNonce: request.nonce,
    });
    expect(claims()).toMatchObject({ oid: anna, aud: 'web' });
  });

  it('gets id tokens by the algorithm of the application, by code, by refresh token and by password', async () => {
    const keys = createLocalJWKSet((await tenant.get(`/${tenant.tenantId}/discovery/v2.0/keys`)).json as JSONWebKeySet);
    const signedBy = async (clientId: string, idToken: string | undefined) => {
      const { payload, protectedHeader } = await jwtVerify(idToken!, keys, { audience: clientId });
      expect(payload).toMatchObject({ oid: anna });
      return protectedHeader.alg;
    };
    const scope = 'openid offline_access';
    for (const [clientId, alg] of [
      ['spa', 'RS256'],
      ['quick', 'ES256'],
    ] as const) {
      browser = new Browser(tenant.dispatcher);
      // What openid-client expects, and refuses anything but.
      const application = await relyingParty(tenant, clientId, undefined, { id_token_signed_response_alg: alg });
      const request = await authorizationRequest(application, { scope });
      const byCode = await redeem(application, await signIn(request), request);
      expect(await signedBy(clientId, byCode.id_token)).toBe(alg);
      const renewed = await client.refreshTokenGrant(application, byCode.refresh_token!);
      expect(await signedBy(clientId, renewed.id_token)).toBe(alg);
      const person = { username: 'anna@phs.test', password: PASSWORD, scope };
      const byPassword = await client.genericGrantRequest(application, 'password', person);
      expect(await signedBy(clientId, byPassword.id_token)).toBe(alg);
      const url = client.buildEndSessionUrl(application, { id_token_hint: renewed.id_token! });
      expect(await browser.get(url.href)).toMatchObject({ status: 200 });
    }
  });

  it('is answered at once where a session is there, and again asks for the password where it must', async () => {
    await signIn(await authorizationRequest(spa));
    const silent = await authorizationRequest(spa, { prompt: 'none' });
    expect(parameters((await browser.get(silent.url)).location)).toHaveProperty('code');
    for (const more of [{ prompt: 'login' }, { max_age: '0' }, { prompt: 'select_account' }]) {
      const again = await authorizationRequest(spa, more);
      expect((await browser.get(again.url)).location).toContain('/sign-in/');
    }
    const young = await authorizationRequest(spa, { max_age: '1000' });
    expect(parameters((await browser.get(young.url)).location)).toHaveProperty('code');
    const stranger = new Browser(tenant.dispatcher);
    expect(parameters((await stranger.get(silent.url)).location)).toMatchObject({
      error: 'login_required',
      error_description: expect.stringMatching(/^AADSTS50058: /),
      state: silent.state,
    });
  });

  it('signs out, and only to where the application is known to be', async () => {
    const request = await authorizationRequest(spa);
    const tokens = await redeem(spa, await signIn(request), request);
    const url = client.buildEndSessionUrl(spa, {
      id_token_hint: tokens.id_token!,
      post_logout_redirect_uri: LOGGED_OUT,
      state: 'over',
    });
    const asked = await browser.get(url.href);
    const action = /<form method="post" action="([^"]+)"/.exec(asked.text)![1]!;
    const ended = await browser.post(action, { ...hiddenFields(asked.text), logout: 'yes' });
    expect(ended.location).toBe(`${LOGGED_OUT}?state=over`);
    const silent = await authorizationRequest(spa, { prompt: 'none' });
    expect(parameters((await browser.get(silent.url)).location)).toMatchObject({ error: 'login_required' });
    for (const elsewhere of ['https://evil.example/', `${LOGGED_OUT}/more`, 'javascript:alert(1)', `${LOGGED_OUT}#x`]) {
      const attack = client.buildEndSessionUrl(spa, {
        id_token_hint: tokens.id_token!,
        post_logout_redirect_uri: elsewhere,
      });
      const refused = await browser.get(attack.href);
      expect([refused.status, refused.location]).toEqual([400, undefined]);
      // Without a client there is no address to go to.
      const alone = new URL(attack);
      alone.searchParams.delete('id_token_hint');
      alone.searchParams.delete('client_id');
      const anonymous = await follow(browser, tenant, await browser.get(alone.href));
      expect(anonymous.location).toBeUndefined();
      expect(anonymous.text).not.toContain('evil.example');
    }
  });
});

describe('the session’s cookie', () => {
  it('ends with the browser, but for KMSI: “This selection sets a session cookie that bypasses authentication for 180 days”', async () => {
    await signIn(await authorizationRequest(spa));
    expect(browser.cookie('__Host-session')).toMatchObject({ path: '/', persistent: false });
    browser.restart();
    expect((await browser.get((await authorizationRequest(spa)).url)).location).toContain('/sign-in/');
    await signIn(await authorizationRequest(spa), 'anna', { keep: 'yes' });
    const kept = browser.cookie('__Host-session')!;
    expect(kept.persistent).toBe(true);
    expect(Math.abs(kept.expires! - (Date.now() + 180 * 86_400_000))).toBeLessThan(60_000);
    browser.restart();
    const silent = await authorizationRequest(spa, { prompt: 'none' });
    expect(parameters((await browser.get(silent.url)).location)).toHaveProperty('code');
  });

  it('is for TLS and for no script, and is another after the sign-in', async () => {
    const first = await browser.get((await authorizationRequest(spa)).url);
    const cookies = [first.headers['set-cookie']].flat();
    expect(cookies.length).toBeGreaterThan(0);
    for (const line of cookies)
      expect(line).toMatch(/; secure; httponly; samesite=lax$|; samesite=lax; secure; httponly$/i);
    const before = browser.cookie('__Host-session')?.value;
    await signInAt(browser, tenant, first.location!, 'anna');
    expect(browser.cookie('__Host-session')!.value).not.toBe(before);
    const last = browser.cookie('__Host-session')!.value;
    await signIn(await authorizationRequest(spa, { prompt: 'login' }));
    expect(browser.cookie('__Host-session')!.value).not.toBe(last);
  });

  it('“Your current cloud service session isn’t immediately affected by a synchronized password change”', async () => {
    await addPerson(tenant, 'vera');
    const request = await authorizationRequest(spa);
    const tokens = await redeem(spa, await signIn(request, 'vera'), request);
    // The same person comes with another credential.
    await addPerson(tenant, 'vera', {}, 1);
    const silent = await authorizationRequest(spa, { prompt: 'none' });
    expect(parameters((await browser.get(silent.url)).location)).toHaveProperty('code');
    expect((await client.refreshTokenGrant(spa, tokens.refresh_token!)).access_token).toBeDefined();
    // “However, when the cloud service requires you to authenticate again, you need to provide your new password.”
    const again = await authorizationRequest(spa, { prompt: 'login' });
    const stopped = await signInAt(browser, tenant, (await browser.get(again.url)).location!, 'vera');
    expect(stopped.location).toBeUndefined();
    expect((await tenant.signIn('vera@phs.test', PASSWORD, { client_id: 'spa' })).json.error_codes).toEqual([50126]);
  });
});

describe('a code', () => {
  it('is good once: the second time, its tokens are over, too', async () => {
    const request = await authorizationRequest(spa);
    const back = await signIn(request);
    const first = await redeemRaw(back, request);
    expect(first.status).toBe(200);
    const second = await redeemRaw(back, request);
    expect(second).toMatchObject({ status: 400, json: { error: 'invalid_grant', error_codes: [54005] } });
    const renewed = await tenant.token({
      grant_type: 'refresh_token',
      client_id: 'spa',
      refresh_token: first.json.refresh_token,
    });
    expect(renewed).toMatchObject({ status: 400, json: { error: 'invalid_grant' } });
  });

  it('is good once also for many at the same time', async () => {
    const request = await authorizationRequest(spa);
    const back = await signIn(request);
    const replies = await Promise.all(Array.from({ length: 8 }, () => redeemRaw(back, request)));
    expect(replies.filter(({ status }) => status === 200).length).toBe(1);
  });

  it('needs the verifier of its own request (RFC 7636)', async () => {
    const request = await authorizationRequest(spa);
    const back = await signIn(request);
    const other = await authorizationRequest(spa);
    const challenge = createHash('sha256').update(request.verifier).digest('base64url');
    for (const verifier of [other.verifier, challenge, `${request.verifier}x`, '']) {
      const refused = await redeemRaw(back, { verifier });
      expect(refused).toMatchObject({ status: 400, json: { error: 'invalid_grant', error_codes: [501481] } });
    }
    expect((await redeemRaw(back, request)).status).toBe(200);
  });

  it('is for its client and its address alone', async () => {
    const request = await authorizationRequest(spa);
    const back = await signIn(request);
    expect((await redeemRaw(back, request, { redirect_uri: 'https://app.example/other' })).json.error_codes).toEqual([
      500112,
    ]);
    expect((await redeemRaw(back, request, { client_id: 'desktop' })).json.error_codes).toEqual([70000]);
    const asWeb = { client_id: 'web', client_secret: SECRETS.WEB_SECRET };
    expect((await redeemRaw(back, request, asWeb)).json.error_codes).toEqual([70000]);
    expect((await redeemRaw(back, request, { code: 'x'.repeat(43) })).json.error_codes).toEqual([70000]);
  });

  it('is not given without PKCE to who has no secret, nor for its plain form', async () => {
    for (const more of [
      { code_challenge: undefined, code_challenge_method: undefined },
      { code_challenge_method: 'plain' },
      { code_challenge_method: undefined },
    ]) {
      const { url } = await authorizationRequest(spa, more);
      const { location } = await browser.get(url);
      expect(location?.startsWith(`${REDIRECT}?`)).toBe(true);
      expect(parameters(location)).toMatchObject({ error: 'invalid_request' });
      expect(parameters(location)).not.toHaveProperty('code');
    }
  });
});

describe('the address to go back to', () => {
  const tricks = [
    'https://app.example/callback/',
    'https://app.example/callback?x=1',
    'https://app.example/Callback',
    'https://app.example/callback#x',
    'https://app.example/callback/../evil',
    'https://app.example/%63allback',
    'https://APP.example/callback',
    'http://app.example/callback',
    'https://app.example:443/callback',
    'https://app.example@evil.example/callback',
    'https://app.example.evil.example/callback',
    'https://evil.example/callback',
    '//evil.example/callback',
    'javascript:alert(1)//https://app.example/callback',
    'data:text/html,https://app.example/callback',
    ' https://app.example/callback',
  ];

  it.each(tricks)('is not %s', async (redirect_uri) => {
    const { url } = await authorizationRequest(spa, { redirect_uri });
    const { status, location, text } = await browser.get(url);
    expect([status, location]).toEqual([400, undefined]);
    expect(text).toContain('AADSTS50011');
    expect(text).not.toMatch(/(href|src|action|content)="[^"]*evil\.example/);
  });

  it('is told on the page as it came, and in the log beside those that are registered', async () => {
    const redirect_uri = 'https://user:word@app.example/<b>call"back</b>?code=Secret-1';
    const { text } = await browser.get((await authorizationRequest(spa, { redirect_uri })).url);
    expect(text).toContain(
      '&#39;https://user:word@app.example/&lt;b&gt;call&quot;back&lt;/b&gt;?code=Secret-1&#39; specified in the request',
    );
    const entry = tenant
      .logText()
      .split('\n')
      .findLast((line) => line.includes('"code":50011'));
    expect(JSON.parse(entry!)).toMatchObject({
      msg: 'request refused',
      clientId: 'spa',
      redirectUri: 'https://…@app.example/<b>call"back</b>?…',
      registered: [REDIRECT],
    });
    expect(tenant.logText()).not.toMatch(/Secret-1|user:word/);
  });

  it('is one, given once, and by a known client', async () => {
    const { url } = await authorizationRequest(spa);
    const twice = `${url}&redirect_uri=${encodeURIComponent('https://evil.example/')}`;
    expect((await browser.get(twice)).location ?? '').not.toContain('evil');
    const unknown = await authorizationRequest(spa, { client_id: 'nobody' });
    const { status, location, text } = await browser.get(unknown.url);
    expect([status, location]).toEqual([400, undefined]);
    expect(text).toContain('AADSTS700016');
  });

  it('has a free port on the loopback address for a native application (RFC 8252 7.3), and nothing else free', async () => {
    const desktop = await relyingParty(tenant, 'desktop');
    for (const good of ['http://127.0.0.1:49152/back', 'http://127.0.0.1/back', 'com.example.desktop:/back']) {
      const { url } = await authorizationRequest(desktop, { redirect_uri: good });
      expect((await browser.get(url)).location, good).toContain('/sign-in/');
    }
    for (const bad of [
      'http://127.0.0.1:49152/other',
      'http://localhost:49152/back',
      'http://127.0.0.1.evil.example:49152/back',
      'http://127.0.0.1:49152@evil.example/back',
      'http://127.0.0.2:49152/back',
      'https://127.0.0.1:49152/back',
      'com.example.desktop://evil.example/back',
      'com.example.desktop:/back/more',
    ]) {
      const { url } = await authorizationRequest(desktop, { redirect_uri: bad });
      expect(await browser.get(url), bad).toMatchObject({ status: 400, location: undefined });
    }
  });
});

describe('scopes', () => {
  it('that the application may not ask for are refused', async () => {
    for (const scope of [
      'openid Domain.ReadWrite.All',
      'openid https://graph.microsoft.com/Group.Read.All',
      'openid https://elsewhere.example/x',
    ]) {
      const { url, state } = await authorizationRequest(spa, { scope });
      expect(parameters((await browser.get(url)).location)).toMatchObject({
        error: 'invalid_scope',
        error_description: expect.stringMatching(/^AADSTS65001: /),
        state,
      });
    }
  });

  it('of Graph do not come by way of `resource`', async () => {
    const request = await authorizationRequest(spa, { scope: 'openid', resource: 'https://graph.microsoft.com' });
    const tokens = await redeem(spa, await signIn(request), request);
    const me = await tenant.get('/v1.0/me', { headers: { authorization: `Bearer ${tokens.access_token}` } });
    expect(me.status).toBe(401);
  });
});

describe('a refresh token', () => {
  async function fresh(name: string): Promise<string> {
    const request = await authorizationRequest(spa);
    return (await redeemRaw(await signIn(request, name), request)).json.refresh_token;
  }
  const renew = (refresh_token: string, more: Record<string, string> = {}) =>
    tenant.token({ grant_type: 'refresh_token', client_id: 'spa', refresh_token, ...more });

  it('is replaced by its use; used again, all that came of it is over', async () => {
    const first = await fresh('anna');
    const second = (await renew(first)).json.refresh_token;
    const third = (await renew(second)).json.refresh_token;
    const stolen = await renew(first);
    expect(stolen).toMatchObject({ status: 400, json: { error: 'invalid_grant', error_codes: [50173] } });
    expect((await renew(third)).json).toMatchObject({ error: 'invalid_grant' });
  });

  it('gives one answer to many at the same time', async () => {
    const token = await fresh('anna');
    const replies = await Promise.all(Array.from({ length: 8 }, () => renew(token)));
    expect(replies.filter(({ status }) => status === 200).length).toBe(1);
  });

  it('is for its client alone, and for no scope more', async () => {
    const token = await fresh('anna');
    expect((await renew(token, { client_id: 'desktop' })).json.error_codes).toEqual([70000]);
    expect((await renew(token, { scope: 'openid User.Read.All' })).json).toMatchObject({ error_codes: [65001] });
    expect((await renew(token)).status).toBe(200);
  });

  it('is refused for who is disabled or deleted meanwhile', async () => {
    for (const [name, code, change] of [
      ['ivo', 50057, { kind: 'upsert', sourceAnchor: 'ivo', attributes: { accountEnabled: false } }],
      ['ida', 50034, { kind: 'delete', sourceAnchor: 'ida' }],
    ] as const) {
      await addPerson(tenant, name);
      browser = new Browser(tenant.dispatcher);
      const token = await fresh(name);
      await tenant.store.applyUsers([change]);
      expect(await renew(token)).toMatchObject({ status: 400, json: { error: 'invalid_grant', error_codes: [code] } });
      // Nor does the session go on.
      const silent = await authorizationRequest(spa, { prompt: 'none' });
      expect(parameters((await browser.get(silent.url)).location)).toMatchObject({ error: 'login_required' });
    }
  });
});

describe('a page of another origin (CORS)', () => {
  const ask = (origin: string) =>
    tenant.token({ grant_type: 'refresh_token', client_id: 'spa', refresh_token: 'x' }, { headers: { origin } });

  it('may read the answers to its own application, and no other may', async () => {
    const own = await ask('https://app.example');
    expect(own.headers['access-control-allow-origin']).toBe('https://app.example');
    for (const origin of ['https://evil.example', 'https://app.example.evil.example', 'null', 'http://app.example']) {
      const other = await ask(origin);
      expect(other.headers, origin).not.toHaveProperty('access-control-allow-origin');
      expect(other.status).toBe(400);
    }
  });
});

describe('what lies in the database', () => {
  it('opens nothing: neither codes nor tokens nor sessions', async () => {
    const request = await authorizationRequest(spa);
    const back = await signIn(request);
    const { json } = await redeemRaw(back, request);
    const device = (
      await tenant.post(`/${tenant.tenantId}/oauth2/v2.0/devicecode`, { client_id: 'spa', scope: 'openid' })
    ).json;
    const pending = await browser.get((await authorizationRequest(spa, { prompt: 'login' })).url);
    const rows = await tenant.store.database.run((queries) =>
      queries.selectFrom('oidc_payloads').selectAll().execute(),
    );
    const stored = JSON.stringify(rows);
    const models = new Set(rows.map(({ model }) => model));
    expect(models).toEqual(
      new Set(['AuthorizationCode', 'DeviceCode', 'Grant', 'Interaction', 'RefreshToken', 'Session']),
    );
    for (const secret of [
      new URL(back).searchParams.get('code')!,
      json.refresh_token,
      device.device_code,
      device.user_code.replace('-', ''),
      browser.cookie('__Host-session')!.value,
      pending.location!.split('/').at(-1)!,
      PASSWORD,
    ]) {
      expect(stored.includes(secret)).toBe(false);
    }
    // What stands there in place of a device code is none.
    const digests = rows.filter(({ model }) => model === 'DeviceCode').map(({ id_digest }) => id_digest);
    for (const device_code of digests.flatMap((digest) => [digest, `sha256:${digest}`])) {
      const grant_type = 'urn:ietf:params:oauth:grant-type:device_code';
      expect((await tenant.token({ grant_type, client_id: 'spa', device_code })).json.error_codes).toEqual([70000]);
    }
  });
});
