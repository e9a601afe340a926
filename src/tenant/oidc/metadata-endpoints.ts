/** Metadata beside oidc-provider's own: instance discovery, user realm, and the page that error_uri points at. */

import type { FastifyInstance } from 'fastify';
import { isThisTenant, type TenantContext } from '../context.js';
import type { SignIn } from '../sign-in/types.js';
import { endpointPaths } from './endpoint-paths.js';
import { correlationIdOf, describeAadsts, isAadstsCode, oauthError } from './oauth-error.js';

export interface MetadataOptions {
  readonly context: TenantContext;
  readonly signIn: Pick<SignIn, 'realm'>;
}

export function registerMetadataEndpoints(server: FastifyInstance, { context, signIn }: MetadataOptions): void {
  // MSAL asks which names one authority has; here it is one.
  server.get('/common/discovery/instance', async () => {
    const { host } = new URL(context.baseUrl());
    return {
      tenant_discovery_endpoint: `${context.baseUrl()}${endpointPaths(context.store.tenantId).discovery}`,
      'api-version': '1.1',
      metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
    };
  });
  server.get<{ Params: { tenant: string; name: string } }>('/:tenant/userrealm/:name', async (request, reply) => {
    const { tenant, name } = request.params;
    if (!isThisTenant(context, tenant)) {
      const correlationId = correlationIdOf(request.headers);
      const told = { baseUrl: context.baseUrl(), now: context.now(), correlationId, subject: tenant };
      const { status, body } = oauthError(90002, told);
      return reply.code(status).send(body);
    }
    const realm = await signIn.realm(name);
    const common = {
      ver: '1.0',
      domain_name: name.slice(name.lastIndexOf('@') + 1).toLowerCase(),
      cloud_instance_name: new URL(context.baseUrl()).host,
      cloud_audience_urn: 'urn:federation:MicrosoftOnline',
    };
    return realm.type === 'managed'
      ? { ...common, account_type: 'Managed' }
      : { ...common, account_type: 'Federated', federation_protocol: 'SAML20', AuthURL: realm.url };
  });
  server.get<{ Querystring: { code?: unknown } }>('/error', async (request, reply) => {
    const code = Number(request.query.code);
    reply.type('text/plain; charset=utf-8');
    if (isAadstsCode(code)) return `${describeAadsts(code, '…')}\n`;
    return reply.code(404).send('No such error code.\n');
  });
}
