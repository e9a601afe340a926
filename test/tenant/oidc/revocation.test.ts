/** A person signed out everywhere, disabled or deleted: what was begun before is good for nothing at once. On both stores. */

import { setTimeout as sleep } from 'node:timers/promises';
import type * as client from 'openid-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { type TestTenant, testHasher } from '../harness.js';
import { describeStores } from '../stores.js';
import { addPerson, Browser, onward, PASSWORD, signInAt } from './people.js';
import {
  type AuthorizationRequest,
  applications,
  authorizationRequest,
  REDIRECT,
  redeem,
  relyingParty,
  SECRETS,
  startOidcTenant,
} from './site.js';

const PERMISSIONS = ['User.RevokeSessions.All', 'User.ReadWrite.All', 'AuditLog.Read.All', 'User.Read.All'];
const registered = applications.map((each) => (each.clientId === 'web' ? { ...each, permissions: PERMISSIONS } : each));

describeStores('access that is taken away', (newSite) => {
  let hasher: Hasher;
  let tenant: TestTenant;
  let spa: client.Configuration;
  let application: string;

  beforeAll(async () => {
    hasher = testHasher();
    tenant = await startOidcTenant({ ...(await newSite()).tenant, hasher, config: { applications: registered } });
    spa = await relyingParty(tenant, 'spa');
    const form = { grant_type: 'client_credentials', client_id: 'web', client_secret: SECRETS.WEB_SECRET };
    application = (await tenant.token({ ...form, scope: 'https://graph.microsoft.com/.default' })).json.access_token;
    for (const name of ['anna', 'bert', 'root']) await addPerson(tenant, name);
  });
  afterAll(async () => {
    await tenant?.close();
    await hasher?.close();
  });

  const graph = async (method: string, path: string, token = application, body?: object) => {
    const reply = await fetchGraph(tenant, method, path, token, body);
    return { ...reply, json: reply.text === '' ? undefined : JSON.parse(reply.text) };
  };
  const userinfo = async (token: string) =>
    (await tenant.get('/oidc/userinfo', { headers: { authorization: `Bearer ${token}` } })).status;
  const parameters = (url: string | undefined) => Object.fromEntries(new URL(url!).searchParams);
  const renew = async (token: string | undefined) =>
    tenant.token({ grant_type: 'refresh_token', client_id: 'spa', refresh_token: token ?? '' });

  /** Signed in at a browser, to be kept, with tokens for Graph. */
  async function signedIn(name: string) {
    const browser = new Browser(tenant.dispatcher);
    const begin = async (request: AuthorizationRequest) => {
      const { location } = await browser.get(request.url);
      return location!.startsWith(REDIRECT)
        ? location!
        : (await signInAt(browser, tenant, location!, name, { keep: 'yes' })).location!;
    };
    const request = await authorizationRequest(spa, { scope: 'openid profile offline_access User.Read' });
    const tokens = await redeem(spa, await begin(request), request);
    return { browser, begin, tokens };
  }
  const silent = async (browser: Browser) => {
    const { location } = await browser.get((await authorizationRequest(spa, { prompt: 'none' })).url);
    return parameters(location);
  };

  it('of a disabled or deleted person: an access token at the tenant’s own API, before its hour is over', async () => {
    for (const [name, method, body] of [
      ['ivo', 'PATCH', { accountEnabled: false }],
      ['ida', 'DELETE', undefined],
    ] as const) {
      const objectId = await addPerson(tenant, name);
      const { tokens } = await signedIn(name);
      expect((await graph('GET', '/me', tokens.access_token)).status).toBe(200);
      expect(await userinfo(tokens.access_token)).toBe(200);
      expect((await graph(method, `/users/${objectId}`, application, body)).status).toBe(204);
      const refused = await graph('GET', '/me', tokens.access_token);
      expect(refused).toMatchObject({ status: 401, json: { error: { code: 'InvalidAuthenticationToken' } } });
      expect(refused.json.error.message).toBe('The user account is disabled or does not exist.');
      expect(await userinfo(tokens.access_token)).toBe(401);
      if (method === 'DELETE') continue;
      // It was not revoked: with the account, it is back.
      await graph('PATCH', `/users/${objectId}`, application, { accountEnabled: true });
      expect((await graph('GET', '/me', tokens.access_token)).status).toBe(200);
    }
  });

  it('revokeSignInSessions: sessions, kept ones too, refresh tokens, codes and access tokens; of this person alone', async () => {
    const anna = await signedIn('anna');
    const bert = await signedIn('bert');
    const { id } = (await graph('GET', '/users/anna@phs.test')).json;
    const valid = async () =>
      Date.parse(
        (await graph('GET', `/users/${id}?$select=signInSessionsValidFromDateTime`)).json
          .signInSessionsValidFromDateTime,
      );
    const before = Date.now();
    expect(await valid()).toBeLessThanOrEqual(before);
    const waiting = await authorizationRequest(spa);
    const back = await anna.begin(waiting);
    expect(await silent(anna.browser)).toHaveProperty('code');

    const revoked = await graph('POST', `/users/${id}/revokeSignInSessions`);
    expect(revoked).toMatchObject({ status: 200, json: { value: true } });
    expect(revoked.json['@odata.context']).toBe(`${tenant.url}/v1.0/$metadata#Edm.Boolean`);

    const me = await graph('GET', '/me', anna.tokens.access_token);
    expect(me.status).toBe(401);
    expect(me.json.error.message).toContain('TokenIssuedBeforeRevocationTimestamp');
    expect(await userinfo(anna.tokens.access_token)).toBe(401);
    expect((await renew(anna.tokens.refresh_token)).json.error_codes).toEqual([50173]);
    expect(await silent(anna.browser)).toMatchObject({ error: 'login_required' });
    await expect(redeem(spa, back, waiting)).rejects.toThrow();
    expect(await valid()).toBeGreaterThanOrEqual(before - 1000);

    expect((await graph('GET', '/me', bert.tokens.access_token)).status).toBe(200);
    expect(await silent(bert.browser)).toHaveProperty('code');
    expect((await renew(bert.tokens.refresh_token)).status).toBe(200);

    // Tokens have whole seconds.
    await nextSecond();
    const again = await authorizationRequest(spa, { scope: 'openid User.Read' });
    const tokens = await redeem(spa, await anna.begin(again), again);
    expect((await graph('GET', '/me', tokens.access_token)).status).toBe(200);
    expect(await silent(anna.browser)).toHaveProperty('code');

    const filter = `targetResources/any(t:t/id eq '${id}') and activityDisplayName eq 'Update StsRefreshTokenValidFrom Timestamp'`;
    const { json } = await graph('GET', `/auditLogs/directoryAudits?$filter=${encodeURIComponent(filter)}`);
    expect(json.value).toHaveLength(1);
    expect(json.value[0]).toMatchObject({ result: 'success', initiatedBy: { app: { appId: 'web' } } });
    const unknown = await graph('POST', '/users/nobody@phs.test/revokeSignInSessions');
    expect(unknown.status).toBe(404);
  });

  it('also where a request that was under way writes a session or a grant anew', async () => {
    const { browser, tokens } = await signedIn('root');
    const { database } = tenant.store;
    const rows = () =>
      database.run((queries) =>
        queries.selectFrom('oidc_payloads').selectAll().where('model', 'in', ['Session', 'Grant']).execute(),
      );
    const before = await rows();
    expect((await graph('POST', '/users/root@phs.test/revokeSignInSessions')).status).toBe(200);
    const left = new Set((await rows()).map(({ id_digest }) => id_digest));
    const gone = before.filter(({ id_digest }) => !left.has(id_digest));
    expect(new Set(gone.map(({ model }) => model))).toEqual(new Set(['Session', 'Grant']));
    await database.run((queries) => queries.insertInto('oidc_payloads').values(gone).execute());
    expect((await renew(tokens.refresh_token)).json.error_codes).toEqual([50173]);
    expect(await silent(browser)).toMatchObject({ error: 'login_required' });
  });

  it('also where the password was given before, and the browser comes back from the sign-in pages after', async () => {
    await addPerson(tenant, 'otto');
    const browser = new Browser(tenant.dispatcher);
    const request = await authorizationRequest(spa);
    const { location } = await browser.get(request.url);
    const done = await signInAt(browser, tenant, location!, 'otto', {}, { stopAtPassword: true });
    expect(done.location).toMatch(/\/sign-in\//);
    // Tokens have whole seconds.
    await nextSecond();
    expect((await graph('POST', '/users/otto@phs.test/revokeSignInSessions')).status).toBe(200);
    await nextSecond();
    const last = await onward(browser, tenant, done);
    expect(last.location ?? '').not.toContain('code=');
    expect(await silent(browser)).toMatchObject({ error: 'login_required' });
    // Not for ever.
    await nextSecond();
    const again = await authorizationRequest(spa);
    const { location: page } = await browser.get(again.url);
    expect((await signInAt(browser, tenant, page!, 'otto')).location).toContain('code=');
  });

  it('a reset by an administrator unlocks who is locked out', async () => {
    await addPerson(tenant, 'lena');
    for (let i = 0; i < 10; i++) await tenant.signIn('lena@phs.test', `wrong ${i}`, { client_id: 'spa' });
    const codes = async (password: string) =>
      (await tenant.signIn('lena@phs.test', password, { client_id: 'spa' })).json.error_codes;
    expect(await codes(PASSWORD)).toEqual([50053]);
    const { objectId } = (await tenant.store.findSignInUser('lena@phs.test'))!;
    const newPassword = 'Winding-Stairs-77';
    const reset = { objectId, newPassword, forceChangeNextSignIn: false, actor: 'test' };
    expect(await tenant.passwords.reset(reset)).toEqual({ status: 'changed' });
    expect(await codes(newPassword)).toBeUndefined();
  });
});

/** A timer may be a millisecond early. */
async function nextSecond(): Promise<void> {
  const second = () => Math.floor(Date.now() / 1000);
  for (const now = second(); second() === now; ) await sleep(1000 - (Date.now() % 1000));
}

async function fetchGraph(tenant: TestTenant, method: string, path: string, token: string, body?: object) {
  const reply = await tenant.dispatcher.request({
    origin: tenant.url,
    path: `/v1.0${path.replaceAll(' ', '%20')}`,
    method: method as 'GET',
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: reply.statusCode, text: await reply.body.text() };
}
