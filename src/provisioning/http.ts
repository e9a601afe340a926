/** One HTTPS exchange through undici, with its failures as PhsyncErrors: unreachable, timeout, TLS, aborted, too large. */

import { Agent, type Dispatcher, ProxyAgent, request } from 'undici';
import { PhsyncError } from '../hasher/errors.js';

export interface HttpSettings {
  readonly dispatcher: Dispatcher;
  /** First part of the error codes: `provisioning` gives `provisioning-timeout`, … */
  readonly codePrefix: string;
  readonly timeoutMs: number;
  readonly maxReplyBytes: number;
  /** Where the certificates of `openDispatcher` came from, for errors. */
  readonly caFile?: string | undefined;
  /** The proxy that the dispatcher goes through, for errors: host and port. */
  readonly proxy?: string | undefined;
}

/** An HTTP proxy that CONNECTs; TLS with the service is checked through it as without. */
export interface ProxySettings {
  /** `http://proxy:3128` or `https://…`: then TLS with the proxy itself is checked, too. */
  readonly url: string;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
}

export interface HttpReply {
  readonly status: number;
  /** Lower case, without parameters; '' where there is none. */
  readonly contentType: string;
  /** The headers Retry-After and Location, as they came. */
  readonly retryAfter: string | undefined;
  readonly location: string | undefined;
  readonly body: Buffer;
}

/**
 * Connections of one's own: kept alive, certificates always verified (said here, since what Node.js takes from
 * NODE_TLS_REJECT_UNAUTHORIZED is but the default).
 */
export function openDispatcher(ca: string | Buffer | undefined, proxy?: ProxySettings): Dispatcher {
  const tls = { rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) };
  const connections = { keepAliveTimeout: 60_000, connections: 16 };
  if (proxy === undefined) return new Agent({ connect: tls, ...connections });
  const { url, user, password } = proxy;
  const login = user === undefined ? undefined : Buffer.from(`${user}:${password ?? ''}`).toString('base64');
  return new ProxyAgent({
    uri: url,
    requestTls: tls,
    proxyTls: tls,
    ...connections,
    ...(login === undefined ? {} : { token: `Basic ${login}` }),
  });
}

const MAX_RETRY_AFTER_MS = 600_000;

/**
 * Milliseconds of a Retry-After (RFC 9110, 10.2.3: seconds or a date), at most ten minutes: a slip of the service must not
 * keep passwords waiting for a day. Undefined where there is none that can be read.
 */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS);
  // Date.parse takes nearly everything; an HTTP date begins with the name of a day.
  const date = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.min(Math.max(date - now, 0), MAX_RETRY_AFTER_MS);
}

/** Codes of Node's certificate verification and TLS, which come as the cause or as the error itself. */
const TLS_CODES =
  /^(?:ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|CRL_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|ERROR_IN_CERT_)/;
const TIMEOUT_CODES = new Set([
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'ETIMEDOUT',
]);
/** The client was closed. */
const CLOSED_CODES = new Set(['UND_ERR_DESTROYED', 'UND_ERR_CLOSED']);
/** The peer ended a kept-alive connection while the request was on its way. */
const STALE_CODES = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

type Headers = Readonly<Record<string, string>>;

/** POSTs, once more if a kept-alive connection had just been ended by the peer. @throws PhsyncError */
export function post(
  settings: HttpSettings,
  url: URL,
  headers: Headers,
  body: Uint8Array | string,
  signal?: AbortSignal,
): Promise<HttpReply> {
  return send(settings, url, { method: 'POST', headers, body }, signal);
}

/** GETs, as `post` POSTs. @throws PhsyncError */
export function get(settings: HttpSettings, url: URL, headers: Headers, signal?: AbortSignal): Promise<HttpReply> {
  return send(settings, url, { method: 'GET', headers }, signal);
}

interface Message {
  readonly method: 'GET' | 'POST';
  readonly headers: Headers;
  readonly body?: Uint8Array | string;
}

async function send(
  settings: HttpSettings,
  url: URL,
  message: Message,
  signal: AbortSignal | undefined,
): Promise<HttpReply> {
  const deadline = AbortSignal.timeout(settings.timeoutMs);
  const both = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
  for (let attempt = 1; ; attempt++) {
    try {
      return await exchange(settings, url, message, both);
    } catch (error) {
      if (error instanceof PhsyncError) {
        throw error;
      }
      if (attempt === 1 && STALE_CODES.has(codeOf(error)) && !both.aborted) {
        continue;
      }
      throw explain(settings, url, error, deadline.aborted, signal?.aborted === true);
    }
  }
}

async function exchange(settings: HttpSettings, url: URL, message: Message, signal: AbortSignal): Promise<HttpReply> {
  const { dispatcher, maxReplyBytes, codePrefix } = settings;
  const reply = await request(url, { ...message, dispatcher, signal });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of reply.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxReplyBytes) {
      reply.body.destroy();
      throw new PhsyncError(`${codePrefix}-bad-reply`, `${url.origin} answered with more than ${maxReplyBytes} bytes`, {
        facts: { url: url.href, status: reply.statusCode, maxReplyBytes },
      });
    }
    chunks.push(chunk);
  }
  const header = (name: string): string | undefined => [reply.headers[name]].flat()[0];
  return {
    status: reply.statusCode,
    contentType: (header('content-type') ?? '').split(';')[0]!.trim().toLowerCase(),
    retryAfter: header('retry-after'),
    location: header('location'),
    body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size),
  };
}

function codeOf(error: unknown): string {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown };
  if (typeof code === 'string') {
    return code;
  }
  return cause === undefined ? '' : codeOf(cause);
}

function explain(
  { codePrefix, timeoutMs, caFile, proxy }: HttpSettings,
  url: URL,
  error: unknown,
  timedOut: boolean,
  aborted: boolean,
): PhsyncError {
  const code = codeOf(error);
  const options = { cause: error, facts: { url: url.href, cause: code === '' ? undefined : code } };
  if (aborted || CLOSED_CODES.has(code)) {
    return new PhsyncError(`${codePrefix}-aborted`, `the request to ${url.origin} was aborted`, options);
  }
  if (timedOut || TIMEOUT_CODES.has(code)) {
    return new PhsyncError(`${codePrefix}-timeout`, `${url.origin} did not answer within ${timeoutMs} ms`, options);
  }
  const what = error instanceof Error && error.message !== '' ? error.message : code;
  if (TLS_CODES.test(code)) {
    const hint =
      caFile === undefined
        ? 'If it is signed by a certification authority of your own, name its certificate in the setting `ca`.'
        : `Trusted is what the certificates in ${caFile} (setting \`ca\`) have signed, and nothing else.`;
    return new PhsyncError(
      `${codePrefix}-tls`,
      `the certificate or TLS of ${url.host} was not accepted: ${what} (${code}). ${hint}`,
      options,
    );
  }
  const refusal = /^Proxy response \((\d+)\)/.exec(what)?.[1];
  if (proxy !== undefined && refusal !== undefined) {
    const hint = refusal === '407' ? 'check user and password of the setting `proxy`' : 'may it go there?';
    return new PhsyncError(
      `${codePrefix}-proxy`,
      `the proxy ${proxy} does not connect to ${url.host}: HTTP status ${refusal}; ${hint}`,
      { ...options, facts: { ...options.facts, proxy, status: Number(refusal) } },
    );
  }
  const through = proxy === undefined ? '' : ` through the proxy ${proxy}`;
  return new PhsyncError(`${codePrefix}-unreachable`, `${url.origin} cannot be reached${through}: ${what}`, options);
}
