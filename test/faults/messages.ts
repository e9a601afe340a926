/** Messages of the provisioning service that the faulty way to the tenant makes up or takes apart. */

import { decodeReply, encodeRequest } from '#src/provisioning/client-codec.js';
import {
  CONTENT_TYPE,
  decodeRequest,
  encodeFault,
  encodeResponse,
  type KnownRequest,
} from '#src/provisioning/server-codec.js';
import { CredentialResult } from '#src/provisioning/types.js';
import type { Random } from './random.js';

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** When each user's password of a batch was changed, by source anchor; nobody's for other requests. */
export function datesOf(body: Buffer): ReadonlyMap<string, number> {
  if (!body.includes('ProvisionCredentials')) return new Map();
  const request = decodeRequest(body);
  const items = request.operation === 'ProvisionCredentials' ? request.body.items : [];
  return new Map(items.map(({ sourceAnchor, changeDate }) => [sourceAnchor!, changeDate.getTime()]));
}

/**
 * Some of a batch reach the tenant; of the others the answer says that the tenant failed on them, or does not know them.
 * Any other request is forwarded as it is.
 */
export async function partly(body: Buffer, random: Random, forward: (body: Buffer) => Promise<Reply>): Promise<Reply> {
  const request = decodeRequest(body) as KnownRequest;
  if (request.operation === 'ProvisionCredentials') {
    const taken = request.body.items.map(() => random.chance(0.6));
    const items = request.body.items.filter((_, i) => taken[i]);
    const reply = await ask(forward, request, 'ProvisionCredentials', { items });
    if (reply.fault !== undefined) return forward(body);
    const answers = reply.result.results.values();
    const results = request.body.items.map(({ cloudAnchor, sourceAnchor }, i) =>
      taken[i]
        ? answers.next().value!
        : {
            cloudAnchor,
            sourceAnchor,
            result: random.pick([CredentialResult.temporaryFailure, CredentialResult.anchorNotFound]),
            extendedErrorInformation: 'simulated',
          },
    );
    return soap(encodeResponse({ operation: 'ProvisionCredentials', header: request.header }, { results }));
  }
  if (request.operation === 'ProvisionAzureADSyncObjects') {
    const taken = request.body.objects.map(() => random.chance(0.6));
    const objects = request.body.objects.filter((_, i) => taken[i]);
    const reply = await ask(forward, request, 'ProvisionAzureADSyncObjects', { objects });
    if (reply.fault !== undefined) return forward(body);
    const answers = reply.result.results.values();
    const results = request.body.objects.map(({ propertyValues }, i) =>
      taken[i]
        ? answers.next().value!
        : {
            resultCode: 'TemporaryFailure',
            resultErrorDescription: 'simulated',
            cloudAnchor: undefined,
            sourceAnchor: String(propertyValues.get('SourceAnchor')),
          },
    );
    return soap(encodeResponse({ operation: 'ProvisionAzureADSyncObjects', header: request.header }, { results }));
  }
  return forward(body);
}

async function ask<Name extends 'ProvisionCredentials' | 'ProvisionAzureADSyncObjects'>(
  forward: (body: Buffer) => Promise<Reply>,
  { header }: KnownRequest,
  name: Name,
  body: Parameters<typeof encodeRequest<Name>>[1],
) {
  const { messageId, to, syncToken } = header;
  return decodeReply(name, (await forward(encodeRequest(name, body, { messageId, to, syncToken: syncToken! }))).body);
}

const soap = (body: Buffer): Reply => ({ status: 200, contentType: CONTENT_TYPE, body });

export function faultReply(
  request: Buffer,
  code: 'Sender' | 'Receiver',
  errorCode: string | number,
  subcode?: string,
): Reply {
  const body = encodeFault(
    {
      code,
      ...(subcode === undefined ? {} : { subcode }),
      reason: 'simulated',
      errorCode,
      errorDescription: 'simulated by the tests',
      trackingId: 'simulated',
      serverName: 'faulty-tenant',
    },
    decodeRequest(request),
  );
  return { status: 500, contentType: CONTENT_TYPE, body };
}
