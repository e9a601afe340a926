/** The tenant's feed for the managed domain: pages of users and sealed credentials over HTTPS, with a bearer token. */

import { readCa } from '../../config/ca.js';
import { resolveSecret } from '../../config/secrets.js';
import { PhsyncError } from '../../hasher/errors.js';
import { type ClientCredentials, createClientCredentials, tokenUrlFor } from '../../provisioning/client-credentials.js';
import {
  DOMAIN_SERVICES_FEED_PATH,
  DOMAIN_SERVICES_SCOPE,
  FeedError,
  type FeedPage,
  feedPageSchema,
} from '../../provisioning/domain-services-feed.js';
import { get, type HttpReply, type HttpSettings, openDispatcher, retryAfterMs } from '../../provisioning/http.js';
import type { DomainServicesConfig } from '../config.js';

export interface PageRequest {
  /** undefined: everything from the beginning. */
  readonly cookie: string | undefined;
  readonly limit?: number;
  /** For how long the tenant may wait for a change before it answers without one. */
  readonly waitSeconds?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface FeedClient {
  /**
   * The next page. @throws PhsyncError `feed-disabled` (Domain Services is off in the tenant), `feed-restart` (the cookie is
   * worth nothing any more: begin anew without one; fact reason), `feed-refused` (the token, its client or the request),
   * `feed-busy` (fact retryAfterMs where the tenant named it), `feed-unavailable`, `feed-unreachable`, `feed-timeout`,
   * `feed-tls`, `feed-proxy`, `feed-aborted`, `feed-bad-reply`, and `token-…` as client-credentials.ts has them
   */
  page(request: PageRequest): Promise<FeedPage>;
  close(): Promise<void>;
}

/** Besides what the tenant was asked to wait. */
const TIMEOUT_MS = 30_000;
/** 500 users with 4 KiB of blobs each are 2 MiB. */
const MAX_PAGE_BYTES = 64 * 1024 * 1024;

/** Contacts nobody yet. @throws PhsyncError `config-secret`, `config-ca` */
export async function openFeedClient(
  { url: base, ca: caFile, auth, proxy: proxyConfig }: DomainServicesConfig['tenant'],
  env: Readonly<NodeJS.ProcessEnv> = process.env,
): Promise<FeedClient> {
  const clientSecret = await resolveSecret(auth.clientSecret, 'tenant.auth.clientSecret', env);
  const trust = caFile === undefined ? {} : { ca: await readCa(caFile), caFile };
  const proxy = proxyConfig && {
    url: proxyConfig.url,
    user: proxyConfig.user,
    password: proxyConfig.password && (await resolveSecret(proxyConfig.password, 'tenant.proxy.password', env)),
  };
  const dispatcher = openDispatcher(trust.ca, proxy);
  const credentials = createClientCredentials({
    tokenUrl: tokenUrlFor(base),
    clientId: auth.clientId,
    clientSecret,
    scope: DOMAIN_SERVICES_SCOPE,
    proxy,
    ...trust,
  });
  const settings = (waitSeconds: number): HttpSettings => ({
    dispatcher,
    codePrefix: 'feed',
    timeoutMs: TIMEOUT_MS + waitSeconds * 1000,
    maxReplyBytes: MAX_PAGE_BYTES,
    caFile,
    proxy: proxy && new URL(proxy.url).host,
  });
  return {
    async page(request) {
      const { cookie, limit, waitSeconds = 0, signal } = request;
      const url = new URL(DOMAIN_SERVICES_FEED_PATH, base);
      if (cookie !== undefined) url.searchParams.set('cookie', cookie);
      if (limit !== undefined) url.searchParams.set('limit', String(limit));
      if (waitSeconds > 0) url.searchParams.set('wait', String(waitSeconds));
      const ask = async (fresh: boolean) => {
        const headers = {
          authorization: `Bearer ${await tokenUnless({ credentials, clientId: auth.clientId }, fresh, signal)}`,
        };
        return get(settings(waitSeconds), url, { ...headers, accept: 'application/json' }, signal);
      };
      let reply = await ask(false);
      // The tenant's keys have changed, or it takes the token as ended before we do.
      if (reply.status === 401) reply = await ask(true);
      return read(url, reply);
    },
    async close() {
      await Promise.all([credentials.close(), dispatcher.destroy()]);
    },
  };
}

/** Entra's code for a resource that is not for this client: here an agent's, or an application's. */
const NOT_FOR_CLIENT = '500011';

async function tokenUnless(
  { credentials, clientId }: { readonly credentials: ClientCredentials; readonly clientId: string },
  fresh: boolean,
  signal: AbortSignal | undefined,
) {
  if (signal?.aborted) throw new PhsyncError('feed-aborted', 'the request to the tenant was aborted');
  try {
    return await credentials.token(fresh);
  } catch (error) {
    if (!(error instanceof PhsyncError) || !isNotForClient(error)) throw error;
    const words = `the tenant gives ${clientId} no token for the feed: ${clientId} is not one of domainServices.clients of tenant.yaml`;
    throw new PhsyncError(error.code, words, { cause: error, facts: error.facts });
  }
}

const isNotForClient = ({ code, facts }: PhsyncError): boolean =>
  code === 'token-refused' && String(facts.errorCodes).split(',').includes(NOT_FOR_CLIENT);

const RESTARTS: ReadonlySet<string> = new Set([
  FeedError.cookieUnknown,
  FeedError.cookieAhead,
  FeedError.resyncRequired,
]);

function read(url: URL, reply: HttpReply): FeedPage {
  const { status } = reply;
  const facts = { url: url.origin + url.pathname, status };
  let json: unknown;
  try {
    json = JSON.parse(reply.body.toString('utf8'));
  } catch {
    // No JSON: told below by status and content type; the parser's message would quote the text.
    json = undefined;
  }
  if (status === 200) {
    const page = feedPageSchema.safeParse(json);
    if (page.success) return page.data;
    const where = page.error.issues[0]?.path.map(String).join('.') ?? '';
    throw new PhsyncError('feed-bad-reply', `${url.origin} answers with no page of the feed (${where || 'no JSON'})`, {
      facts,
    });
  }
  const { error, error_description: description = '' } = (json ?? {}) as Record<string, string | undefined>;
  if (status === 409 && error === FeedError.disabled) {
    throw new PhsyncError('feed-disabled', `Domain Services is not enabled in the tenant at ${url.origin}`, { facts });
  }
  if (status === 410) {
    const reason = error !== undefined && RESTARTS.has(error) ? error : 'gone';
    throw new PhsyncError('feed-restart', `the tenant's feed must be read from its beginning: ${reason}`, {
      facts: { ...facts, reason },
    });
  }
  if (status === 429 || status === 503) {
    const wait = retryAfterMs(reply.retryAfter, Date.now());
    throw new PhsyncError('feed-busy', `${url.origin} is busy (HTTP status ${status})`, {
      facts: { ...facts, retryAfterMs: wait },
    });
  }
  if (status >= 500) {
    throw new PhsyncError('feed-unavailable', `${url.origin} answers with HTTP status ${status}`, { facts });
  }
  if (error !== undefined) {
    throw new PhsyncError('feed-refused', `${url.origin} refuses the feed: ${error} ${description}`.trim(), {
      facts: { ...facts, error },
    });
  }
  throw new PhsyncError('feed-bad-reply', `${facts.url} answers with HTTP status ${status}: is there a tenant?`, {
    facts,
  });
}
