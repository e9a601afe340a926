/** Authorization code with PKCE through openid-client, refresh, sign-out, and what must not be possible on the way. */

import * as client from 'openid-client';
import { fetch } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { PayloadStore } from '#src/tenant/oidc/payload-store.js';
import { startTestTenant, type TestTenant, temporaryDirectory, testHasher } from '../harness.js';
import { addPerson, Browser } from './people.js';

const REDIRECT = 'https://app.example/callback';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let hasher: Hasher;
let tenant: TestTenant;
let anna: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  hasher = testHasher();
  tenant = await startTestTenant({
    stateDir: directory.path,
    hasher,
    config: {
      applications: [{ clientId: 'spa', redirectUris: [REDIRECT], delegated: ['User.Read', 'User.Read.All'] }],
      administrators: ['root@phs.test'],
    },
  });
  anna = await addPerson(tenant, 'anna');
});
afterAll(async () => {
  await tenant.close();
  await hasher.close();
  await directory.remove();
});

async function configuration(clientId: string, secret?: string) {
  const { dispatcher } = tenant;
  return client.discovery(
    new URL(`${tenant.url}/${tenant.tenantId}/v2.0`),
    clientId,
    undefined,
    secret === undefined ? client.None() : client.ClientSecretPost(secret),
    { [client.customFetch]: ((url: string, init: object) => fetch(url, { ...init, dispatcher })) as never },
  );
}

async function signInAt(browser: Browser, location: string): Promise<string> {
  const uid = location.split('/').at(-1)!;
  const store = new PayloadStore('Interaction', {
    database: tenant.store.database,
    now: () => new Date(),
    onReuse: () => {},
  });
  const found = (await store.find(uid))!;
  await store.upsert(
    uid,
    { ...found, result: { login: { accountId: anna, remember: false }, select_account: {} } },
    600,
  );
  const resumed = await browser.get(found.returnTo!);
  return resumed.location!;
}

describe('openid-client', () => {
  it('signs in by code with PKCE, refreshes', async () => {
    const config = await configuration('spa');
    const verifier = client.randomPKCECodeVerifier();
    const state = client.randomState();
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT,
      scope: 'openid profile offline_access https://graph.microsoft.com/User.Read User.Read.All',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
    });
    const browser = new Browser(tenant.dispatcher);
    const first = await browser.get(url.href);
    expect(first.status).toBe(303);
    const back = await signInAt(browser, first.location!);
    const tokens = await client.authorizationCodeGrant(config, new URL(back), {
      pkceCodeVerifier: verifier,
      expectedState: state,
    });
    expect(tokens).toMatchObject({ token_type: 'bearer', scope: 'openid profile offline_access User.Read' });
    expect(tokens.claims()).toMatchObject({ oid: anna, tid: tenant.tenantId, preferred_username: 'anna@phs.test' });
    const again = await client.refreshTokenGrant(config, tokens.refresh_token!);
    expect(again.refresh_token).not.toBe(tokens.refresh_token);
  });
});
