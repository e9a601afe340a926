/** Scopes between Entra's spelling outside and oidc-provider's resource servers inside. */

import type { Application } from './applications.js';
import { GRAPH_RESOURCE } from './caller.js';
import { OIDC_SCOPES, parseScopes } from './scopes.js';

/**
 * `offline_access` within: oidc-provider drops the standard's name where `prompt=consent` does not come with it
 * (Core 11), and Entra does not ask for that.
 */
export const OFFLINE = 'offline';
const STANDARD_OFFLINE = 'offline_access';

/** The resource of tokens that are for the application itself. */
export const ownResource = (clientId: string) => `urn:application:${encodeURIComponent(clientId)}`;

/** What a request's `scope` is to oidc-provider. */
export function scopeWithin(scope: string | undefined, application: Application): { scope: string; resource: string } {
  const { oidc, graph, other, refused, resource } = parseScopes(scope, application);
  return {
    scope: [...oidc.map((name) => (name === STANDARD_OFFLINE ? OFFLINE : name)), ...graph, ...other, ...refused].join(
      ' ',
    ),
    resource: resource ?? ownResource(application.clientId),
  };
}

/** `granted` as it is told to the client: in the words that it asked with, where it asked. */
export function scopeOutside(granted: string, asked: string | undefined): string {
  const words = (asked ?? '').split(' ').filter((word) => word !== '');
  const names = granted.split(' ').filter((word) => word !== '');
  const spelled = names.map((name) => {
    if (name === OFFLINE) return STANDARD_OFFLINE;
    return words.find((word) => word === `${GRAPH_RESOURCE}/${name}`) ?? name;
  });
  return [...new Set([...spelled, ...words.filter((word) => word.endsWith('/.default'))])].join(' ');
}

/** All that a token for `resource` may carry; an application's own scopes are what it asks for. */
export function resourceScopes(resource: string, { delegated }: Application, asked: string): string[] {
  const common = [...OIDC_SCOPES, OFFLINE];
  if (resource === GRAPH_RESOURCE) return [...common, ...delegated];
  return [...new Set([...common, ...asked.split(' ').filter((word) => word !== '')])];
}
