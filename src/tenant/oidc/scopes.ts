/** Scopes as Entra's v2 endpoint takes them: OpenID Connect's own, and Graph's by name, by URI or as `/.default`. */

import type { Application } from './applications.js';
import { GRAPH_RESOURCE } from './caller.js';

/** OpenID Connect Core 5.4 and 11. */
export const OIDC_SCOPES = ['openid', 'profile', 'email', 'offline_access'] as const;

/** What a user may have read in an application's name without being an administrator: itself. */
const EVERYONES_SCOPES: ReadonlySet<string> = new Set(['User.Read']);

const MAX_SCOPES = 64;
/** `User.Read.All`; an application's own scopes are best told by another form. */
const GRAPH_NAME = /^[A-Z][A-Za-z]*(-[A-Za-z]+)*(\.[A-Z][A-Za-z]*(-[A-Za-z]+)*)+$/;
const GRAPH_PREFIX = `${GRAPH_RESOURCE}/`;
const DEFAULT = '.default';

export interface RequestedScopes {
  /** In the order of OIDC_SCOPES. */
  readonly oidc: readonly string[];
  /** Graph's, by short name; `.default` is already spelled out. */
  readonly graph: readonly string[];
  /** Whose tokens are asked for: Graph's, or the application's own. */
  readonly resource: typeof GRAPH_RESOURCE | undefined;
  /** Names that mean nothing here, for the application's own use. */
  readonly other: readonly string[];
  /** Scopes of Graph that this application may not ask for, and of resources that are not here. */
  readonly refused: readonly string[];
}

export function parseScopes(scope: string | undefined, { clientId, delegated }: Application): RequestedScopes {
  const words = [...new Set((scope ?? '').split(' ').filter((word) => word !== ''))].slice(0, MAX_SCOPES);
  const oidc = OIDC_SCOPES.filter((name) => words.includes(name));
  const graph = new Set<string>();
  const other: string[] = [];
  const refused: string[] = [];
  let resource: RequestedScopes['resource'];
  for (const word of words) {
    if ((OIDC_SCOPES as readonly string[]).includes(word)) continue;
    const name = graphName(word);
    if (name === DEFAULT) {
      resource = GRAPH_RESOURCE;
      for (const granted of delegated) graph.add(granted);
    } else if (name !== undefined && delegated.has(name)) {
      resource = GRAPH_RESOURCE;
      graph.add(name);
    } else if (name !== undefined || word.includes('://')) refused.push(word);
    else if (word !== `${clientId}/${DEFAULT}`) other.push(word);
  }
  return { oidc, graph: [...graph], resource, other, refused };
}

/** The short name where the word is one of Graph's scopes, or has the form of one. */
function graphName(word: string): string | undefined {
  if (word.startsWith(GRAPH_PREFIX)) return word.slice(GRAPH_PREFIX.length).replace(/^\/+/, '');
  return GRAPH_NAME.test(word) ? word : undefined;
}

/** Those that a user's token may carry: administrators' scopes only for administrators. */
export function permittedScopes(graph: readonly string[], isAdministrator: boolean): string[] {
  return isAdministrator ? [...graph] : graph.filter((name) => EVERYONES_SCOPES.has(name));
}
