/** The token endpoint (RFC 6749 3.2): password and client credentials are answered here, the rest by oidc-provider. */

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isThisTenant, type TenantContext } from '../context.js';
import { applicationGrant } from './application-grant.js';
import type { Applications } from './applications.js';
import { authenticateClient, formOf, rawForm } from './client-authentication.js';
import { endpointPaths } from './endpoint-paths.js';
import type { Answer } from './grant-answer.js';
import type { HandOver } from './hand-over.js';
import { type AadstsCode, correlationIdOf, oauthError } from './oauth-error.js';
import { type PasswordGrantOptions, passwordGrant } from './password-grant.js';

export interface TokenEndpointOptions extends PasswordGrantOptions {
  readonly context: TenantContext;
  readonly applications: Applications;
  readonly handOver: HandOver;
}

const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';
/** The provider's, by its name of them. `device_code` alone is what MSAL sends and Entra takes. */
const HANDED_OVER: ReadonlyMap<string, string> = new Map([
  ['authorization_code', 'authorization_code'],
  ['refresh_token', 'refresh_token'],
  [DEVICE_CODE, DEVICE_CODE],
  ['device_code', DEVICE_CODE],
]);

type TenantRoute = { Params: { tenant: string } };

export function registerTokenEndpoint(server: FastifyInstance, options: TokenEndpointOptions): void {
  const { context } = options;
  server.post<TenantRoute>(
    endpointPaths(':tenant').token,
    { errorHandler: noForm(context, 'grant_type') },
    async (request, reply) => {
      const correlationId = startReply(request, reply);
      const answer = await grant(request, reply, correlationId, options);
      if (answer === undefined) return reply;
      return 'body' in answer ? answer.body : refuse(reply, answer, context, correlationId);
    },
  );
  server.post<TenantRoute>(
    endpointPaths(':tenant').device_authorization,
    { errorHandler: noForm(context, 'client_id') },
    async (request, reply) => {
      const correlationId = startReply(request, reply);
      const client = clientOf(request, options);
      if ('code' in client) return refuse(reply, client, context, correlationId);
      const { tenantId } = context.store;
      await options.handOver(request, reply, endpointPaths(tenantId).device_authorization, rawForm(request));
      return reply;
    },
  );
}

/** For bodies that never become a form. */
function noForm(context: TenantContext, parameter: string) {
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
    const { statusCode = 500 } = error;
    if (statusCode >= 500) throw error;
    if (statusCode === 429) return reply.code(statusCode).send(error);
    const answer = statusCode === 415 ? ({ code: 900144, subject: parameter } as const) : { code: 90013 as const };
    return reply.send(refuse(reply, answer, context, startReply(request, reply)));
  };
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

function clientOf(request: FastifyRequest, { context, applications }: TokenEndpointOptions) {
  const { tenant } = request.params as TenantRoute['Params'];
  if (!isThisTenant(context, tenant)) return { code: 90002 as const, subject: tenant };
  const form = formOf(request);
  const clientId = form.get('client_id');
  if (clientId === undefined) return { code: 900144 as const, subject: 'client_id' };
  const client = authenticateClient(form, clientId, applications);
  return 'code' in client ? { ...client, subject: clientId } : { application: client, form, tenant };
}

/** Undefined: the provider has answered. */
async function grant(
  request: FastifyRequest,
  reply: FastifyReply,
  correlationId: string,
  options: TokenEndpointOptions,
): Promise<Answer | undefined> {
  const { tenant } = request.params as TenantRoute['Params'];
  const type = formOf(request).get('grant_type');
  if (type === undefined && isThisTenant(options.context, tenant)) return { code: 900144, subject: 'grant_type' };
  const client = clientOf(request, options);
  if ('code' in client) return client;
  const { form, application } = client;
  if (type === 'password') {
    return passwordGrant({ form, application, tenant, address: request.ip, correlationId }, options);
  }
  if (type === 'client_credentials') return applicationGrant(form, application, options);
  const within = HANDED_OVER.get(type ?? '');
  if (within === undefined) return { code: 70003, subject: type ?? '' };
  const raw = rawForm(request);
  if (raw.getAll('grant_type').length === 1) raw.set('grant_type', within);
  await options.handOver(request, reply, endpointPaths(options.context.store.tenantId).token, raw);
  return undefined;
}
