/** A tenant with registered applications, and openid-client as one of them. */

import * as client from 'openid-client';
import { fetch } from 'undici';
import type { Hasher } from '#src/hasher/types.js';
import { startTestTenant, type TestTenant, type TestTenantOptions } from '../harness.js';

export const REDIRECT = 'https://app.example/callback';
export const LOGGED_OUT = 'https://app.example/bye';
export const SECRETS = { WEB_SECRET: 'a web application’s own secret' } as const;

export const applications = [
  {
    clientId: 'spa',
    displayName: 'Single page',
    redirectUris: [REDIRECT],
    postLogoutRedirectUris: [LOGGED_OUT],
    delegated: ['User.Read', 'User.Read.All'],
  },
  {
    clientId: 'desktop',
    redirectUris: ['http://127.0.0.1/back', 'com.example.desktop:/back'],
    delegated: ['User.Read'],
  },
  {
    clientId: 'web',
    clientSecret: { env: 'WEB_SECRET' },
    redirectUris: [REDIRECT],
    delegated: ['User.Read'],
    permissions: ['User.Read.All'],
  },
  { clientId: 'quick', redirectUris: [REDIRECT], postLogoutRedirectUris: [LOGGED_OUT], idTokenAlgorithm: 'ES256' },
] as const;

export function startOidcTenant(options: TestTenantOptions & { readonly hasher: Hasher }): Promise<TestTenant> {
  return startTestTenant({
    ...options,
    env: SECRETS,
    config: { applications, administrators: ['Root@phs.test'], ...options.config },
  });
}

/** openid-client as this application; `secret` where it has one. */
export function relyingParty(
  tenant: TestTenant,
  clientId: string,
  secret?: string,
  metadata?: Partial<client.ClientMetadata>,
): Promise<client.Configuration> {
  const { dispatcher } = tenant;
  return client.discovery(
    new URL(`${tenant.url}/${tenant.tenantId}/v2.0`),
    clientId,
    metadata,
    secret === undefined ? client.None() : client.ClientSecretPost(secret),
    { [client.customFetch]: ((url: string, init: object) => fetch(url, { ...init, dispatcher })) as never },
  );
}

export interface AuthorizationRequest {
  readonly url: string;
  readonly verifier: string;
  readonly state: string;
  readonly nonce: string;
}

/** With PKCE, state and nonce; `undefined` in `more` takes a parameter away. */
export async function authorizationRequest(
  config: client.Configuration,
  more: Readonly<Record<string, string | undefined>> = {},
): Promise<AuthorizationRequest> {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT,
    scope: 'openid profile offline_access',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  });
  for (const [name, value] of Object.entries(more)) {
    if (value === undefined) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return { url: url.href, verifier, state, nonce };
}

export function redeem(
  config: client.Configuration,
  back: string,
  { verifier, state, nonce }: AuthorizationRequest,
): ReturnType<typeof client.authorizationCodeGrant> {
  return client.authorizationCodeGrant(config, new URL(back), {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
  });
}
