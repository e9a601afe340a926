/** `/passwordwriteback/v1`: where agents ask for passwords to set, and say what became of them. A protocol of phsync's own. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { z } from 'zod';
import {
  POLL_SECONDS,
  pollSchema,
  resultSchema,
  WRITE_BACK_PATH,
  type WritebackAgentsReply,
} from '../../provisioning/write-back.js';
import { agentName } from './agents.js';
import type { Writeback } from './write-back.js';

export type AgentToken =
  | { readonly ok: true; readonly clientId: string }
  | { readonly ok: false; readonly reason: 'invalid' | 'expired' | 'role' };

export interface WritebackEndpointOptions {
  readonly writeback: Writeback;
  /** Whose token it is; `role`: somebody's who may not provision. */
  readonly verifyAgentToken: (token: string) => Promise<AgentToken>;
  readonly log: Logger;
  readonly now: () => Date;
  /** Seconds; for tests, which do not wait as long. */
  readonly pollSeconds?: number | undefined;
}

/** A public key, and the names of at most 64 domains. */
const MAX_BODY = 32 * 1024;
/** Who does not come back within is gone. */
const GONE_MS = 5000;

const idSchema = z.strictObject({ id: z.uuid() });

/** Within a scope of its own: its JSON is nobody else's. */
export function registerWritebackEndpoints(server: FastifyInstance, options: WritebackEndpointOptions): void {
  const { writeback } = options;
  server.addHook('preClose', () => writeback.close());
  server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      'application/json',
      { parseAs: 'string', bodyLimit: MAX_BODY },
      (_request, text, done) => {
        let value: unknown;
        try {
          value = JSON.parse(String(text));
        } catch {
          // Answered by the schemas, without the parser's message, which quotes the text.
        }
        done(null, value);
      },
    );
    scope.post(
      `${WRITE_BACK_PATH}/agents`,
      { onRequest: (request, reply) => admit(request, reply, options) },
      (request) => agents(request, options),
    );
    scope.post(
      `${WRITE_BACK_PATH}/next`,
      { onRequest: (request, reply) => admit(request, reply, options) },
      (request, reply) => next(request, reply, options),
    );
    scope.post(
      `${WRITE_BACK_PATH}/:id/result`,
      { onRequest: (request, reply) => admit(request, reply, options) },
      (request, reply) => result(request, reply, options),
    );
  });
}

/** Who was admitted. */
const clientIds = new WeakMap<FastifyRequest, string>();

async function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  { verifyAgentToken, log }: WritebackEndpointOptions,
) {
  const token = /^Bearer ([\w.~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1];
  const checked = token === undefined ? ({ ok: false, reason: 'invalid' } as const) : await verifyAgentToken(token);
  if (checked.ok) {
    clientIds.set(request, checked.clientId);
    return;
  }
  log.warn({ reason: checked.reason }, 'password write-back: an agent was refused');
  if (checked.reason === 'role') return refuse(reply, 403, 'access_denied', 'Only an agent may do this.');
  reply.header('www-authenticate', 'Bearer error="invalid_token"');
  return refuse(reply, 401, 'invalid_token', 'The access token is missing, invalid or expired.');
}

function refuse(reply: FastifyReply, status: number, error: string, description: string) {
  return reply.code(status).send({ error, error_description: description });
}

async function next(request: FastifyRequest, reply: FastifyReply, options: WritebackEndpointOptions) {
  const { writeback, log, pollSeconds = POLL_SECONDS } = options;
  const poll = pollSchema.safeParse(request.body);
  if (!poll.success) return refuse(reply, 400, 'invalid_request', z.prettifyError(poll.error));
  if (!(await writeback.isOn())) {
    return refuse(reply, 403, 'feature_off', 'The feature PasswordWriteBack is off in this tenant.');
  }
  const clientId = clientIds.get(request)!;
  const { instance, domains } = poll.data;
  const foreign = writeback.agents.foreign(clientId, poll.data);
  if (foreign !== undefined) {
    log.warn(
      { clientId, domain: foreign },
      'password write-back: an agent asked for passwords of a domain not its own',
    );
    const words = `This agent may not act for the domain ${foreign}: agents[].domains of tenant.yaml does not name it.`;
    return refuse(reply, 403, 'domain_not_own', words);
  }
  if (await writeback.agents.seen(clientId, poll.data)) {
    log.info({ clientId, instance, domains }, 'password write-back: an agent has registered');
  }
  const name = agentName(clientId, instance);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), pollSeconds * 1000);
  const left = () => {
    if (reply.raw.writableFinished) return;
    over.abort();
    // It may be about to come back on another connection.
    setTimeout(() => {
      if (writeback.broker.isPolling(name)) return;
      writeback.agents.gone(clientId, instance).then(
        (gone) => gone && log.warn({ clientId, instance, domains }, 'password write-back: an agent has left'),
        (err) => log.warn({ err }, 'password write-back: an agent that left could not be taken off the list'),
      );
    }, GONE_MS).unref();
  };
  reply.raw.once('close', left);
  try {
    const handOver = await writeback.broker.next(name, over.signal);
    return handOver === undefined ? reply.code(204).send() : reply.send(handOver);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return refuse(reply.header('retry-after', '5'), 429, 'too_many_requests', 'Too many polls at once.');
  } finally {
    clearTimeout(timer);
  }
}

async function agents(
  request: FastifyRequest,
  { writeback, now }: WritebackEndpointOptions,
): Promise<WritebackAgentsReply> {
  const own = (await writeback.agents.alive()).filter(({ clientId }) => clientId === clientIds.get(request));
  return {
    feature: await writeback.isOn(),
    agents: own.slice(0, 100).map(({ domains, seenAt }) => ({
      domains: [...domains],
      secondsAgo: Math.max(Math.round((now().getTime() - seenAt) / 1000), 0),
    })),
  };
}

async function result(request: FastifyRequest, reply: FastifyReply, { writeback }: WritebackEndpointOptions) {
  const params = idSchema.safeParse(request.params);
  const body = resultSchema.safeParse(request.body);
  if (!params.success || !body.success) {
    return refuse(reply, 400, 'invalid_request', z.prettifyError((params.error ?? body.error)!));
  }
  const { instance, outcome } = body.data;
  const name = agentName(clientIds.get(request)!, instance);
  if (await writeback.broker.result(name, params.data.id, outcome)) return reply.code(204).send();
  return refuse(reply, 410, 'gone', 'Nobody waits for this result: it is late, or was given before.');
}
