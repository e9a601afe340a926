/** Who may call what: Graph's permissions, delegated (`scp`) and of applications (`roles`). */

import type { Caller } from '../oidc/caller.js';
import { denied } from './error.js';

/** Any one of a list is enough; an empty list: not offered to that kind of caller. */
export interface Permissions {
  readonly delegated: readonly string[];
  readonly application: readonly string[];
}

/** The same for both kinds. */
export const both = (...names: readonly string[]): Permissions => ({ delegated: names, application: names });
export const delegatedOnly = (...names: readonly string[]): Permissions => ({ delegated: names, application: [] });

export function isPermitted(caller: Caller, { delegated, application }: Permissions): boolean {
  return caller.kind === 'user'
    ? delegated.some((name) => caller.scopes.has(name))
    : application.some((name) => caller.roles.has(name));
}

/** @throws GraphError 403 */
export function demand(caller: Caller, permissions: Permissions): void {
  if (!isPermitted(caller, permissions)) throw denied();
}
