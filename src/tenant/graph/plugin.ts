/** Microsoft Graph v1.0 as the tenant offers it: routes behind bearer tokens, and errors in Graph's shape. */

import { randomUUID } from 'node:crypto';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isBusy } from '../busy.js';
import { type AccessTokens, type Caller, type CallerCheck, GRAPH_RESOURCE } from '../oidc/caller.js';
import { readDigestKey } from '../store/digest-key.js';
import { userPrincipalNameKey } from '../store/store.js';
import { batchBody, MAX_STEPS, runBatch } from './batch.js';
import { readBody } from './body.js';
import { CallerTurns } from './caller-turns.js';
import { errorBody, GraphError, notFound, type RequestIds } from './error.js';
import { parseQuery } from './odata/query.js';
import { SkipTokens } from './odata/skip-tokens.js';
import { openApiDocument } from './openapi.js';
import { demand } from './permissions.js';
import type { GraphDependencies, GraphRoute, GraphServices, Method } from './route.js';
import { describedRoutes, graphRoutes } from './routes.js';

const GRAPH_PATH = '/v1.0';

const MAX_BODY = 64 * 1024;
const CONTENT_TYPE = 'application/json; odata.metadata=minimal; charset=utf-8';
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Graph's own application id, which its challenge names. */
const GRAPH_APPLICATION = '00000003-0000-0000-c000-000000000000';
const METHODS: readonly Method[] = ['GET', 'POST', 'PATCH', 'PUT', 'DELETE'];
/** Seconds after which a busy store may have time. */
const RETRY_AFTER = 2;

export interface GraphOptions extends GraphDependencies {
  /** User principal names. */
  readonly administrators: readonly string[];
  readonly accessTokens: AccessTokens;
}

interface RequestState extends RequestIds {
  caller?: Caller;
}

export function registerGraph(server: FastifyInstance, options: GraphOptions): void {
  const { context, audit, passwords, realms, applicationName } = options;
  const { store, now, log } = context;
  const administrators = new Set(options.administrators.map(userPrincipalNameKey));
  const services: GraphServices = {
    context,
    audit,
    passwords,
    realms,
    applicationName,
    isAdministrator: (nameKey) => administrators.has(nameKey),
    database: store.database,
    skipTokens: new SkipTokens(once(() => readDigestKey(store.database))),
    now,
    log,
  };
  server.register(async (graph) => registerRoutes(graph, options, services), { prefix: GRAPH_PATH });
}

function registerRoutes(graph: FastifyInstance, { accessTokens }: GraphOptions, services: GraphServices): void {
  const { context } = services;
  const states = new WeakMap<FastifyRequest, RequestState>();
  const stateOf = (request: FastifyRequest) => states.get(request)!;
  const turns = new CallerTurns();

  const parseJson = graph.getDefaultJsonParser('error', 'error');
  graph.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    // A DELETE of some clients names a type and has no body.
    if (body.length === 0) done(null, undefined);
    else parseJson(request, body as string, done);
  });
  graph.addHook('onRequest', async (request, reply) => {
    const requestId = randomUUID();
    const named = request.headers['client-request-id'];
    const clientRequestId = typeof named === 'string' && GUID.test(named) ? named : requestId;
    const state: RequestState = { requestId, clientRequestId };
    states.set(request, state);
    reply.headers({
      'request-id': requestId,
      'client-request-id': clientRequestId,
      'odata-version': '4.0',
      'cache-control': 'no-store',
    });
  });
  // After the limits of requests, before the body is read.
  graph.addHook('preParsing', async (request) => {
    if (request.routeOptions.config.open === true) return;
    const state = stateOf(request);
    state.caller = await authenticate(request, accessTokens, context);
    const { permissions } = request.routeOptions.config;
    if (permissions !== undefined) demand(state.caller, permissions);
  });
  graph.setErrorHandler((error: Error, request, reply) => {
    const { status, code, message, headers } = toGraphError(error, services, request.routeOptions.bodyLimit);
    if (status === 401 || status === 403) logRefusal(request, stateOf(request), { status, message }, services);
    reply
      .code(status)
      .headers({ ...headers })
      .type(CONTENT_TYPE);
    return reply.send(errorBody(code, message, services.now(), stateOf(request)));
  });
  graph.setNotFoundHandler(async (request) => {
    throw new GraphError(404, 'Request_ResourceNotFound', `There is no resource at '${pathOf(request).slice(0, 64)}'.`);
  });

  const document = once(async () => openApiDocument(describedRoutes, context));
  graph.get('/openapi.json', { config: { open: true } }, async (_request, reply) => {
    reply.type('application/json; charset=utf-8');
    return reply.send(await document());
  });
  for (const route of graphRoutes) {
    graph.route({
      method: route.method,
      url: fastifyPath(route.path),
      bodyLimit: MAX_BODY,
      // Fastify would answer HEAD of its own accord, from a whole page.
      exposeHeadRoute: false,
      config: { permissions: route.permissions },
      handler: (request, reply) => {
        const state = stateOf(request);
        const { clientId, objectId = '' } = state.caller!;
        return turns.take(`${clientId} ${objectId}`, () => answer(route, request, reply, services, state));
      },
    });
  }
  graph.post('/$batch', { bodyLimit: MAX_STEPS * MAX_BODY }, async (request, reply) => {
    const { requests } = readBody(batchBody, request.body);
    const { authorization = '' } = request.headers;
    const caller = { authorization, address: request.ip, ids: stateOf(request), now: services.now };
    const responses = await runBatch(graph, GRAPH_PATH, requests, caller);
    return reply.type(CONTENT_TYPE).send({ responses });
  });
  refuseOtherMethods(graph);
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without a token. */
    open?: true;
    permissions?: GraphRoute['permissions'];
  }
}

async function answer(
  route: GraphRoute,
  request: FastifyRequest,
  reply: FastifyReply,
  services: GraphServices,
  state: RequestState,
): Promise<FastifyReply> {
  const caller = state.caller!;
  const params = request.params as Readonly<Record<string, string>>;
  for (const value of Object.values(params)) if (value.includes('\0')) throw notFound('');
  const query = parseQuery(request.query as Readonly<Record<string, unknown>>, route.query ?? {});
  const base = `${services.context.baseUrl()}${GRAPH_PATH}`;
  const path = pathOf(request).slice(GRAPH_PATH.length);
  const result = await route.handle({
    services,
    caller,
    actor: caller.kind === 'user' ? { kind: 'user', id: caller.objectId ?? '' } : { kind: 'app', id: caller.clientId },
    params,
    query,
    eventual: request.headers.consistencylevel === 'eventual',
    body: route.body === undefined ? undefined : readBody(route.body, request.body),
    correlationId: state.clientRequestId,
    scope: JSON.stringify([path, query.raw.$filter, query.raw.$orderby, query.raw.$search]),
    nextLink: (skipToken) => {
      const options = { ...query.raw, $skiptoken: skipToken };
      return `${base}${path}?${Object.entries(options)
        .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
        .join('&')}`;
    },
    contextUrl: (fragment) => `${base}/$metadata#${fragment}`,
  });
  reply.code(result.status).headers({ ...result.headers });
  if (result.body === undefined) return reply.send();
  if (typeof result.body === 'string') return reply.type('text/plain; charset=utf-8').send(result.body);
  return reply.type(CONTENT_TYPE).send(result.body);
}

/** @throws GraphError 401 */
async function authenticate(
  request: FastifyRequest,
  accessTokens: AccessTokens,
  { baseUrl, store }: GraphServices['context'],
): Promise<Caller> {
  const header = request.headers.authorization;
  const challenge = (error: string) =>
    `Bearer realm="", authorization_uri="${baseUrl()}/${store.tenantId}/oauth2/v2.0/authorize", client_id="${GRAPH_APPLICATION}"${error}`;
  if (header === undefined || header === '') {
    throw unauthenticated('Access token is empty.', challenge(''));
  }
  const token = /^bearer +([\w.~+/-]+=*)$/i.exec(header)?.[1];
  const check: CallerCheck =
    token === undefined
      ? { ok: false, reason: 'invalid' }
      : await accessTokens.verifyAccessToken(token, GRAPH_RESOURCE);
  if (check.ok) return check.caller;
  throw unauthenticated(whyNot[check.reason], challenge(', error="invalid_token"'));
}

const whyNot: Readonly<Record<Extract<CallerCheck, { ok: false }>['reason'], string>> = {
  invalid: 'Access token validation failure.',
  expired: 'Lifetime validation failed, the token is expired.',
  audience: 'Access token validation failure. Invalid audience.',
  account: 'The user account is disabled or does not exist.',
  // Graph's own words for a client that is known to understand them.
  revoked:
    'Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp',
};

const unauthenticated = (message: string, challenge: string) =>
  new GraphError(401, 'InvalidAuthenticationToken', message, { 'www-authenticate': challenge });

function toGraphError(error: Error, { log }: GraphServices, bodyLimit = MAX_BODY): GraphError {
  if (error instanceof GraphError) return error;
  if (isBusy(error)) {
    return new GraphError(503, 'serviceNotAvailable', 'The service is temporarily unavailable.', {
      'retry-after': String(RETRY_AFTER),
    });
  }
  const { statusCode: status = 500, code, message } = error as FastifyError;
  if (status === 413) {
    return new GraphError(413, 'RequestEntityTooLarge', `The request body is larger than ${bodyLimit} bytes.`);
  }
  if (status === 415) {
    return new GraphError(415, 'UnsupportedMediaType', 'The request body must be of type application/json.');
  }
  // The plugin of the limits has set Retry-After.
  if (status === 429) return new GraphError(429, 'TooManyRequests', 'Too many requests from this address.');
  if (status < 500) {
    const json = error instanceof SyntaxError || code === 'FST_ERR_CTP_INVALID_JSON_BODY';
    return new GraphError(
      status,
      'BadRequest',
      json
        ? 'Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.'
        : message,
    );
  }
  log.error({ err: error }, 'graph request failed');
  return new GraphError(500, 'InternalServerError', 'The service failed on this request.');
}

/** The caller learns little, as with Graph; who runs the tenant finds the answer's request-id here. */
function logRefusal(
  request: FastifyRequest,
  { requestId, caller }: RequestState,
  refusal: object,
  { log }: GraphServices,
): void {
  const { permissions, url } = request.routeOptions.config;
  const { clientId, objectId, kind } = caller ?? {};
  const has = caller && [...(kind === 'user' ? caller.scopes : caller.roles)];
  const wanted = caller && (kind === 'user' ? permissions?.delegated : permissions?.application);
  log.info(
    { requestId, method: request.method, route: url, ...refusal, clientId, objectId, has, wanted },
    'graph refused',
  );
}

/** 405 instead of 404 where another method is offered. */
function refuseOtherMethods(graph: FastifyInstance): void {
  const offered = new Map<string, Method[]>();
  for (const { path, method } of describedRoutes) {
    const url = fastifyPath(path);
    offered.set(url, [...(offered.get(url) ?? []), method]);
  }
  for (const [url, methods] of offered) {
    graph.route({
      method: METHODS.filter((method) => !(methods as readonly string[]).includes(method)),
      url,
      exposeHeadRoute: false,
      handler: async () => {
        throw new GraphError(
          405,
          'Request_BadRequest',
          'Specified HTTP method is not allowed for the request target.',
          { allow: methods.join(', ') },
        );
      },
    });
  }
}

/** What does not change is asked for once; a failure is not kept. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () =>
    (made ??= make().catch((error) => {
      made = undefined;
      throw error;
    }));
}

const fastifyPath = (path: string) => path.replace(/\{(\w+)\}/g, ':$1');
const pathOf = ({ url }: FastifyRequest) => url.split('?', 1)[0]!;
