/** MSAL for Node, Microsoft's own client, against this tenant as a custom authority. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import {
  ConfidentialClientApplication,
  type INetworkModule,
  type NetworkRequestOptions,
  type NetworkResponse,
  PublicClientApplication,
} from '@azure/msal-node';
import { decodeJwt } from 'jose';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { type TestTenant, temporaryDirectory, testHasher } from '../harness.js';
import { addPerson, Browser, hiddenFields, PASSWORD, signInAt } from './people.js';
import { REDIRECT, SECRETS, startOidcTenant } from './site.js';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let hasher: Hasher;
let tenant: TestTenant;
let anna: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  hasher = testHasher();
  tenant = await startOidcTenant({ stateDir: directory.path, hasher });
  anna = await addPerson(tenant, 'anna');
});
afterAll(async () => {
  await tenant.close();
  await hasher.close();
  await directory.remove();
});

/** MSAL's requests, unchanged, with the tenant's CA. */
class Network implements INetworkModule {
  async #send<T>(
    url: string,
    method: 'GET' | 'POST',
    options: NetworkRequestOptions = {},
  ): Promise<NetworkResponse<T>> {
    expect(url.startsWith(`${tenant.url}/`), `a request to ${url}`).toBe(true);
    const { statusCode, headers, body } = await request(url, {
      method,
      headers: options.headers ?? {},
      ...(options.body === undefined ? {} : { body: options.body }),
      dispatcher: tenant.dispatcher,
    });
    const plain = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
    return { headers: plain, body: (await body.json()) as T, status: statusCode };
  }

  sendGetRequestAsync<T>(url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
    return this.#send(url, 'GET', options);
  }

  sendPostRequestAsync<T>(url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
    return this.#send(url, 'POST', options);
  }
}

function configuration(clientId: string, name = tenant.tenantId) {
  return {
    auth: { clientId, authority: `${tenant.url}/${name}`, knownAuthorities: [new URL(tenant.url).host] },
    system: { networkClient: new Network() },
  };
}

const GRAPH = ['https://graph.microsoft.com/User.Read'];

describe('msal-node', () => {
  it.each(['the tenant’s id', 'phs.test', 'organizations', 'common'])(
    'signs in by user name and password, then silently, under %s',
    async (name) => {
      const authority = name.includes('id') ? tenant.tenantId : name;
      const application = new PublicClientApplication(configuration('spa', authority));
      const result = await application.acquireTokenByUsernamePassword({
        username: 'anna@phs.test',
        password: PASSWORD,
        scopes: GRAPH,
      });
      expect(result).toMatchObject({
        uniqueId: anna,
        tenantId: tenant.tenantId,
        account: { username: 'anna@phs.test', homeAccountId: `${anna}.${tenant.tenantId}`, localAccountId: anna },
      });
      expect(decodeJwt(result!.accessToken)).toMatchObject({ aud: 'https://graph.microsoft.com', oid: anna });
      const cached = await application.acquireTokenSilent({ account: result!.account!, scopes: GRAPH });
      expect(cached.fromCache).toBe(true);
      // The refresh token came by our own short way, and oidc-provider redeems it.
      const renewed = await application.acquireTokenSilent({
        account: result!.account!,
        scopes: GRAPH,
        forceRefresh: true,
      });
      expect(renewed.fromCache).toBe(false);
      expect(renewed.accessToken).not.toBe(result!.accessToken);
      expect(decodeJwt(renewed.accessToken)).toMatchObject({ oid: anna, scp: 'openid profile User.Read' });
    },
  );

  it('reads the error’s number', async () => {
    const application = new PublicClientApplication(configuration('spa'));
    const tried = application.acquireTokenByUsernamePassword({
      username: 'anna@phs.test',
      password: 'wrong',
      scopes: GRAPH,
    });
    await expect(tried).rejects.toMatchObject({
      errorCode: 'invalid_grant',
      errorNo: 50126,
      correlationId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  it('gets a confidential application’s own token', async () => {
    const { auth, ...rest } = configuration('web');
    const application = new ConfidentialClientApplication({
      ...rest,
      auth: { ...auth, clientSecret: SECRETS.WEB_SECRET },
    });
    const result = await application.acquireTokenByClientCredential({
      scopes: ['https://graph.microsoft.com/.default'],
    });
    const users = await tenant.get('/v1.0/users?$top=1', {
      headers: { authorization: `Bearer ${result!.accessToken}` },
    });
    expect(users).toMatchObject({ status: 200, json: { value: [{ userPrincipalName: 'anna@phs.test' }] } });
  });

  it('signs in on a device that shows a code', { timeout: 240_000 }, async () => {
    const application = new PublicClientApplication(configuration('spa'));
    let shown: (code: { userCode: string; verificationUri: string; message: string }) => void = () => {};
    const code = new Promise<{ userCode: string; verificationUri: string; message: string }>((resolve) => {
      shown = resolve;
    });
    const waiting = application.acquireTokenByDeviceCode({ scopes: GRAPH, deviceCodeCallback: (told) => shown(told) });
    waiting.catch(() => undefined);
    const { userCode, verificationUri, message } = await code;
    expect(message).toContain(userCode);
    const browser = new Browser(tenant.dispatcher);
    const asked = await browser.get(verificationUri);
    const confirm = await browser.post(verificationUri, { ...hiddenFields(asked.text), user_code: userCode });
    const accepted = await browser.post(verificationUri, { ...hiddenFields(confirm.text), confirm: 'yes' });
    expect(accepted.location).toContain('/sign-in/');
    await signInAt(browser, tenant, accepted.location!, 'anna');
    const result = await waiting;
    expect(result).toMatchObject({ uniqueId: anna, account: { username: 'anna@phs.test' } });
  });

  it('signs in by code with PKCE', async () => {
    const application = new PublicClientApplication(configuration('spa'));
    const verifier = 'a-verifier-of-forty-three-characters-or-more';
    const url = await application.getAuthCodeUrl({
      scopes: GRAPH,
      redirectUri: REDIRECT,
      codeChallenge: createHash('sha256').update(verifier).digest('base64url'),
      codeChallengeMethod: 'S256',
    });
    const browser = new Browser(tenant.dispatcher);
    const back = await signInAt(browser, tenant, (await browser.get(url)).location!, 'anna');
    const result = await application.acquireTokenByCode({
      code: new URL(back.location!).searchParams.get('code')!,
      codeVerifier: verifier,
      scopes: GRAPH,
      redirectUri: REDIRECT,
    });
    expect(result).toMatchObject({ uniqueId: anna, tenantId: tenant.tenantId });
  });
});

describe('what MSAL and other clients read first', () => {
  it('names the same endpoints and issuer under every name of the tenant', async () => {
    const documents = await Promise.all(
      [tenant.tenantId, tenant.tenantId.toUpperCase(), 'phs.test', 'organizations', 'common'].map(
        async (name) => (await tenant.get(`/${name}/v2.0/.well-known/openid-configuration`)).json,
      ),
    );
    for (const document of documents) expect(document).toEqual(documents[0]);
    const base = `${tenant.url}/${tenant.tenantId}`;
    expect(documents[0]).toMatchObject({
      issuer: `${base}/v2.0`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      token_endpoint: `${base}/oauth2/v2.0/token`,
      device_authorization_endpoint: `${base}/oauth2/v2.0/devicecode`,
      end_session_endpoint: `${base}/oauth2/v2.0/logout`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
      userinfo_endpoint: `${tenant.url}/oidc/userinfo`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      id_token_signing_alg_values_supported: expect.arrayContaining(['RS256']),
    });
    expect(documents[0].grant_types_supported.sort()).toEqual([
      'authorization_code',
      'client_credentials',
      'password',
      'refresh_token',
      'urn:ietf:params:oauth:grant-type:device_code',
    ]);
  });

  it('does not take its addresses from the Host header, nor from a proxy nobody configured', async () => {
    const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' };
    // TLS knows the server by its own name, and only then the request says another.
    const options = { ca: readFileSync(tenant.caPath!, 'utf8'), servername: 'localhost', headers };
    const get = (path: string) =>
      new Promise<string>((resolve, reject) => {
        https
          .get(`${tenant.url}${path}`, options, async (reply) => {
            resolve(`${reply.headers.location} ${(await reply.toArray()).join('')}`);
          })
          .once('error', reject);
      });
    expect(await get('/common/v2.0/.well-known/openid-configuration')).not.toContain('evil');
    const query = new URLSearchParams({
      client_id: 'spa',
      response_type: 'code',
      redirect_uri: REDIRECT,
      scope: 'openid',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
    });
    const sent = await get(`/common/oauth2/v2.0/authorize?${query}`);
    expect(sent).toContain('/sign-in/');
    expect(sent).not.toContain('evil');
  });

  it('tells MSAL’s instance discovery that this authority is one', async () => {
    const { host } = new URL(tenant.url);
    expect((await tenant.get('/common/discovery/instance?api-version=1.1')).json).toMatchObject({
      tenant_discovery_endpoint: `${tenant.url}/${tenant.tenantId}/v2.0/.well-known/openid-configuration`,
      metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
    });
  });

  it('tells where a name signs in, known or not', async () => {
    for (const name of ['anna@phs.test', 'nobody@phs.test']) {
      expect((await tenant.get(`/common/userrealm/${name}?api-version=1.0`)).json).toMatchObject({
        account_type: 'Managed',
        domain_name: 'phs.test',
      });
    }
    expect((await tenant.get('/elsewhere.test/userrealm/anna@phs.test')).json).toMatchObject({ error_codes: [90002] });
  });
});
