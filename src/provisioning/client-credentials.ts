/** OAuth 2.0 client credentials (RFC 6749, 4.4): the agent's token for the provisioning service. */

import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { PhsyncError } from '../hasher/errors.js';
import { type HttpReply, type HttpSettings, openDispatcher, type ProxySettings, post, retryAfterMs } from './http.js';

export interface ClientCredentialsOptions {
  /** `https://host/{tenant | organizations}/oauth2/v2.0/token` */
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string | (() => Promise<string> | string);
  readonly scope?: string;
  readonly dispatcher?: Dispatcher;
  readonly ca?: string | Buffer;
  /** The file that `ca` was read from, for errors. */
  readonly caFile?: string | undefined;
  readonly proxy?: ProxySettings | undefined;
  readonly timeoutMs?: number;
  /** Milliseconds since the epoch, default Date.now. */
  readonly now?: () => number;
}

/** `token` fits ProvisioningClientOptions.token. */
export interface ClientCredentials {
  /**
   * The cached token until 60 s before its end, else a new one; calls at the same time share one request.
   * @throws PhsyncError `token-refused` (facts error, errorCodes), `token-busy` (fact retryAfterMs where the endpoint
   *   named it), `token-unavailable`, `token-unreachable`, `token-proxy`, `token-timeout`, `token-tls`, `token-bad-reply`
   */
  token(forceRefresh?: boolean): Promise<string>;
  /** Ends its own connections; a call under way rejects with `token-aborted`. */
  close(): Promise<void>;
}

/** A token is taken as ended this much before it ends. */
const MARGIN_MS = 60_000;
const MAX_REPLY_BYTES = 256 * 1024;

const tokenReply = z.object({
  access_token: z.string().min(1).max(65_536),
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.coerce.number().int().min(1).max(31_536_000).default(300),
});
const errorReply = z.object({
  error: z.string(),
  error_description: z.string().default(''),
  error_codes: z.array(z.number()).default([]),
});

/** The token endpoint of a provisioning service that runs beside it: same origin, by default tenant `organizations`. */
export function tokenUrlFor(provisioningUrl: string, tenant = 'organizations'): string {
  return new URL(`/${encodeURIComponent(tenant)}/oauth2/v2.0/token`, provisioningUrl).href;
}

/** @throws TypeError when tokenUrl is not a URL */
export function createClientCredentials(options: ClientCredentialsOptions): ClientCredentials {
  const url = new URL(options.tokenUrl);
  const ownAgent = options.dispatcher === undefined ? openDispatcher(options.ca, options.proxy) : undefined;
  const settings: HttpSettings = {
    dispatcher: options.dispatcher ?? ownAgent!,
    codePrefix: 'token',
    timeoutMs: options.timeoutMs ?? 30_000,
    caFile: options.caFile,
    proxy: options.proxy && new URL(options.proxy.url).host,
    maxReplyBytes: MAX_REPLY_BYTES,
  };
  const now = options.now ?? Date.now;
  let cached: { readonly token: string; readonly until: number } | undefined;
  let inFlight: Promise<string> | undefined;

  async function fetchToken(): Promise<string> {
    const { clientId, clientSecret, scope } = options;
    const asked = now();
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: typeof clientSecret === 'string' ? clientSecret : await clientSecret(),
      ...(scope === undefined ? {} : { scope }),
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
    const reply = await post(settings, url, headers, form.toString());
    const { token, seconds } = readTokenReply(url, clientId, reply, now());
    cached = { token, until: asked + seconds * 1000 - Math.min(MARGIN_MS, seconds * 500) };
    return token;
  }

  return {
    token(forceRefresh = false) {
      if (inFlight !== undefined) {
        return inFlight;
      }
      if (!forceRefresh && cached !== undefined && now() < cached.until) {
        return Promise.resolve(cached.token);
      }
      cached = undefined;
      inFlight = fetchToken().finally(() => {
        inFlight = undefined;
      });
      return inFlight;
    },
    async close() {
      await ownAgent?.destroy();
    },
  };
}

/** What an endpoint says that would give a token at another time (RFC 6749, 4.1.2.1). */
const PASSING_ERRORS = new Set(['temporarily_unavailable', 'server_error']);

/**
 * The reply's text is never quoted: it may hold the token.
 * @throws PhsyncError `token-refused`, `token-busy`, `token-unavailable`, `token-bad-reply`
 */
function readTokenReply(url: URL, clientId: string, reply: HttpReply, now: number): { token: string; seconds: number } {
  const { status } = reply;
  const facts = { url: url.href, status, contentType: reply.contentType, clientId };
  let json: unknown;
  try {
    json = JSON.parse(reply.body.toString('utf8'));
  } catch {
    // No JSON: told below by status and content type, without the parser's message, which quotes the text.
    json = undefined;
  }
  const refusal = status === 200 ? undefined : errorReply.safeParse(json).data;
  if (status === 429 || status === 503 || (refusal !== undefined && PASSING_ERRORS.has(refusal.error))) {
    throw new PhsyncError('token-busy', `${url.host} gives no token now (HTTP status ${status}); try again later`, {
      facts: { ...facts, error: refusal?.error, retryAfterMs: retryAfterMs(reply.retryAfter, now) },
    });
  }
  if (refusal !== undefined) {
    const { error, error_description: description, error_codes: codes } = refusal;
    throw new PhsyncError('token-refused', `${url.host} gives ${clientId} no token: ${error} ${description}`.trim(), {
      facts: { ...facts, error, errorCodes: codes.join(',') },
    });
  }
  if (status >= 500) {
    throw new PhsyncError('token-unavailable', `${url.href} answered with HTTP status ${status}; try again later`, {
      facts,
    });
  }
  const parsed = tokenReply.safeParse(json);
  if (status === 200 && parsed.success) {
    return { token: parsed.data.access_token, seconds: parsed.data.expires_in };
  }
  throw new PhsyncError(
    'token-bad-reply',
    `${url.href} answered with HTTP status ${status} and not with a token: is it a token endpoint?`,
    { facts },
  );
}
