/** A user's row, as both databases have it: columns, values going in, and what is read out. */

import type { Selectable } from 'kysely';
import { sidToText } from '../../protocol/dtyp/sid.js';
import type { UserAttributes } from './changes.js';
import type { LookUp } from './look-up.js';
import type { SignInUser } from './store.js';
import type { CredentialsTable, UsersTable } from './tables.js';

/** Attributes and their columns, in the order in which they stand in statements. */
export const attributeColumns = [
  ['userPrincipalName', 'user_principal_name'],
  ['displayName', 'display_name'],
  ['givenName', 'given_name'],
  ['surname', 'surname'],
  ['mail', 'mail'],
  ['accountEnabled', 'account_enabled'],
  ['onPremisesSamAccountName', 'sam_account_name'],
  ['onPremisesDistinguishedName', 'distinguished_name'],
  ['onPremisesSecurityIdentifier', 'security_identifier'],
  ['dnsDomainName', 'dns_domain_name'],
  ['netBiosName', 'netbios_name'],
  ['lastPasswordChange', 'last_password_change'],
] as const satisfies readonly (readonly [keyof UserAttributes, string])[];

/** Their places there. */
export const [USER_PRINCIPAL_NAME, ACCOUNT_ENABLED] = [0, 5];

/**
 * SQL of `users`: who came from on premises. Agents name users by their object ids, too; a password on premises is none of
 * a user of the cloud alone, who may be the one that the directory there is to have no power over.
 */
export const SYNCHRONIZED = 'source_anchor IS NOT NULL';

export function toColumn(value: UserAttributes[keyof UserAttributes]): string | number | Uint8Array | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value instanceof Date ? value.getTime() : value;
}

/** What is read of a user wherever somebody is shown or signs in. */
export const personColumns = [
  'object_id',
  'user_principal_name',
  'display_name',
  'given_name',
  'surname',
  'mail',
  'account_enabled',
] as const satisfies readonly (keyof UsersTable)[];

type User = Selectable<UsersTable>;
export type PersonRow = Readonly<Pick<User, (typeof personColumns)[number]>>;

/** By userPrincipalNameKey(). */
export const SIGN_IN: LookUp<[string], SignInRow> = {
  name: 'sign_in',
  types: ['text'],
  sql: (nameKey) => `
  SELECT id, source_anchor, ${personColumns.join(', ')},
    password_policies, salt, iterations, hash, changed_at, force_change, origin, last_password_change
  FROM users LEFT JOIN credentials ON user_id = id
  WHERE upn_key = ${nameKey} AND deleted_at IS NULL`,
};

export interface SignInRow
  extends PersonRow,
    Readonly<Pick<User, 'id' | 'source_anchor' | 'password_policies' | 'last_password_change'>>,
    Readonly<Pick<Selectable<CredentialsTable>, 'iterations' | 'hash' | 'changed_at' | 'origin'>> {
  /** Null, and the other parts of a credential as well: there is none. */
  readonly salt: Uint8Array | null;
  readonly force_change: number | null;
}

/** `lastPasswordChange` of a user who must change the password at the first sign-in: the beginning of FILETIME. */
const MUST_CHANGE = Date.UTC(1601, 0, 1);

export function toSignInUser(row: SignInRow): SignInUser {
  const { salt, iterations, hash } = row;
  return {
    id: row.id,
    objectId: row.object_id,
    userPrincipalName: row.user_principal_name,
    displayName: row.display_name,
    givenName: row.given_name,
    surname: row.surname,
    mail: row.mail,
    accountEnabled: row.account_enabled === 1,
    credential: salt === null ? undefined : { salt, iterations, hash },
    forcePasswordChangeOnLogon: salt === null ? row.last_password_change === MUST_CHANGE : row.force_change === 1,
    passwordPolicies: row.password_policies,
    synchronized: row.source_anchor !== null,
    passwordOrigin: salt === null ? undefined : row.origin,
    passwordChanged: salt === null ? undefined : new Date(row.changed_at),
  };
}

/** Bytes came as they are over the provisioning wire: what is no SID is none. */
export function sidOf(bytes: Uint8Array | null): string | null {
  if (bytes === null) return null;
  try {
    return sidToText(bytes);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
