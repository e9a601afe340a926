/** Hands a request to oidc-provider: under the tenant's id, with scopes as it knows them, and at the address we are known by. */

import { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Provider } from 'oidc-provider';
import { isThisTenant, type TenantContext } from '../context.js';
import { SAFETY_HEADERS } from '../safety-headers.js';
import type { Applications } from './applications.js';
import { correlationIdOf } from './oauth-error.js';
import { rememberFacts } from './provider-answers.js';
import { withinProviderContext } from './provider-context.js';
import { scopeWithin } from './provider-scopes.js';

export interface HandOverOptions {
  readonly context: TenantContext;
  readonly applications: Applications;
  readonly provider: () => Provider;
}

/** `path`: the provider's own. `form` replaces the body, which must have been read. */
export type HandOver = (
  request: FastifyRequest,
  reply: FastifyReply,
  path: string,
  form?: URLSearchParams,
) => Promise<void>;

export function createHandOver({ context, applications, provider }: HandOverOptions): HandOver {
  const handlers = new WeakMap<Provider, ReturnType<Provider['callback']>>();
  return async (request, reply, path, form) => {
    const current = provider();
    const answer = handlers.get(current) ?? current.callback();
    handlers.set(current, answer);
    const query = new URLSearchParams(request.raw.url?.split('?')[1] ?? '');
    const scope = (form ?? query).get('scope') ?? undefined;
    const wantsClientInfo = (form ?? query).get('client_info') === '1';
    translateScope(form ?? query, applications);
    const search = query.size === 0 ? '' : `?${query}`;
    const within = replay(request.raw, `${path}${search}`, new URL(context.baseUrl()).host, form);
    const correlationId = correlationIdOf(request.headers);
    rememberFacts(within, { correlationId, address: request.ip, scope, wantsClientInfo });
    reply.hijack();
    for (const [name, value] of Object.entries(SAFETY_HEADERS)) reply.raw.setHeader(name, value);
    await withinProviderContext(() => answer(within, reply.raw));
  };
}

/** `scope` and `resource` as the provider knows them. What came twice stays, for the provider to refuse. */
function translateScope(parameters: URLSearchParams, applications: Applications): void {
  const clients = parameters.getAll('client_id');
  const scopes = parameters.getAll('scope');
  const application = clients.length === 1 ? applications.find(clients[0] ?? '') : undefined;
  // Entra's v2 endpoint has no such parameter: the scopes say which resource is meant.
  parameters.delete('resource');
  if (application === undefined || scopes.length > 1) return;
  const grant = parameters.get('grant_type');
  const { scope, resource } = scopeWithin(scopes[0], application);
  if (scopes.length === 1) parameters.set('scope', scope);
  // A code or a refresh token knows its resource.
  if (grant === null) parameters.set('resource', resource);
}

/** The same request on the same connection, as the provider is to see it. */
function replay(
  request: IncomingMessage,
  url: string,
  host: string,
  form: URLSearchParams | undefined,
): IncomingMessage {
  const within = new IncomingMessage(request.socket);
  const { method, httpVersion, httpVersionMajor, httpVersionMinor } = request;
  // Whatever name the client called us by, addresses are made from the configured one.
  const { 'transfer-encoding': _, 'content-length': __, ...headers } = { ...request.headers, host };
  const body = form === undefined ? undefined : Buffer.from(form.toString());
  Object.assign(within, {
    method,
    url,
    httpVersion,
    httpVersionMajor,
    httpVersionMinor,
    headers: body === undefined ? headers : { ...headers, 'content-length': String(body.length) },
    // Otherwise its end would be taken for a broken connection.
    complete: true,
  });
  if (body !== undefined && body.length > 0) within.push(body);
  within.push(null);
  return within;
}

/** The path with the tenant's id in place of another name of it; undefined where that is not this tenant's. */
export function ownPath(context: TenantContext, tenant: string, path: (name: string) => string): string | undefined {
  return isThisTenant(context, tenant) ? path(context.store.tenantId) : undefined;
}
