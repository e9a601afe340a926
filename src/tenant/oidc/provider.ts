/** oidc-provider, made to be this tenant: Entra's addresses, scopes and claims, registered applications, the store's keys. */

import type { EventEmitter } from 'node:events';
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { PhsyncError } from '../../hasher/errors.js';
import { issuerOf, type TenantContext } from '../context.js';
import type { SignIn } from '../sign-in/types.js';
import type { Person } from '../store/store.js';
import { type Accounts, isPerson, isRevoked } from './accounts.js';
import type { Application, Applications } from './applications.js';
import { GRAPH_RESOURCE } from './caller.js';
import { ClientAdapter } from './client-adapter.js';
import { endpointPaths } from './endpoint-paths.js';
import { errors, interactionPolicy, libraryTime, Provider } from './library.js';
import { describeAadsts } from './oauth-error.js';
import { PayloadStore } from './payload-store.js';
import { aadstsOf, factsOf, rememberAccountState, shapeAnswers } from './provider-answers.js';
import type { ProviderEndpointsOptions } from './provider-endpoints.js';
import { OFFLINE, ownResource, resourceScopes } from './provider-scopes.js';
import { watchRenewals } from './renewals.js';
import { OIDC_SCOPES, parseScopes, permittedScopes } from './scopes.js';
import type { SigningKeys } from './signing-keys.js';
import {
  ACCESS_TOKEN_ALGORITHM,
  ACCESS_TOKEN_TYPE,
  CLOCK_DIFFERENCE,
  personAccessClaims,
  personIdClaims,
  TOKEN_LIFETIME,
} from './tokens.js';

const MINUTE = 60;
const DAY = 24 * 60 * MINUTE;
/** *Keep me signed in*. */
const KEPT_SESSION = 180 * DAY;
/** Of a browser that is not closed. */
const TRANSIENT_SESSION = DAY;
/** As Entra's: 90 days since it was last used. */
const REFRESH_TOKEN = 90 * DAY;
/** Renewed with a refresh token that would outlive it. */
const GRANT = 2 * REFRESH_TOKEN;
const AUTHORIZATION_CODE = 5 * MINUTE;
const DEVICE_CODE = 15 * MINUTE;
const INTERACTION = 60 * MINUTE;

export type ProviderPages = Pick<Configuration, 'renderError'> & {
  readonly unknownTenant?: ProviderEndpointsOptions['unknownTenant'];
  /** Sees what the provider answers. */
  readonly middleware?: Parameters<Provider['use']>[0];
  readonly deviceFlow?: Partial<NonNullable<NonNullable<Configuration['features']>['deviceFlow']>>;
  readonly rpInitiatedLogout?: Partial<NonNullable<NonNullable<Configuration['features']>['rpInitiatedLogout']>>;
};

export interface ProviderOptions {
  readonly context: TenantContext;
  readonly applications: Applications;
  readonly accounts: Accounts;
  readonly keys: SigningKeys;
  readonly signIn: Pick<SignIn, 'renewed'>;
  /** Signs cookies: the same in every process. */
  readonly cookieKey: string;
  /** Where a request that needs the person goes on. */
  readonly interactionPath: (uid: string) => string;
  readonly pages: ProviderPages;
}

class TenantProvider extends Provider {
  readonly #basePath: string;

  constructor(issuer: string, basePath: string, configuration: Configuration) {
    super(issuer, configuration);
    this.#basePath = basePath;
  }

  /** Routes are whole paths already, and none lies below the issuer's. */
  override pathFor(name: string, options?: Record<string, unknown>): string {
    return super.pathFor(name, { ...options, mountPath: this.#basePath });
  }
}

/** A new one is made when the keys change; all that it remembers lies in the store. */
export function createProvider(options: ProviderOptions): Provider {
  const { context, applications, signIn } = options;
  const provider = new TenantProvider(
    issuerOf(context),
    new URL(context.baseUrl()).pathname.replace(/\/+$/, ''),
    configurationOf(options),
  );
  // Secrets are known as digests only.
  Object.defineProperty(provider.Client.prototype, 'compareClientSecret', {
    value(this: { readonly clientId: string }, secret: string) {
      return applications.checkSecret(this.clientId, secret);
    },
  });
  shapeAnswers(provider, context);
  watchRenewals(
    provider,
    (renewal) => signIn.renewed(renewal),
    (err) => context.log.warn({ err }, 'renewal not in the sign-in log'),
  );
  if (options.pages.middleware !== undefined) provider.use(options.pages.middleware);
  // Koa's own event, which the types do not have.
  (provider as EventEmitter).on('error', (err) => context.log.error({ err }, 'request failed'));
  return provider;
}

/** What oidc-provider would find at an application's first request. @throws PhsyncError `config-application` */
export async function checkApplications(options: ProviderOptions): Promise<void> {
  const { context, applications } = options;
  // The addresses are not known yet, and not looked at.
  const provider = createProvider({ ...options, context: { ...context, baseUrl: () => 'https://localhost' } });
  for (const clientId of applications.listed()) {
    try {
      await provider.Client.find(clientId);
    } catch (cause) {
      if (!(cause instanceof errors.OIDCProviderError)) throw cause;
      throw new PhsyncError('config-application', `applications, ${clientId}: ${cause.error_description}`, {
        cause,
        facts: { clientId },
      });
    }
  }
}

function configurationOf(options: ProviderOptions): Configuration {
  const { context, applications, accounts, keys, cookieKey, interactionPath, pages } = options;
  const { tenantId, database } = context.store;
  const { renderError } = pages;
  const { discovery: _, ...routes } = endpointPaths(tenantId);
  const cookies = { httpOnly: true, sameSite: 'lax', secure: true, signed: true } as const;
  return {
    adapter: (model: string) =>
      model === 'Client'
        ? new ClientAdapter(applications)
        : new PayloadStore(model, {
            database,
            now: context.now,
            onReuse: (reused, objectId) => context.log.warn({ model: reused, objectId }, 'used twice: revoked'),
          }),
    jwks: { keys: keys.published().map(({ jwk }) => jwk) } as Configuration['jwks'] & object,
    routes,
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    claims: {
      openid: ['sub', 'oid', 'tid', 'ver', 'preferred_username', 'name'],
      profile: ['given_name', 'family_name'],
      email: ['email'],
    },
    // As Entra's id tokens have them; an access token is there for an API, not for claims.
    conformIdTokenClaims: false,
    responseTypes: ['code'],
    clientAuthMethods: ['client_secret_post', 'client_secret_basic', 'none'],
    extraParams: ['domain_hint'],
    pkce: { required: (_ctx, client) => client.tokenEndpointAuthMethod === 'none' },
    allowOmittingSingleRegisteredRedirectUri: false,
    cookies: {
      keys: [cookieKey],
      names: { session: '__Host-session', interaction: '__Secure-interaction', resume: '__Secure-resume' },
      long: cookies,
      short: cookies,
    },
    interactions: { policy: policyOf(), url: (_ctx, { uid }) => interactionPath(uid) },
    findAccount: (ctx, objectId, token) => findAccount(ctx, objectId, { token, accounts, tenantId }),
    loadExistingGrant: (ctx) => grantFor(ctx, applications, accounts),
    expiresWithSession: async () => false,
    issueRefreshToken: async (_ctx, client, { scopes }) =>
      client.grantTypeAllowed('refresh_token') && scopes.has(OFFLINE),
    rotateRefreshToken: async (ctx) => {
      const { Grant } = ctx.oidc.entities;
      if (Grant?.exp !== undefined && Grant.remainingTTL < REFRESH_TOKEN) {
        Grant.exp = libraryTime() + GRANT;
        await Grant.save();
      }
      return true;
    },
    ttl: {
      AccessToken: TOKEN_LIFETIME,
      IdToken: TOKEN_LIFETIME,
      AuthorizationCode: AUTHORIZATION_CODE,
      DeviceCode: DEVICE_CODE,
      RefreshToken: REFRESH_TOKEN,
      Grant: GRANT,
      Interaction: INTERACTION,
      Session: (_ctx, session) => (session.transient ? TRANSIENT_SESSION : KEPT_SESSION),
    },
    clientBasedCORS: (_ctx, origin, client) =>
      (client.redirectUris ?? []).some((uri) => /^https?:/.test(uri) && new URL(uri).origin === origin),
    features: {
      devInteractions: { enabled: false },
      // An access token is a JWT for an API; `/oidc/userinfo` takes those.
      userinfo: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      deviceFlow: {
        enabled: true,
        ...pages.deviceFlow,
        deviceInfo: (ctx) => ({ ip: factsOf(ctx).address, ua: ctx.get('user-agent').slice(0, 256) }),
      },
      rpInitiatedLogout: { enabled: true, ...pages.rpInitiatedLogout },
      resourceIndicators: {
        enabled: true,
        defaultResource: async (_ctx, client, oneOf) => (oneOf === undefined ? ownResource(client.clientId) : oneOf),
        useGrantedResource: async () => true,
        getResourceServerInfo: (ctx, resource, { clientId }) => resourceServer(ctx, resource, clientId, applications),
      },
    },
    formats: {
      customizers: {
        async jwt(ctx, token, jwt) {
          const account = ctx?.oidc.account;
          const clientId = token.clientId ?? '';

          const application = applications.find(clientId);
          if (account === undefined || application === undefined) throw new Error('an access token for nobody');
          const person = personOf(account);
          const granted = [...token.scopes].filter((scope) => scope !== OFFLINE);
          const scopes =
            jwt.payload.aud === GRAPH_RESOURCE
              ? stillPermitted(granted, application, accounts.isAdministrator(person))
              : granted;
          const now = Math.floor(context.now().getTime() / 1000);
          jwt.header = { typ: ACCESS_TOKEN_TYPE };
          jwt.payload = {
            aud: jwt.payload.aud,
            iss: issuerOf(context),
            iat: now,
            nbf: now - CLOCK_DIFFERENCE,
            exp: now + TOKEN_LIFETIME,
            sub: person.objectId,
            jti: jwt.payload.jti,
            ...personAccessClaims(tenantId, person, application, scopes),
          };
        },
      },
    },
    ...(renderError === undefined
      ? {}
      : {
          renderError: (ctx, out, error) => {
            const { code, subject, address } = aadstsOf(out, ctx);
            const described =
              out.error === 'server_error'
                ? out
                : { ...out, error_description: describeAadsts(code, subject, address) };
            return renderError(ctx, described, error);
          },
        }),
  };
}

/** Who is an administrator, and what the application may ask for, may have changed since the grant. */
function stillPermitted(scopes: readonly string[], { delegated }: Application, isAdministrator: boolean): string[] {
  const isOidc = (scope: string) => (OIDC_SCOPES as readonly string[]).includes(scope);
  const graph = scopes.filter((scope) => !isOidc(scope) && delegated.has(scope));
  return [...scopes.filter(isOidc), ...permittedScopes(graph, isAdministrator)];
}

function policyOf() {
  const { Check, Prompt, base } = interactionPolicy;
  const policy = base();
  policy
    .get('login')
    ?.checks.add(
      new Check(
        'account_unavailable',
        'the account is disabled or deleted',
        'login_required',
        ({ oidc }) => oidc.session?.accountId !== undefined && oidc.account === undefined,
      ),
    );
  policy.add(new Prompt({ name: 'select_account', requestable: true }), 0);
  // An administrator registered the application: nobody is asked, and `prompt=consent` changes nothing.
  const consent = new Prompt({ name: 'consent', requestable: true });
  consent.checks.clear();
  policy.remove('consent');
  policy.add(consent);
  return policy;
}

const people = new WeakMap<object, Person>();

function personOf(account: object): Person {
  const person = people.get(account);
  if (person === undefined) throw new Error('an account that is not of this directory');
  return person;
}

interface FindAccountOptions {
  /** Whose account it is: a code's or a refresh token's; the session's, where there is none. */
  readonly token: unknown;
  readonly accounts: Accounts;
  readonly tenantId: string;
}

async function findAccount(
  ctx: KoaContextWithOIDC,
  objectId: string,
  { token, accounts, tenantId }: FindAccountOptions,
) {
  const state = await accounts.find(objectId);
  if (!isPerson(state)) {
    rememberAccountState(ctx, state);
    return undefined;
  }
  // Rows are deleted when sessions are revoked; a request that was under way then may have written one anew.
  const { authTime = ctx.oidc.session?.loginTs } = (token ?? {}) as { readonly authTime?: number };
  if (authTime !== undefined && isRevoked(state, authTime)) {
    rememberAccountState(ctx, 'revoked');
    return undefined;
  }
  const account = {
    accountId: objectId,
    claims: async (_use: string, scope: string) => ({
      sub: objectId,
      ...personIdClaims(tenantId, state, new Set(scope.split(' '))),
    }),
  };
  people.set(account, state);
  return account;
}

/** What the person grants to an application by using it: what the administrator registered, within the person's own rights. */
async function grantFor(ctx: KoaContextWithOIDC, applications: Applications, accounts: Accounts) {
  const { session, client, account, provider, params, resourceServers } = ctx.oidc;
  if (session === undefined || client === undefined || account === undefined) return undefined;
  const application = applications.find(client.clientId);
  if (application === undefined) return undefined;
  const asked = parseScopes(typeof params?.scope === 'string' ? params.scope : undefined, application);
  const scopes = [
    ...asked.oidc,
    ...asked.other,
    ...permittedScopes(asked.graph, accounts.isAdministrator(personOf(account))),
  ];
  const known = session.grantIdFor(client.clientId);
  const found = known === undefined ? undefined : await provider.Grant.find(known);
  const grant =
    found?.accountId === account.accountId
      ? found
      : new provider.Grant({ accountId: account.accountId, clientId: client.clientId });
  const before = JSON.stringify([grant.openid, grant.resources]);
  grant.addOIDCScope(asked.oidc.join(' '));
  for (const resource of Object.keys(resourceServers ?? {})) grant.addResourceScope(resource, scopes.join(' '));
  if (grant !== found || JSON.stringify([grant.openid, grant.resources]) !== before) await grant.save();
  return grant;
}

/** @throws InvalidScope where the request asks for what the application may not have. */
function resourceServer(ctx: KoaContextWithOIDC, resource: string, clientId: string, applications: Applications) {
  const application = applications.find(clientId);
  if (application === undefined || ![GRAPH_RESOURCE, ownResource(clientId)].includes(resource)) {
    throw new errors.InvalidTarget();
  }
  const { params, route, entities } = ctx.oidc;
  const requested = typeof params?.scope === 'string' ? params.scope : '';
  const { refused } = parseScopes(requested, application);
  if (refused.length > 0 && route !== 'token') {
    throw new errors.InvalidScope('requested scope is not allowed', refused.join(' '));
  }
  const granted = entities.AuthorizationCode ?? entities.DeviceCode ?? entities.RefreshToken;
  return {
    scope: resourceScopes(resource, application, `${requested} ${granted?.scope ?? ''}`).join(' '),
    audience: resource === GRAPH_RESOURCE ? GRAPH_RESOURCE : clientId,
    accessTokenTTL: TOKEN_LIFETIME,
    accessTokenFormat: 'jwt' as const,
    jwt: { sign: { alg: ACCESS_TOKEN_ALGORITHM } },
  };
}
