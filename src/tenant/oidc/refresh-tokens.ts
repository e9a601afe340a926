/** Refresh tokens (RFC 6749 6) for who signed in past oidc-provider, and redeemed by it. */

import type { Provider } from 'oidc-provider';
import { GRAPH_RESOURCE } from './caller.js';
import { libraryTime } from './library.js';
import { OFFLINE, ownResource } from './provider-scopes.js';

export interface RefreshTokenRequest {
  readonly clientId: string;
  readonly objectId: string;
  /** Of the access token; whose it is. */
  readonly audience: string;
  readonly scopes: readonly string[];
}

export async function issueRefreshToken(provider: Provider, request: RefreshTokenRequest): Promise<string> {
  const { clientId, objectId, audience, scopes } = request;
  const client = await provider.Client.find(clientId);
  if (client === undefined) throw new Error(`no client ${clientId}`);
  const scope = [...scopes, OFFLINE].join(' ');
  const resource = audience === GRAPH_RESOURCE ? GRAPH_RESOURCE : ownResource(clientId);
  const grant = new provider.Grant({ accountId: objectId, clientId });
  grant.addOIDCScope(scope);
  grant.addResourceScope(resource, scope);
  const token = new provider.RefreshToken({
    client,
    accountId: objectId,
    grantId: await grant.save(),
    gty: 'password',
    scope,
    resource,
    amr: ['pwd'],
    authTime: libraryTime(),
    expiresWithSession: false,
  });
  return token.save();
}
