/** The UserInfo endpoint (OpenID Connect Core 5.3), at Entra's address. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { decodeJwt } from 'jose';
import { type Accounts, isPerson } from './accounts.js';
import { type AccessTokens, type Caller, GRAPH_RESOURCE } from './caller.js';
import { personIdClaims } from './tokens.js';

export interface UserinfoOptions {
  readonly tenantId: string;
  readonly accounts: Accounts;
  readonly accessTokens: AccessTokens;
}

export function registerUserinfoEndpoint(server: FastifyInstance, options: UserinfoOptions): void {
  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<object> => {
    reply.header('cache-control', 'no-store');
    const token = /^Bearer ([\w.-]+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const caller = token === undefined ? undefined : await callerOf(token, options.accessTokens);
    const objectId = caller?.scopes.has('openid') ? caller.objectId : undefined;
    const person = objectId === undefined ? undefined : await options.accounts.find(objectId);
    if (caller === undefined || person === undefined || !isPerson(person)) {
      // RFC 6750 3.1
      const refusal = caller === undefined || objectId !== undefined ? 'invalid_token' : 'insufficient_scope';
      reply.code(refusal === 'invalid_token' ? 401 : 403);
      reply.header('www-authenticate', token === undefined ? 'Bearer' : `Bearer error="${refusal}"`);
      return { error: refusal, error_description: 'The access token does not open this.' };
    }
    return { sub: objectId, ...personIdClaims(options.tenantId, person, caller.scopes) };
  };
  server.get('/oidc/userinfo', answer);
  server.post('/oidc/userinfo', answer);
}

/** Of a token for Graph, or for the application that it was given to. */
async function callerOf(token: string, accessTokens: AccessTokens): Promise<Caller | undefined> {
  let audience: unknown;
  try {
    audience = decodeJwt(token).aud;
  } catch {
    // No JWT, so no token of ours.
    return undefined;
  }
  if (typeof audience !== 'string') return undefined;
  const checked = await accessTokens.verifyAccessToken(token, audience);
  if (!checked.ok || ![GRAPH_RESOURCE, checked.caller.clientId].includes(audience)) return undefined;
  return checked.caller;
}
