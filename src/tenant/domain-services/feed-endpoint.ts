/** `GET /domain-services/v1.0/changes`: pages of the feed for a managed domain, with a token of its own. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  DEFAULT_FEED_LIMIT,
  DOMAIN_SERVICES_FEED_PATH,
  FeedError,
  type FeedPage,
  MAX_FEED_LIMIT,
  MAX_FEED_WAIT,
} from '../../provisioning/domain-services-feed.js';
import type { TenantContext } from '../context.js';
import { Feed, FeedRefusal } from './feed.js';

export interface FeedEndpointOptions {
  readonly context: TenantContext;
  /** Whose token it is; not of agents, applications or people. */
  readonly verifyReaderToken: (
    token: string,
  ) => Promise<
    | { readonly ok: true; readonly clientId: string }
    | { readonly ok: false; readonly reason: 'invalid' | 'expired' | 'role' }
  >;
}

/** Between two looks while a reader waits: other tenant processes write to the same database. */
const LOOK_MS = 500;
/** Questions of one reader that may wait at once. */
const MAX_WAITING = 4;

const number = (least: number, most: number) =>
  z.coerce.number(`expected a number from ${least} to ${most}`).int().min(least).max(most);
const querySchema = z.object({
  cookie: z.string().max(256).optional(),
  limit: number(1, MAX_FEED_LIMIT).default(DEFAULT_FEED_LIMIT),
  wait: number(0, MAX_FEED_WAIT).default(0),
});

export function registerFeedEndpoint(server: FastifyInstance, options: FeedEndpointOptions): void {
  const { store, now } = options.context;
  const feed = new Feed({ database: store.database, now });
  const closing = new AbortController();
  // A page is a reader's last answer then; what it waited for comes with the next one.
  server.addHook('preClose', async () => closing.abort());
  const waiting = new Map<string, number>();
  server.get(DOMAIN_SERVICES_FEED_PATH, { exposeHeadRoute: false }, async (request, reply) => {
    reply.header('cache-control', 'no-store');
    const clientId = await authenticate(request, reply, options);
    if (clientId === undefined) return reply;
    const query = querySchema.safeParse(request.query);
    if (!query.success) return refuse(reply, 400, FeedError.invalidRequest, z.prettifyError(query.error));
    const isWaiting = query.data.wait > 0;
    const others = waiting.get(clientId) ?? 0;
    if (isWaiting && others >= MAX_WAITING) {
      const words = `${others} questions of this reader wait already.`;
      return refuse(reply.header('retry-after', '5'), 429, FeedError.tooManyRequests, words);
    }
    if (isWaiting) waiting.set(clientId, others + 1);
    try {
      return await reply.send(
        await answer(feed, query.data, request, closing.signal, { clientId, ...options.context }),
      );
    } catch (error) {
      if (!(error instanceof FeedRefusal)) throw error;
      // Whoever waits for them to be switched on comes back twice a minute.
      const level = isWaiting && error.code === FeedError.disabled ? 'debug' : 'warn';
      options.context.log[level]({ clientId, code: error.code }, 'domain services feed refused');
      return refuse(reply, error.status, error.code, `${error.message}.`);
    } finally {
      if (isWaiting) waiting.set(clientId, waiting.get(clientId)! - 1);
    }
  });
}

/** The reader's client id; undefined: answered. */
async function authenticate(
  request: FastifyRequest,
  reply: FastifyReply,
  { verifyReaderToken, context }: FeedEndpointOptions,
): Promise<string | undefined> {
  const token = /^Bearer ([\w.~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1];
  const checked = token === undefined ? ({ ok: false, reason: 'invalid' } as const) : await verifyReaderToken(token);
  if (checked.ok) return checked.clientId;
  context.log.warn({ reason: checked.reason }, 'domain services feed: a reader was refused');
  reply.header('www-authenticate', 'Bearer error="invalid_token"');
  refuse(reply, 401, FeedError.invalidToken, 'The access token is missing, invalid, expired, or for something else.');
  return undefined;
}

function refuse(reply: FastifyReply, status: number, error: string, description: string): FastifyReply {
  return reply.code(status).send({ error, error_description: description });
}

async function answer(
  feed: Feed,
  { cookie, limit, wait }: z.output<typeof querySchema>,
  request: FastifyRequest,
  closing: AbortSignal,
  { clientId, log }: TenantContext & { readonly clientId: string },
): Promise<FeedPage> {
  const began = performance.now();
  const left = new AbortController();
  const leave = () => left.abort();
  request.raw.socket.once('close', leave);
  const over = AbortSignal.any([closing, left.signal]);
  try {
    const look = () => feed.page(cookie, limit).catch(disabled);
    let page = await look();
    // Whoever waits learns that Domain Services are switched on as soon as of a change.
    const isNothing = () => page instanceof FeedRefusal || page.value.length === 0;
    while (isNothing() && performance.now() - began < wait * 1000 && !over.aborted) {
      await sleep(LOOK_MS, undefined, { signal: over }).catch(ignoreAbort);
      if (!left.signal.aborted) page = await look();
    }
    if (page instanceof FeedRefusal) throw page;
    const users = page.value.length;
    // Readers that wait come back twice a minute.
    log[users > 0 ? 'info' : 'debug']({ clientId, users, more: page.more }, 'domain services feed');
    return page;
  } finally {
    request.raw.socket.off('close', leave);
  }
}

/** The refusal that passes when they are switched on. */
function disabled(error: unknown): FeedRefusal {
  if (error instanceof FeedRefusal && error.code === FeedError.disabled) return error;
  throw error;
}

function ignoreAbort(error: Error): void {
  if (error.name !== 'AbortError') throw error;
}
