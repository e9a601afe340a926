/** The endpoints that oidc-provider answers, at Entra's addresses and under every name of the tenant. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isThisTenant, type TenantContext } from '../context.js';
import { rawForm } from './client-authentication.js';
import { endpointPaths } from './endpoint-paths.js';
import type { HandOver } from './hand-over.js';
import { correlationIdOf, oauthError } from './oauth-error.js';

/** As oidc-provider has it, below its issuer. */
const DISCOVERY = '/.well-known/openid-configuration';

export interface ProviderEndpointsOptions {
  readonly context: TenantContext;
  readonly handOver: HandOver;
  /** For people, who get no JSON. */
  readonly unknownTenant?: ((correlationId: string) => AnswerPage) | undefined;
}

export interface AnswerPage {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

type Route = { Params: { tenant: string; '*'?: string } };

export function registerProviderEndpoints(
  server: FastifyInstance,
  { context, handOver, unknownTenant }: ProviderEndpointsOptions,
): void {
  const paths = endpointPaths(':tenant');
  const own = endpointPaths(context.store.tenantId);
  const answer =
    (path: string) =>
    async (request: FastifyRequest<Route>, reply: FastifyReply): Promise<unknown> => {
      const { tenant, '*': rest } = request.params;
      if (!isThisTenant(context, tenant)) return tenantNotFound(request, reply, context, unknownTenant);
      const form = request.method === 'POST' ? rawForm(request) : undefined;
      await handOver(request, reply, rest === undefined ? path : `${path}/${encodeURIComponent(rest)}`, form);
      return reply;
    };
  const get = (path: string, within: string) => server.get<Route>(path, answer(within));
  const post = (path: string, within: string) => server.post<Route>(path, answer(within));
  // Browsers ask before applications of theirs may (CORS).
  const options = (path: string, within: string) => server.options<Route>(path, answer(within));

  get(paths.discovery, DISCOVERY);
  options(paths.discovery, DISCOVERY);
  get(paths.jwks, own.jwks);
  options(paths.jwks, own.jwks);
  options(paths.token, own.token);
  options(paths.device_authorization, own.device_authorization);
  get(paths.authorization, own.authorization);
  get(`${paths.authorization}/*`, own.authorization);
  get(paths.code_verification, own.code_verification);
  post(paths.code_verification, own.code_verification);
  get(`${paths.code_verification}/*`, own.code_verification);
  get(paths.end_session, own.end_session);
  get(`${paths.end_session}/*`, own.end_session);
  post(`${paths.end_session}/*`, own.end_session);
}

function tenantNotFound(
  request: FastifyRequest<Route>,
  reply: FastifyReply,
  context: TenantContext,
  page: ProviderEndpointsOptions['unknownTenant'],
): unknown {
  const correlationId = correlationIdOf(request.headers);
  if (page !== undefined && request.headers.accept?.includes('text/html')) {
    const { status, headers, body } = page(correlationId);
    return reply.code(status).headers(headers).send(body);
  }
  const { status, body } = oauthError(90002, {
    baseUrl: context.baseUrl(),
    now: context.now(),
    correlationId,
    subject: request.params.tenant,
  });
  reply.code(status);
  return body;
}
