/** The token endpoint (RFC 6749 3.2): client credentials (4.4) for agents, resource owner password (4.3) for people. */

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isThisTenant, type TenantContext } from '../context.js';
import type { SignIn } from '../sign-in/types.js';
import type { Clients } from './clients.js';
import { type AadstsCode, correlationIdOf, oauthError } from './oauth-error.js';
import { PROVISIONING_RESOURCE, TOKEN_LIFETIME, type Tokens } from './tokens.js';

const DEFAULT_SCOPES = ['openid', 'profile'];
const MAX_SCOPES = 32;

export interface TokenEndpointOptions {
  readonly context: TenantContext;
  readonly clients: Clients;
  readonly tokens: Tokens;
  readonly signIn: SignIn;
}

/** What the grant came to: a reply's body, or an AADSTS code with what it is about. */
type Answer = { readonly body: object } | { readonly code: AadstsCode; readonly subject?: string };

interface Form {
  /** The parameter, where it came once and is not empty (RFC 6749 3.2: repeated ones are not valid). */
  get(name: string): string | undefined;
}

export function registerTokenEndpoint(server: FastifyInstance, options: TokenEndpointOptions): void {
  const { context } = options;
  server.post<{ Params: { tenant: string } }>(
    '/:tenant/oauth2/v2.0/token',
    {
      // Bodies that never become a form.
      errorHandler(error: FastifyError, request, reply) {
        const { statusCode = 500 } = error;
        if (statusCode >= 500) throw error;
        if (statusCode === 429) return reply.code(statusCode).send(error);
        const answer =
          statusCode === 415 ? ({ code: 900144, subject: 'grant_type' } as const) : { code: 90013 as const };
        reply.send(refuse(reply, answer, context, startReply(request, reply)));
      },
    },
    async (request, reply) => {
      const correlationId = startReply(request, reply);
      const { tenant } = request.params;
      const answer: Answer = isThisTenant(context, tenant)
        ? await grant(formOf(request), tenant, { ...options, address: request.ip, correlationId })
        : { code: 90002, subject: tenant };
      if ('body' in answer) return answer.body;
      return refuse(reply, answer, context, correlationId);
    },
  );
}

/** The headers of every reply. Returns the correlation id. */
function startReply(request: FastifyRequest, reply: FastifyReply): string {
  const correlationId = correlationIdOf(request.headers);
  reply.headers({ 'cache-control': 'no-store', pragma: 'no-cache', 'client-request-id': correlationId });
  return correlationId;
}

function refuse(
  reply: FastifyReply,
  { code, subject }: { readonly code: AadstsCode; readonly subject?: string },
  context: TenantContext,
  correlationId: string,
): object {
  const { status, body } = oauthError(code, {
    baseUrl: context.baseUrl(),
    now: context.now(),
    correlationId,
    ...(subject === undefined ? {} : { subject }),
  });
  context.log.info({ code, correlationId, traceId: body.trace_id }, 'token refused');
  reply.code(status);
  if (status === 401) reply.header('www-authenticate', 'Basic realm="token"');
  return body;
}

interface GrantOptions extends TokenEndpointOptions {
  /** The person's. */
  readonly address: string;
  readonly correlationId: string;
}

function grant(form: Form, tenant: string, options: GrantOptions): Promise<Answer> | Answer {
  const type = form.get('grant_type');
  if (type === undefined) return { code: 900144, subject: 'grant_type' };
  const clientId = form.get('client_id');
  if (clientId === undefined) return { code: 900144, subject: 'client_id' };
  if (type === 'client_credentials') return clientCredentials(form, clientId, options);
  if (type === 'password') return password(form, clientId, tenant, options);
  return { code: 70003, subject: type };
}

/** Undefined when the secret is right, else the code. */
function checkSecret(form: Form, clientId: string, { clients }: TokenEndpointOptions): AadstsCode | undefined {
  const secret = form.get('client_secret');
  if (secret === undefined) return clients.isAgent(clientId) ? 7000218 : 700016;
  return ({ ok: undefined, unknown: 700016, wrongSecret: 7000215 } as const)[clients.checkAgent(clientId, secret)];
}

async function clientCredentials(form: Form, clientId: string, options: TokenEndpointOptions): Promise<Answer> {
  const { context, tokens } = options;
  const code = checkSecret(form, clientId, options);
  if (code !== undefined) return { code, subject: clientId };
  // Entra's form for an application: the resource with `/.default`. It insists on the parameter; RFC 6749 3.3 does not,
  // and there is one resource here.
  const resource = (form.get('scope') ?? PROVISIONING_RESOURCE).replace(/\/?\/\.default$/, '');
  if (resource !== PROVISIONING_RESOURCE && resource !== context.baseUrl()) return { code: 500011, subject: resource };
  const accessToken = await tokens.issueAgentToken(clientId);
  context.log.info({ clientId }, 'token issued to an agent');
  return { body: { token_type: 'Bearer', expires_in: TOKEN_LIFETIME, access_token: accessToken } };
}

async function password(form: Form, clientId: string, tenant: string, options: GrantOptions): Promise<Answer> {
  const { clients, tokens, signIn, context } = options;
  if (!clients.maySignIn(clientId)) return { code: 700016, subject: clientId };
  // An agent is a confidential client: it must show its secret whatever the grant.
  const code = clients.isAgent(clientId) ? checkSecret(form, clientId, options) : undefined;
  if (code !== undefined) return { code, subject: clientId };
  const username = form.get('username');
  if (username === undefined) return { code: 900144, subject: 'username' };
  const secret = form.get('password');
  if (secret === undefined) return { code: 900144, subject: 'password' };
  const { address, correlationId } = options;
  const outcome = await signIn.signIn({
    userPrincipalName: username,
    password: secret,
    clientId,
    address,
    flow: 'password',
    correlationId,
  });
  // The object id, never what was typed: people type passwords into the name's field.
  const objectId = 'user' in outcome ? outcome.user?.objectId : undefined;
  const refusal = outcome.status === 'refused' ? outcome.code : undefined;
  context.log.info({ status: outcome.status, code: refusal, objectId, clientId }, 'sign-in');
  if (outcome.status === 'federated') return { code: 50126, subject: tenant };
  if (outcome.status === 'refused') return { code: outcome.code, subject: tenant };
  const scopes = scopesOf(form.get('scope'));
  const { accessToken, idToken } = await tokens.issueUserTokens(outcome.user, clientId, scopes);
  return {
    body: {
      token_type: 'Bearer',
      scope: scopes.join(' '),
      expires_in: TOKEN_LIFETIME,
      access_token: accessToken,
      ...(idToken === undefined ? {} : { id_token: idToken }),
    },
  };
}

function scopesOf(scope: string | undefined): string[] {
  const scopes = [...new Set(scope?.split(' ').filter((word) => word !== '') ?? DEFAULT_SCOPES)];
  return scopes.slice(0, MAX_SCOPES);
}

/** The form, with client_id and client_secret from HTTP Basic (RFC 6749 2.3.1) where they came that way. */
function formOf(request: FastifyRequest): Form {
  const body = (request.body ?? {}) as Readonly<Record<string, unknown>>;
  const basic = basicCredentials(request.headers.authorization);
  return {
    get(name) {
      const value = basic?.[name] ?? (Object.hasOwn(body, name) ? body[name] : undefined);
      return typeof value === 'string' && value !== '' ? value : undefined;
    },
  };
}

function basicCredentials(header: string | undefined): Readonly<Record<string, string>> | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const [id, ...secret] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  try {
    return { client_id: decodeFormText(id ?? ''), client_secret: decodeFormText(secret.join(':')) };
  } catch {
    // Not form-encoded: no credentials came.
    return undefined;
  }
}

const decodeFormText = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));
