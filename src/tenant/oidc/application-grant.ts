/**
 * Client credentials (RFC 6749 4.4): agents for the provisioning service, readers for Domain Services' feed, applications
 * for Graph in their own name.
 */

import { DOMAIN_SERVICES_RESOURCE, DOMAIN_SERVICES_ROLE } from '../../provisioning/domain-services-feed.js';
import type { TenantContext } from '../context.js';
import type { Application } from './applications.js';
import { GRAPH_RESOURCE } from './caller.js';
import type { Form } from './client-authentication.js';
import type { Answer } from './grant-answer.js';
import {
  applicationAccessClaims,
  PROVISIONING_RESOURCE,
  PROVISIONING_ROLE,
  TOKEN_LIFETIME,
  type Tokens,
} from './tokens.js';

/** Whose tokens are for one resource, and the role in them. */
const OWN: Readonly<Partial<Record<Application['kind'], readonly [resource: string, roles: readonly string[]]>>> = {
  agent: [PROVISIONING_RESOURCE, [PROVISIONING_ROLE]],
  reader: [DOMAIN_SERVICES_RESOURCE, [DOMAIN_SERVICES_ROLE]],
};

export async function applicationGrant(
  form: Form,
  application: Application,
  { context, tokens }: { readonly context: TenantContext; readonly tokens: Tokens },
): Promise<Answer> {
  const { clientId, kind, permissions } = application;
  // Whoever has no secret cannot act in its own name.
  if (!application.confidential) return { code: 700016, subject: clientId };
  // Entra's form for an application: the resource with `/.default`. It insists on the parameter; RFC 6749 3.3 does not.
  const [fallback, ownRoles] = OWN[kind] ?? [GRAPH_RESOURCE, [...permissions]];
  const asked = (form.get('scope') ?? fallback).replace(/\/?\/\.default$/, '');
  const resource = asked === context.baseUrl() ? fallback : asked;
  const roles = resource === fallback ? ownRoles : resource === GRAPH_RESOURCE ? [...permissions] : undefined;
  if (roles === undefined) return { code: 500011, subject: asked };
  const claims = applicationAccessClaims(tokens.tenantId, clientId, roles);
  const accessToken = await tokens.accessToken(resource, clientId, claims);
  context.log.info({ clientId, resource }, 'token issued to an application');
  return {
    body: {
      token_type: 'Bearer',
      expires_in: TOKEN_LIFETIME,
      ext_expires_in: TOKEN_LIFETIME,
      access_token: accessToken,
    },
  };
}
