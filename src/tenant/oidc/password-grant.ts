/** Resource owner password credentials (RFC 6749 4.3), the shortest way from a password to tokens. */

import type { Provider } from 'oidc-provider';
import type { SignIn } from '../sign-in/types.js';
import type { Accounts } from './accounts.js';
import type { Application } from './applications.js';
import { GRAPH_RESOURCE } from './caller.js';
import type { Form } from './client-authentication.js';
import type { Answer } from './grant-answer.js';
import { scopeOutside } from './provider-scopes.js';
import { issueRefreshToken } from './refresh-tokens.js';
import { parseScopes, permittedScopes } from './scopes.js';
import { clientInfo, personAccessClaims, personIdClaims, TOKEN_LIFETIME, type Tokens } from './tokens.js';

const DEFAULT_SCOPE = 'openid profile';
/** RFC 8176 */
const METHODS = ['pwd'] as const;

export interface PasswordGrantOptions {
  readonly accounts: Accounts;
  readonly tokens: Tokens;
  readonly signIn: SignIn;
  readonly provider: () => Provider;
}

export interface PasswordGrantRequest {
  readonly form: Form;
  readonly application: Application;
  /** The `{tenant}` of the URL, for texts. */
  readonly tenant: string;
  /** The person's, after trusted proxies. */
  readonly address: string;
  readonly correlationId: string;
}

export async function passwordGrant(
  { form, application, tenant, address, correlationId }: PasswordGrantRequest,
  { accounts, tokens, signIn, provider }: PasswordGrantOptions,
): Promise<Answer> {
  const { clientId } = application;
  const username = form.get('username');
  if (username === undefined) return { code: 900144, subject: 'username' };
  const password = form.get('password');
  if (password === undefined) return { code: 900144, subject: 'password' };
  const scope = form.get('scope') ?? DEFAULT_SCOPE;
  const { oidc, graph, other, refused, resource } = parseScopes(scope, application);
  if (refused.length > 0) return { code: 65001, subject: clientId };
  const outcome = await signIn.signIn({
    userPrincipalName: username,
    password,
    clientId,
    address,
    flow: 'password',
    correlationId,
  });
  // The password was not looked at, and this grant cannot send anyone elsewhere.
  if (outcome.status === 'federated') return { code: 50126, subject: tenant };
  if (outcome.status === 'refused') return { code: outcome.code, subject: tenant };
  const { user } = outcome;
  const isAdministrator = graph.length > 0 && accounts.isAdministrator(user);
  const ofPerson = oidc.filter((name) => name !== 'offline_access');
  const scopes = [
    ...ofPerson,
    ...permittedScopes(graph, isAdministrator),
    ...(resource === GRAPH_RESOURCE ? [] : other),
  ];
  const audience = resource ?? clientId;
  const { tenantId } = tokens;
  const claims = personAccessClaims(tenantId, user, application, scopes, METHODS);
  const [accessToken, idToken, refreshToken] = await Promise.all([
    tokens.accessToken(audience, user.objectId, claims),
    oidc.includes('openid')
      ? tokens.idToken(application, user.objectId, personIdClaims(tenantId, user, new Set(oidc)))
      : undefined,
    oidc.includes('offline_access')
      ? issueRefreshToken(provider(), { clientId, objectId: user.objectId, audience, scopes })
      : undefined,
  ]);
  const granted = refreshToken === undefined ? scopes : [...scopes, 'offline_access'];
  return {
    body: {
      token_type: 'Bearer',
      scope: scopeOutside(granted.join(' '), scope),
      expires_in: TOKEN_LIFETIME,
      ext_expires_in: TOKEN_LIFETIME,
      access_token: accessToken,
      // Undefined is what JSON leaves out.
      refresh_token: refreshToken,
      id_token: idToken,
      client_info: form.get('client_info') === '1' ? clientInfo(tenantId, user.objectId) : undefined,
    },
  };
}
