/** People as tokens speak of them: by object id, and no longer once they are disabled or deleted. */

import type { TenantDatabase } from '../store/database.js';
import type { Find, LookUp } from '../store/look-up.js';
import { type Person, userPrincipalNameKey } from '../store/store.js';
import { type PersonRow, personColumns } from '../store/user-row.js';

export interface Account extends Person {
  /** Milliseconds since 1970: what was begun before is over. */
  readonly sessionsValidFrom: number | null;
}

export type AccountState = 'unknown' | 'disabled' | Account;

/**
 * Whether what was begun then was revoked since. `seconds` since 1970, as tokens have them: what was begun in the very
 * second of the revocation may be either, and is over.
 */
export const isRevoked = ({ sessionsValidFrom }: Account, seconds: number): boolean =>
  sessionsValidFrom !== null && seconds * 1000 < sessionsValidFrom;

interface AccountRow extends PersonRow {
  readonly sessions_valid_from: number | null;
}

/** Prepared: each call with a person's token makes it. */
const ACCOUNT: LookUp<[string], AccountRow> = {
  name: 'account',
  types: ['text'],
  sql: (objectId) =>
    `SELECT ${personColumns.join(', ')}, sessions_valid_from FROM users WHERE object_id = ${objectId} AND deleted_at IS NULL`,
};

export class Accounts {
  readonly #find: Find<[string], AccountRow>;
  readonly #administrators: ReadonlySet<string>;

  /** `administrators`: user principal names. */
  constructor(database: TenantDatabase, administrators: readonly string[]) {
    this.#find = database.lookUp(ACCOUNT);
    this.#administrators = new Set(administrators.map(userPrincipalNameKey));
  }

  async find(objectId: string): Promise<AccountState> {
    const row = await this.#find(objectId);
    if (row === undefined) return 'unknown';
    if (row.account_enabled === 0) return 'disabled';
    return {
      objectId,
      userPrincipalName: row.user_principal_name,
      displayName: row.display_name,
      givenName: row.given_name,
      surname: row.surname,
      mail: row.mail,
      sessionsValidFrom: row.sessions_valid_from,
    };
  }

  isAdministrator({ userPrincipalName }: Pick<Person, 'userPrincipalName'>): boolean {
    return this.#administrators.has(userPrincipalNameKey(userPrincipalName));
  }
}

export const isPerson = (state: AccountState): state is Account => typeof state === 'object';
