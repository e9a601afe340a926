/** oidc-provider's answers in Entra's shape: tokens, device codes, metadata, and errors with AADSTS numbers. */

import type { IncomingMessage } from 'node:http';
import type { Context, Next } from 'koa';
import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import { BUSY_ANSWER, BUSY_RETRY_AFTER, isBusy } from '../busy.js';
import type { TenantContext } from '../context.js';
import { SAFETY_HEADERS } from '../safety-headers.js';
import { type AadstsCode, describeAadsts, oauthError } from './oauth-error.js';
import { scopeOutside } from './provider-scopes.js';
import { clientInfo, TOKEN_LIFETIME } from './tokens.js';

/** What is known of a request that was handed to the provider, and is not in it. */
export interface RequestFacts {
  readonly correlationId: string;
  /** The person's address, after trusted proxies. */
  readonly address: string;
  /** `scope` as the client wrote it. */
  readonly scope: string | undefined;
  /** `client_info=1`: MSAL wants the account's key. */
  readonly wantsClientInfo: boolean;
  /** Why the account of a token was not found. */
  accountState?: WhyNoAccount;
}

const facts = new WeakMap<IncomingMessage, RequestFacts>();
export const rememberFacts = (request: IncomingMessage, known: RequestFacts) => facts.set(request, known);

export function factsOf(ctx: { readonly req: IncomingMessage }): RequestFacts {
  const known = facts.get(ctx.req);
  if (known === undefined) throw new Error('a request that was not handed over');
  return known;
}

/** Why a token's account was not found; the answer's number says it. */
export function rememberAccountState(ctx: { readonly req: IncomingMessage }, state: WhyNoAccount): void {
  factsOf(ctx).accountState = state;
}

export interface Failure {
  readonly error: string;
  readonly error_description?: string | undefined;
  readonly error_detail?: string | undefined;
  readonly scope?: string | undefined;
}

const MAX_LOGGED_ADDRESS = 256;
const FAULT_ANSWER = { error: 'server_error', error_description: 'The service failed on this request.' } as const;

interface Told {
  readonly code: AadstsCode;
  readonly subject?: string;
  /** The redirect URI that came. */
  readonly address?: string;
}

/** For what oidc-provider tells by its own names only, in `error_detail` and `error_description`. */
const byDetail: readonly (readonly [RegExp, AadstsCode])[] = [
  [/already consumed$/, 54005],
  [/^refresh token already used$/, 50173],
  [/^authorization code is expired$/, 70008],
  [/^refresh token is expired$/, 700082],
  [/^grant (is expired|not found)$/, 50173],
  [/code_verifier|code_challenge/, 501481],
  [/redirect_uri mismatch$/, 500112],
  [/requires PKCE/, 9002325],
  [/^requested grant type is not allowed/, 70001],
];

const byAccount = { disabled: 50057, unknown: 50034, revoked: 50173 } as const;
type WhyNoAccount = keyof typeof byAccount;

const byError: Readonly<Record<string, AadstsCode>> = {
  access_denied: 65004,
  authorization_pending: 70016,
  expired_token: 70020,
  invalid_grant: 70000,
  invalid_redirect_uri: 50011,
  invalid_target: 500011,
  login_required: 50058,
  interaction_required: 50058,
  account_selection_required: 50058,
  unsupported_grant_type: 70003,
  unsupported_response_type: 700054,
};

/** The AADSTS number for an error of oidc-provider's; 90013 where Entra has none for it. */
export function aadstsOf(failure: Failure, ctx: KoaContextWithOIDC): Told {
  const { error, error_description: description = '', error_detail: detail = '', scope } = failure;
  const clientId = String(ctx.oidc?.params?.client_id ?? ctx.query.client_id ?? '');
  if (error === 'invalid_scope') return { code: scope === undefined ? 70011 : 65001, subject: clientId };
  // Entra's name for what is access_denied in RFC 8628 (3.5): whoever polls with a device code.
  if (error === 'access_denied' && ctx.oidc?.route === 'token') return { code: 70017, subject: clientId };
  if (error === 'invalid_client') return { code: 700016, subject: clientId };
  const { accountState } = factsOf(ctx);
  if (accountState !== undefined) return { code: byAccount[accountState], subject: ctx.oidc.issuer };
  // A device code is redeemed like an authorization code; that it was is no secret to who holds it.
  const code = byDetail.find(([text]) => text.test(detail) || text.test(description))?.[1] ?? byError[error];
  const name = /^missing required parameters? '?([a-z_]+)/.exec(description)?.[1];
  if (code === undefined && name !== undefined) return { code: 900144, subject: name };
  if (code === 50011) return { code, subject: clientId, address: String(ctx.oidc?.params?.redirect_uri ?? '') };
  return { code: code ?? 90013, subject: clientId };
}

/** What whoever registers applications compares, to the letter; of queries and passwords only that there are some. */
function redirectUris({ code, address = '' }: Told, { client }: KoaContextWithOIDC['oidc']): object {
  if (code !== 50011) return {};
  const shown = (uri: string) =>
    uri
      .slice(0, MAX_LOGGED_ADDRESS)
      .replace(/([?#]).*$/s, '$1…')
      .replace(/\/\/[^/]*@/, '//…@');
  return { redirectUri: shown(address), registered: (client?.redirectUris ?? []).map(shown) };
}

/** Listens for the provider's errors, and writes its answers anew. */
export function shapeAnswers(provider: Provider, context: TenantContext): void {
  const failures = new WeakMap<object, Failure>();
  const faults = new WeakMap<object, Error>();
  const remember = (ctx: KoaContextWithOIDC, failure: Failure) => {
    failures.set(ctx, failure);
    const { correlationId } = factsOf(ctx);
    const told = aadstsOf(failure, ctx);
    const { route, client } = ctx.oidc;
    const { error, error_detail: detail } = failure;
    const uris = redirectUris(told, ctx.oidc);
    context.log.info(
      { route, code: told.code, error, detail, clientId: client?.clientId, ...uris, correlationId },
      'request refused',
    );
  };
  provider.on('grant.error', remember);
  provider.on('authorization.error', remember);
  provider.on('device_authorization.error', remember);
  provider.on('end_session.error', remember);

  provider.on('server_error', (ctx, error) => {
    faults.set(ctx, error);
    context.log.error({ err: error }, 'request failed');
  });

  provider.use(async (plain: Context, next: Next) => {
    const ctx = plain as unknown as KoaContextWithOIDC;
    const { correlationId, scope, wantsClientInfo } = factsOf(ctx);
    ctx.set('client-request-id', correlationId);
    try {
      await next();
    } catch (error) {
      context.log.error({ err: error }, 'request failed');
      replaceAnswer(ctx, error);
      return;
    }
    const failure = failures.get(ctx);
    const fault = faults.get(ctx);
    if (fault !== undefined) shapeFault(ctx, fault);
    else if (failure !== undefined) shapeFailure(ctx, failure, context);
    else if (isObject(ctx.body)) {
      const route: string | undefined = ctx.oidc?.route;
      if (route === 'token') ctx.body = tokenAnswer(ctx, ctx.body, context, scope, wantsClientInfo);
      else if (route === 'device_authorization') ctx.body = deviceAnswer(ctx.body);
      else if (route === 'discovery') ctx.body = metadata(ctx.body, context);
      // Some clients take no other type than Entra's; oidc-provider says application/jwk-set+json.
      else if (route === 'jwks') ctx.type = 'application/json';
    }
  });
}

/** Of what fails behind oidc-provider's own answers, as storing a session does: Koa would leave no header and no word of ours. */
function replaceAnswer(ctx: KoaContextWithOIDC, error: unknown): void {
  for (const name of ctx.res.getHeaderNames()) ctx.remove(name);
  ctx.set({ ...SAFETY_HEADERS, 'client-request-id': factsOf(ctx).correlationId });
  const isOver = isBusy(error);
  ctx.status = isOver ? 503 : 500;
  if (isOver) ctx.set('retry-after', BUSY_RETRY_AFTER);
  ctx.body = isOver ? BUSY_ANSWER : FAULT_ANSWER;
}

const isObject = (body: unknown): body is Record<string, unknown> =>
  typeof body === 'object' && body !== null && Object.getPrototypeOf(body) === Object.prototype;

/** A fault of ours. Where the person is sent back to the application, that is told. */
function shapeFault(ctx: KoaContextWithOIDC, fault: Error): void {
  if (ctx.status < 500 || !isBusy(fault)) return;
  ctx.status = 503;
  ctx.set('retry-after', BUSY_RETRY_AFTER);
  if (isObject(ctx.body)) ctx.body = BUSY_ANSWER;
}

function shapeFailure(ctx: KoaContextWithOIDC, failure: Failure, context: TenantContext): void {
  const { code, subject = '', address } = aadstsOf(failure, ctx);
  const { correlationId } = factsOf(ctx);
  if (isObject(ctx.body)) {
    const { status, body } = oauthError(code, {
      baseUrl: context.baseUrl(),
      now: context.now(),
      correlationId,
      subject,
    });
    ctx.status = status;
    ctx.body = body;
    return;
  }
  const location = ctx.response.get('location');
  if (location === '' || !URL.canParse(location)) return;
  // The names of the standard stay; the words are Entra's.
  const target = new URL(location);
  const inFragment = target.hash.includes('error=');
  const params = inFragment ? new URLSearchParams(target.hash.slice(1)) : target.searchParams;
  if (!params.has('error')) return;
  params.set('error_description', describeAadsts(code, subject, address));
  params.set('error_uri', `${context.baseUrl()}/error?code=${code}`);
  if (inFragment) target.hash = params.toString();
  ctx.set('location', target.href);
}

function tokenAnswer(
  ctx: KoaContextWithOIDC,
  body: Record<string, unknown>,
  { store, log }: TenantContext,
  scope: string | undefined,
  wantsClientInfo: boolean,
): object {
  const { account, client, params } = ctx.oidc;
  log.info({ grant: params?.grant_type, clientId: client?.clientId, objectId: account?.accountId }, 'token issued');
  return {
    token_type: body.token_type,
    scope: scopeOutside(String(body.scope ?? ''), scope),
    expires_in: body.expires_in,
    ext_expires_in: TOKEN_LIFETIME,
    access_token: body.access_token,
    ...(body.refresh_token === undefined ? {} : { refresh_token: body.refresh_token }),
    ...(body.id_token === undefined ? {} : { id_token: body.id_token }),
    ...(wantsClientInfo && account !== undefined ? { client_info: clientInfo(store.tenantId, account.accountId) } : {}),
  };
}

/** Seconds between two polls. */
const POLL_INTERVAL = 5;

function deviceAnswer(body: Record<string, unknown>): object {
  const { user_code: code, verification_uri: address } = body;
  return {
    ...body,
    interval: POLL_INTERVAL,
    message: `To sign in, use a web browser to open the page ${address} and enter the code ${code} to authenticate.`,
  };
}

/** Members that Entra's metadata has and oidc-provider's has not, and the grants that are answered before it. */
function metadata(body: Record<string, unknown>, context: TenantContext): object {
  const grants = Array.isArray(body.grant_types_supported) ? body.grant_types_supported : [];
  return {
    ...body,
    grant_types_supported: [...new Set([...grants, 'client_credentials', 'password'])],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic', 'none'],
    userinfo_endpoint: `${context.baseUrl()}/oidc/userinfo`,
    http_logout_supported: false,
    tenant_region_scope: null,
    cloud_instance_name: new URL(context.baseUrl()).host,
    msgraph_host: new URL(context.baseUrl()).host,
  };
}
