/** Passwords that are set in the cloud, in the tenant's database: beside what the on-premises directory last sent, never over a newer one. */

import { sql } from 'kysely';
import type { Credential } from '../../hasher/types.js';
import type { Queries } from '../store/database.js';
import type { SignInUser } from '../store/store.js';
import { CredentialOrigin } from '../store/tables.js';

export interface CloudCredential {
  readonly userId: number;
  readonly credential: Credential;
  readonly forceChange: boolean;
  /** For the history. */
  readonly actor: string;
  readonly at: Date;
  /** When it was changed on premises, where it was written back there: an older change that comes late does not undo it. */
  readonly changeDate?: Date | undefined;
}

/**
 * An administrator's. ChangeDate stays that of the last on-premises change: only a later one overwrites this password.
 */
export async function storeReset(queries: Queries, { userId, credential, ...how }: CloudCredential): Promise<void> {
  const at = how.at.getTime();
  const columns = {
    ...parts(credential),
    force_change: how.forceChange ? 1 : 0,
    origin: CredentialOrigin.reset,
    changed_at: at,
    updated_at: at,
  };
  const row = await queries
    .insertInto('credentials')
    .values({ user_id: userId, change_date: null, ...columns })
    .onConflict((conflict) => conflict.column('user_id').doUpdateSet(columns))
    .returning('change_date')
    .executeTakeFirstOrThrow();
  await note(queries, { userId, credential, ...how }, CredentialOrigin.reset, row.change_date);
}

/**
 * The owner's, who has shown the password of `user` as it was read then. @returns false where another change came
 * between: that is the newer one, and stays.
 */
export async function storeChanged(
  queries: Queries,
  user: SignInUser,
  { userId, credential, changeDate, ...how }: CloudCredential,
): Promise<boolean> {
  const { passwordChanged, passwordOrigin } = user;
  if (passwordChanged === undefined || passwordOrigin === undefined) return false;
  const at = how.at.getTime();
  const onPremises = changeDate?.getTime() ?? null;
  const { salt, hash } = user.credential ?? {};
  const row = await queries
    .updateTable('credentials')
    .set({
      ...parts(credential),
      force_change: how.forceChange ? 1 : 0,
      origin: CredentialOrigin.changed,
      changed_at: at,
      updated_at: at,
      change_date:
        onPremises === null
          ? // Behind the former one, whose date has whole seconds: come late or again, that does not undo this one.
            sql<number>`change_date + 1`
          : sql<number>`CASE WHEN change_date > ${onPremises} THEN change_date ELSE ${onPremises} END`,
    })
    .where('user_id', '=', userId)
    .where(({ and, eb, or }) =>
      or([
        // By the change and not by the digest: the same password may have come anew, under another salt. In the very second
        // of this change, it may be one that is newer still: which of the two, the next synchronization tells.
        and([
          eb('origin', '=', passwordOrigin),
          eb('changed_at', '=', passwordChanged.getTime()),
          ...(onPremises === null || salt === undefined || hash === undefined
            ? []
            : [or([eb('changed_at', '<', onPremises), and([eb('salt', '=', salt), eb('hash', '=', hash)])])]),
        ]),
        // What has come between came from on premises, and is older.
        ...(onPremises === null ? [] : [eb('change_date', 'is', null), eb('change_date', '<', onPremises)]),
      ]),
    )
    .returning('change_date')
    .executeTakeFirst();
  if (row === undefined) return false;
  await note(queries, { userId, credential, ...how }, CredentialOrigin.changed, row.change_date);
  return true;
}

const parts = ({ salt, iterations, hash }: Credential) => ({ salt, iterations, hash });

async function note(
  queries: Queries,
  { userId, credential, forceChange, actor, at }: CloudCredential,
  origin: CredentialOrigin,
  changeDate: number | null,
): Promise<void> {
  await queries
    .insertInto('credential_history')
    .values({
      user_id: userId,
      at: at.getTime(),
      origin,
      change_date: changeDate,
      iterations: credential.iterations,
      force_change: forceChange ? 1 : 0,
      actor,
    })
    .execute();
}
