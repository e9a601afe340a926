/** What a person sees where a request failed before there was a page: a busy store, a limit, a fault of ours. */

import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { PhsyncError } from '../../hasher/errors.js';
import { BUSY_ANSWER, BUSY_RETRY_AFTER, isBusy } from '../busy.js';
import type { TenantContext } from '../context.js';
import { correlationIdOf } from '../oidc/oauth-error.js';
import type { Page } from './page.js';
import { errorPage } from './pages/provider.js';

/** For `errorHandler` of routes that answer with pages. */
export function failurePage(context: TenantContext) {
  return (error: FastifyError | PhsyncError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const correlationId = correlationIdOf(request.headers);
    const [name, status] = kindOf(error);
    if (status >= 500 && name === 'server_error') context.log.error({ err: error, correlationId }, 'request failed');
    if (status === 503) reply.header('retry-after', BUSY_RETRY_AFTER);
    return sendPage(
      reply,
      errorPage(
        { brand: context.displayName },
        { error: name, status, support: { code: name, correlationId, now: context.now() } },
      ),
    );
  };
}

export function sendPage(reply: FastifyReply, { status, headers, body }: Page): FastifyReply {
  return reply.code(status).headers(headers).send(body);
}

function kindOf(error: FastifyError | PhsyncError): readonly [string, number] {
  if (isBusy(error)) return [BUSY_ANSWER.error, 503];
  const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500;
  if (status === 429) return ['too_many_requests', status];
  return status < 500 ? ['invalid_request', status] : ['server_error', 500];
}
