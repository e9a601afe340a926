/** The agent's side of the wire: its long polls and results, as HTTPS requests of its own making. */

import type { Dispatcher } from 'undici';
import { PhsyncError } from '../../hasher/errors.js';
import { type HttpReply, type HttpSettings, openDispatcher, post, retryAfterMs } from '../../provisioning/http.js';
import {
  agentsSchema,
  type HandOver,
  handOverSchema,
  POLL_SECONDS,
  type Poll,
  WRITE_BACK_PATH,
  type WritebackAgentsReply,
  type WriteResult,
} from '../../provisioning/write-back.js';
import type { OpenTenantClient } from '../tenant-client.js';

export interface WritebackTenant {
  /** Undefined: there was nothing to do for POLL_SECONDS. */
  next(poll: Poll, signal: AbortSignal): Promise<HandOver | undefined>;
  /** False: nobody waits for it any more. */
  result(id: string, result: WriteResult): Promise<boolean>;
  /** This client's agents that ask, as the tenant knows them. */
  agents(): Promise<WritebackAgentsReply>;
  close(): Promise<void>;
}

const MAX_REPLY = 64 * 1024;
const TIMEOUT_MS = (POLL_SECONDS + 20) * 1000;
const RESULT_TIMEOUT_MS = 8000;

/** Errors are PhsyncErrors: `writeback-feature-off`, `writeback-refused`, `writeback-busy`, and those of the token. */
export function openWritebackTenant(
  provisioningUrl: string,
  { credentials, connection }: Pick<OpenTenantClient, 'credentials' | 'connection'>,
  now: () => number,
): WritebackTenant {
  const { ca, caFile, proxy } = connection;
  const dispatcher: Dispatcher = openDispatcher(ca, proxy);
  const settings: HttpSettings = {
    dispatcher,
    codePrefix: 'writeback',
    timeoutMs: TIMEOUT_MS,
    maxReplyBytes: MAX_REPLY,
    caFile,
    proxy: proxy && new URL(proxy.url).host,
  };

  async function call(path: string, body: unknown, timeoutMs: number, signal?: AbortSignal): Promise<HttpReply> {
    const url = new URL(`${WRITE_BACK_PATH}/${path}`, provisioningUrl);
    const send = async (force: boolean) => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${await credentials.token(force)}` };
      return post({ ...settings, timeoutMs }, url, headers, JSON.stringify(body), signal);
    };
    const reply = await send(false);
    // Keys change, and a tenant that was made anew has others.
    return reply.status === 401 ? send(true) : reply;
  }

  return {
    async next(poll, signal) {
      const reply = await call('next', poll, TIMEOUT_MS, signal);
      if (reply.status === 204) return undefined;
      const json = jsonOf(reply);
      const handOver = handOverSchema.safeParse(json);
      if (reply.status === 200 && handOver.success) return handOver.data;
      throw refusal(reply, json, now());
    },
    async result(id, result) {
      const reply = await call(`${id}/result`, result, RESULT_TIMEOUT_MS);
      if (reply.status === 204) return true;
      if (reply.status === 410) return false;
      throw refusal(reply, jsonOf(reply), now());
    },
    async agents() {
      const url = new URL(`${WRITE_BACK_PATH}/agents`, provisioningUrl);
      const authorization = `Bearer ${await credentials.token()}`;
      const reply = await post({ ...settings, timeoutMs: RESULT_TIMEOUT_MS }, url, { authorization }, '');
      const json = jsonOf(reply);
      const agents = agentsSchema.safeParse(json);
      if (reply.status === 200 && agents.success) return agents.data;
      throw refusal(reply, json, now());
    },
    close: () => dispatcher.destroy(),
  };
}

function jsonOf({ body }: HttpReply): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // Told by the status; the parser's message quotes the text.
    return undefined;
  }
}

function refusal(reply: HttpReply, json: unknown, now: number): PhsyncError {
  const { status } = reply;
  const { error } = (json ?? {}) as { error?: unknown };
  const reason = typeof error === 'string' && /^[\w-]{1,64}$/.test(error) ? error : undefined;
  const facts = { status, reason, retryAfterMs: retryAfterMs(reply.retryAfter, now) };
  if (status === 403 && reason === 'feature_off') {
    return new PhsyncError('writeback-feature-off', 'the feature PasswordWriteBack is off in the tenant', { facts });
  }
  if (status === 403 && reason === 'domain_not_own') {
    return new PhsyncError(
      'writeback-domain',
      'the tenant does not let this agent act for all of its domains: agents[].domains of tenant.yaml must name them',
      { facts },
    );
  }
  if (status === 404) {
    return new PhsyncError('writeback-unknown', 'the tenant has no password write-back (HTTP status 404)', { facts });
  }
  if (status === 429 || status >= 500) {
    return new PhsyncError('writeback-busy', `the tenant is busy (HTTP status ${status})`, { facts });
  }
  return new PhsyncError(
    'writeback-refused',
    `the tenant refuses this agent's polls for passwords: HTTP status ${status}${reason === undefined ? '' : `, ${reason}`}`,
    { facts },
  );
}
