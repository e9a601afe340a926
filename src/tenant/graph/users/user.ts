/** Graph's user: the properties that the tenant keeps, and what they are read from. */

import type { Selectable } from 'kysely';
import type { UsersTable } from '../../store/tables.js';
import { sidOf } from '../../store/user-row.js';
import { iso, isoOrNull } from '../odata/page.js';
import { flag, flagOrNull, guid, Resource, text, textOrNull, time, timeOrNull } from '../odata/resource.js';

/** A row of users, beside it when the password was last changed. */
export type UserRow = Selectable<UsersTable> & { readonly password_changed_at: number | null };

const isSynchronized = (row: Pick<UserRow, 'source_anchor'>) => row.source_anchor !== null;

export const user = new Resource<UserRow>('user', {
  id: { of: (row) => row.object_id, schema: guid },
  userPrincipalName: { of: (row) => row.user_principal_name, schema: text },
  displayName: { of: (row) => row.display_name, schema: textOrNull },
  givenName: { of: (row) => row.given_name, schema: textOrNull },
  surname: { of: (row) => row.surname, schema: textOrNull },
  mail: { of: (row) => row.mail, schema: textOrNull },
  accountEnabled: { of: (row) => row.account_enabled === 1, schema: flag, onSelect: true },
  userType: { of: () => 'Member', schema: text, onSelect: true },
  passwordPolicies: { of: (row) => row.password_policies, schema: textOrNull, onSelect: true },
  // Graph never says it again.
  passwordProfile: { of: () => null, schema: textOrNull, onSelect: true },
  lastPasswordChangeDateTime: { of: (row) => isoOrNull(row.password_changed_at), schema: timeOrNull, onSelect: true },
  signInSessionsValidFromDateTime: {
    of: (row) => iso(row.sessions_valid_from ?? row.created_at),
    schema: time,
    onSelect: true,
  },
  createdDateTime: { of: (row) => iso(row.created_at), schema: time, onSelect: true },
  // Graph has null, not false, for a user of the cloud alone.
  onPremisesSyncEnabled: { of: (row) => (isSynchronized(row) ? true : null), schema: flagOrNull, onSelect: true },
  onPremisesImmutableId: { of: (row) => row.source_anchor, schema: textOrNull, onSelect: true },
  onPremisesSamAccountName: { of: (row) => row.sam_account_name, schema: textOrNull, onSelect: true },
  onPremisesDistinguishedName: { of: (row) => row.distinguished_name, schema: textOrNull, onSelect: true },
  onPremisesDomainName: { of: (row) => row.dns_domain_name, schema: textOrNull, onSelect: true },
  onPremisesUserPrincipalName: {
    of: (row) => (isSynchronized(row) ? row.user_principal_name : null),
    schema: textOrNull,
    onSelect: true,
  },
  onPremisesSecurityIdentifier: { of: (row) => sidOf(row.security_identifier), schema: textOrNull, onSelect: true },
  onPremisesLastSyncDateTime: {
    of: (row) => (isSynchronized(row) ? iso(row.updated_at) : null),
    schema: timeOrNull,
    onSelect: true,
  },
});
