/** The permissions that any call here asks for: what tenant.yaml gives beyond them is of no use, and most likely mistyped. */

import { similar } from '../../config/similar.js';
import { graphRoutes } from './routes.js';

/** Asked for within calls, on whom they bear. */
const WITHIN_CALLS = ['RoleManagement.ReadWrite.Directory', 'Directory.AccessAsUser.All'];

const known = [
  ...new Set([
    ...graphRoutes.flatMap(({ permissions: { delegated, application } }) => [...delegated, ...application]),
    ...WITHIN_CALLS,
  ]),
].sort();

/** Undefined: a name that some call asks for. Otherwise the nearest one, or an empty text. */
export function unknownPermission(name: string): { readonly nearest: string } | undefined {
  return known.includes(name) ? undefined : { nearest: similar(name, known) ?? '' };
}
