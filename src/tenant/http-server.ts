/** The tenant's HTTPS server without its endpoints: limits, headers of every answer, and what is said of errors. */

import type { Server } from 'node:https';
import formbody from '@fastify/formbody';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import { PhsyncError } from '../hasher/errors.js';
import { BUSY_ANSWER, BUSY_RETRY_AFTER, isBusy } from './busy.js';
import type { TenantConfig } from './config.js';
import type { TenantContext } from './context.js';
import { SAFETY_HEADERS } from './safety-headers.js';
import type { ServerTls } from './tls/server-tls.js';

/** An agent's next batch and a person's next try come on the connection that is there. */
const KEEP_ALIVE = 65_000;
/** Milliseconds in which a connection has to come up with something, or is cut. */
export interface Timeouts {
  /** TLS. */
  readonly handshake: number;
  /** A request's first line and headers, from the connection's beginning on: 16 KiB at most. */
  readonly head: number;
  /** The whole request. */
  readonly request: number;
  /** Connections that are late are looked for so often. */
  readonly check: number;
}
/** 32 MiB at 3 Mbit/s take 90 seconds. */
export const TIMEOUTS: Timeouts = { handshake: 20_000, head: 20_000, request: 100_000, check: 10_000 };
/** Every body but an agent's is smaller: a form with a name, a password and a few words. */
const MAX_FORM = 16 * 1024;
export const NO_SUCH_ADDRESS = {
  error: 'invalid_request',
  error_description: 'There is no such address here.',
} as const;

export type HttpsServer = FastifyInstance<Server>;

export function createServer(
  tls: ServerTls,
  context: TenantContext,
  { signIn }: TenantConfig,
  { handshake, head, request, check }: Timeouts,
): HttpsServer {
  const server = fastify({
    https: {
      key: tls.key,
      cert: tls.cert,
      minVersion: 'TLSv1.2',
      handshakeTimeout: handshake,
      headersTimeout: head,
      connectionsCheckingInterval: check,
    },
    logger: false,
    keepAliveTimeout: KEEP_ALIVE,
    // Fastify's default is none: a client that sends its body byte by byte would hold its connection for ever.
    requestTimeout: request,
    // A closing server ends idle connections and lets the busy ones finish their request.
    forceCloseConnections: 'idle',
    bodyLimit: MAX_FORM,
    trustProxy: signIn.trustedProxies.length === 0 ? false : signIn.trustedProxies,
    routerOptions: { maxParamLength: 256 },
    // An address that cannot be decoded, or with a name that no tenant has; Fastify would send it back, and runs no hook.
    frameworkErrors: ({ statusCode }, _request, reply: FastifyReply) => {
      reply
        .code(statusCode === 414 ? 404 : 400)
        .headers(SAFETY_HEADERS)
        .send(NO_SUCH_ADDRESS);
    },
  });
  // JSON and plain text, which no endpoint takes.
  server.removeAllContentTypeParsers();
  server.register(formbody);
  // Not on the raw response, whose headers Node would have to put together with Fastify's: what is handed over has its own.
  server.addHook('onRequest', (_request, reply, done) => {
    reply.headers(SAFETY_HEADERS);
    done();
  });
  // The connection of a request that was under way would stay open, as long as its client likes.
  let closing = false;
  server.addHook('preClose', (done) => {
    closing = true;
    done();
  });
  server.addHook('onSend', (_request, reply, _payload, done) => {
    if (closing) reply.header('connection', 'close');
    done();
  });
  // Method, route and status only: URLs, headers and bodies can hold names and secrets.
  server.addHook('onResponse', (request, reply, done) => {
    const { url } = request.routeOptions;
    const { method } = request;
    context.metrics.request(method, url, reply.statusCode, reply.elapsedTime / 1000);
    context.log.debug({ method, route: url, status: reply.statusCode, milliseconds: Math.round(reply.elapsedTime) });
    done();
  });
  server.setErrorHandler((error: FastifyError | PhsyncError, _request, reply) => {
    if (isBusy(error)) return reply.code(503).header('retry-after', BUSY_RETRY_AFTER).send(BUSY_ANSWER);
    const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500;
    if (status === 429) return reply.code(status).send(error);
    if (status < 500) return reply.code(status).send({ error: 'invalid_request', error_description: error.message });
    context.log.error({ err: error }, 'request failed');
    return reply.code(500).send({ error: 'server_error', error_description: 'The service failed on this request.' });
  });
  server.setNotFoundHandler((_request, reply) => reply.code(404).send(NO_SUCH_ADDRESS));
  return server;
}

/** @throws PhsyncError `listen` */
export async function listen(server: HttpsServer, { host, port }: TenantConfig['listen']): Promise<void> {
  try {
    await server.listen({ host, port });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const reasons: Readonly<Record<string, string>> = {
      EADDRINUSE: 'another program listens there: choose another listen.port in tenant.yaml',
      EACCES: 'the system does not permit it (a listen.port below 1024 needs a privilege)',
      EADDRNOTAVAIL: 'this machine has no such address (listen.host in tenant.yaml)',
      ENOTFOUND: 'the host name is not known (listen.host in tenant.yaml)',
    };
    throw new PhsyncError('listen', `cannot listen on ${host}, port ${port}: ${reasons[code] ?? code}`, {
      cause,
      facts: { host, port, reason: code },
    });
  }
}

export const isEveryAddress = (host: string): boolean => host === '0.0.0.0' || host === '::';

/** A name for an address that is listened on. */
export function hostInUrl(host: string): string {
  if (isEveryAddress(host)) return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}
