/** POST /provisioningservice.svc: opens the request, checks its bearer token, runs the operation, answers or faults. */

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { PhsyncError } from '../../hasher/errors.js';
import { ProtocolError } from '../../protocol/errors.js';
import {
  CONTENT_TYPE,
  encodeFault,
  encodeResponse,
  type OpenedRequest,
  openRequest,
  type ProvisioningFault,
} from '../../provisioning/server-codec.js';
import { ProvisioningErrorCode } from '../../provisioning/types.js';
import type { TenantContext } from '../context.js';
import type { AgentTokenResult } from '../oidc/access-tokens.js';
import { readBody } from './body.js';
import { execute, OperationFault } from './operations.js';

export interface ProvisioningEndpointOptions {
  readonly context: TenantContext;
  readonly verifyAgentToken: (token: string) => Promise<AgentTokenResult>;
  /** Goes into faults: which of several servers answered. */
  readonly serverName: string;
}

export const PROVISIONING_PATH = '/provisioningservice.svc';

interface Answer {
  readonly status: 200 | 500;
  readonly body: Buffer;
}

export function registerProvisioningEndpoint(server: FastifyInstance, options: ProvisioningEndpointOptions): void {
  // What is wrong with a head is told when it is answered.
  const isAgent = (head: Buffer) =>
    Promise.resolve(head)
      .then((bytes) => authenticate(openRequest(bytes), options))
      .then(
        () => true,
        () => false,
      );
  server.addContentTypeParser(CONTENT_TYPE, (request: FastifyRequest, payload: IncomingMessage) =>
    readBody(payload, request.headers['content-length'], isAgent),
  );
  server.post(PROVISIONING_PATH, async (request, reply) => {
    if (!Buffer.isBuffer(request.body)) return reply.code(415).send();
    const { status, body } = await answer(request.body, options);
    return reply.code(status).type(CONTENT_TYPE).send(body);
  });
}

type FaultWords = Pick<Extract<ProvisioningFault, { code: string }>, 'code' | 'subcode' | 'errorCode'> & {
  readonly description: string;
};

async function answer(bytes: Buffer, options: ProvisioningEndpointOptions): Promise<Answer> {
  const { context } = options;
  const began = performance.now();
  let opened: OpenedRequest | undefined;
  try {
    opened = openRequest(bytes);
    const clientId = await authenticate(opened, options);
    const request = opened.body();
    if (request.operation === undefined) {
      throw new OperationFault(true, 'OperationNotSupported', `${request.name.slice(0, 64)} is not offered here.`);
    }
    const { result, items, refused } = await execute(request, context, clientId);
    const body = encodeResponse(request, result as never);
    const milliseconds = Math.round(performance.now() - began);
    context.metrics.provisioning(request.operation, { items: items ?? 0, refused: refused ?? 0 });
    context.log.info({ operation: request.operation, clientId, items, refused, milliseconds }, 'provisioning');
    return { status: 200, body };
  } catch (error) {
    return { status: 500, body: fault(error, opened, options) };
  }
}

/** The agent's client id. @throws Unauthorized */
async function authenticate(opened: OpenedRequest, { verifyAgentToken }: ProvisioningEndpointOptions): Promise<string> {
  const token = opened.header.syncToken?.bearerToken ?? '';
  if (token === '') throw new Unauthorized('missing');
  const checked = await verifyAgentToken(token);
  if (!checked.ok) throw new Unauthorized(checked.reason);
  return checked.clientId;
}

class Unauthorized extends Error {
  override readonly name = 'Unauthorized';

  constructor(readonly reason: 'missing' | 'invalid' | 'expired' | 'role') {
    super(`bearer token: ${reason}`);
  }
}

function fault(
  error: unknown,
  opened: OpenedRequest | undefined,
  { context, serverName }: ProvisioningEndpointOptions,
): Buffer {
  const { description, ...words } = faultWords(error);
  const trackingId = trackingIdOf(opened);
  const record = { errorCode: words.errorCode, trackingId, reason: error instanceof Error ? error.message : undefined };
  if (words.code === 'Receiver') context.log.error({ ...record, err: error }, 'provisioning failed');
  else context.log.warn(record, 'provisioning refused');
  return encodeFault({ ...words, reason: description, errorDescription: description, trackingId, serverName }, opened);
}

function faultWords(error: unknown): FaultWords {
  if (error instanceof OperationFault) {
    return { code: error.sender ? 'Sender' : 'Receiver', errorCode: error.errorCode, description: error.message };
  }
  if (error instanceof Unauthorized) {
    const description =
      'Access to the directory was denied. The access token is missing, invalid, expired or lacks the role.';
    // A fresh token would lack the role just the same: the subcode makes the client fetch one.
    return error.reason === 'role'
      ? { code: 'Sender', errorCode: 'AccessDenied', description }
      : { code: 'Sender', subcode: 'InvalidSecurityToken', errorCode: 'AccessDenied', description };
  }
  if (error instanceof ProtocolError) {
    return { code: 'Sender', errorCode: 'InvalidRequest', description: `The request cannot be read: ${error.message}` };
  }
  if (error instanceof PhsyncError && error.code === 'store-busy') {
    const description = 'The directory is busy. Try again.';
    return { code: 'Receiver', errorCode: ProvisioningErrorCode.directoryBusy, description };
  }
  return { code: 'Receiver', errorCode: 'InternalError', description: 'The service failed on this request.' };
}

function trackingIdOf(opened: OpenedRequest | undefined): string {
  const given = opened?.header.syncToken?.trackingId ?? '';
  return /^[0-9A-Za-z-]{1,64}$/.test(given) ? given : randomUUID();
}
