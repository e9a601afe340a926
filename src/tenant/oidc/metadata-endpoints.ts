/** OpenID Connect Discovery 1.0 (section 3) and the JWK set (RFC 7517), and the page that error_uri points at. */

import type { FastifyInstance, FastifyReply } from 'fastify';
import { issuerOf, isThisTenant, type TenantContext } from '../context.js';
import { correlationIdOf, describeAadsts, isAadstsCode, oauthError } from './oauth-error.js';
import { SIGNING_ALGORITHM, type SigningKey } from './signing-key.js';

export function registerMetadataEndpoints(server: FastifyInstance, context: TenantContext, key: SigningKey): void {
  const forTenant = (path: string, document: () => object) => {
    server.get<{ Params: { tenant: string } }>(`/:tenant${path}`, async (request, reply) => {
      const { tenant } = request.params;
      return isThisTenant(context, tenant)
        ? document()
        : tenantNotFound(reply, context, tenant, correlationIdOf(request.headers));
    });
  };
  const keys = { keys: [key.publicJwk] };
  forTenant('/discovery/v2.0/keys', () => keys);
  forTenant('/v2.0/.well-known/openid-configuration', () => {
    const base = `${context.baseUrl()}/${context.store.tenantId}`;
    return {
      issuer: issuerOf(context),
      token_endpoint: `${base}/oauth2/v2.0/token`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
      token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
      grant_types_supported: ['password', 'client_credentials'],
      response_types_supported: [],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [SIGNING_ALGORITHM],
      scopes_supported: ['openid', 'profile', 'email'],
      claims_supported: ['sub', 'iss', 'aud', 'exp', 'iat', 'tid', 'oid', 'preferred_username', 'name', 'email'],
    };
  });
  server.get<{ Querystring: { code?: unknown } }>('/error', async (request, reply) => {
    const code = Number(request.query.code);
    reply.type('text/plain; charset=utf-8');
    if (isAadstsCode(code)) return `${describeAadsts(code, '…')}\n`;
    return reply.code(404).send('No such error code.\n');
  });
}

function tenantNotFound(reply: FastifyReply, context: TenantContext, tenant: string, correlationId: string): object {
  const { status, body } = oauthError(90002, {
    baseUrl: context.baseUrl(),
    now: context.now(),
    correlationId,
    subject: tenant,
  });
  reply.code(status);
  return body;
}
