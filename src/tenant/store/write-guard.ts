/** Which users a batch may write, decided within its transaction: nobody else writes users between the look and the write. */

import type Database from 'better-sqlite3';
import type { CredentialChange, UserChange, UserOutcome } from './changes.js';
import type { Query, Statement } from './postgres-database.js';

/** A user as the store has it, a deleted one, who would come back, as well. */
export interface StandingUser {
  readonly userPrincipalName: string;
  readonly dnsDomainName: string | null;
  /** Client id of the agent that it belongs to; null: nobody's in particular. */
  readonly owner: string | null;
}

/** `claimed`: allowed, and the user is the guard's owner's from then on. */
export type Verdict = 'allowed' | 'claimed' | 'refused';

export interface WriteGuard {
  /** Who has the users that are claimed. */
  readonly owner: string | null;
  /** `standing` is undefined where there is no such user. A batch that is tried again asks again. */
  decide(change: UserChange | CredentialChange, standing: StandingUser | undefined): Verdict;
}

type Key = 'source_anchor' | 'object_id';

export interface Sorted<Change> {
  readonly allowed: readonly Change[];
  /** Places of `allowed` among all. */
  readonly places: readonly number[];
  /** Of each of `allowed`. */
  readonly claimed: readonly boolean[];
}

/** The outcomes of all, from those of the allowed. */
export function spread<Outcome>(
  all: readonly unknown[],
  { places }: Sorted<unknown>,
  outcomes: readonly Outcome[],
  refused: Outcome,
): Outcome[] {
  const whole = all.map(() => refused);
  for (const [i, place] of places.entries()) whole[place] = outcomes[i]!;
  return whole;
}

function sort<Change extends UserChange | CredentialChange>(
  changes: readonly Change[],
  guard: WriteGuard,
  standing: (change: Change) => StandingUser | undefined,
): Sorted<Change> {
  const allowed: Change[] = [];
  const places: number[] = [];
  const claimed: boolean[] = [];
  for (const [i, change] of changes.entries()) {
    const verdict = guard.decide(change, standing(change));
    if (verdict === 'refused') continue;
    allowed.push(change);
    places.push(i);
    claimed.push(verdict === 'claimed');
  }
  return { allowed, places, claimed };
}

/** Anchors of the users that were claimed and stored. */
const claimedOf = ({ allowed, claimed }: Sorted<UserChange>, outcomes: readonly UserOutcome[]) =>
  allowed.flatMap(({ sourceAnchor }, i) => (claimed[i] && outcomes[i]!.status === 'stored' ? [sourceAnchor] : []));

const objectIdOf = (change: UserChange | CredentialChange) => ('objectId' in change ? change.objectId : undefined);

interface Row {
  readonly user_principal_name: string;
  readonly dns_domain_name: string | null;
  readonly owner: string | null;
}

const columns = 'user_principal_name, dns_domain_name, owner';
const toStanding = (row: Row | undefined): StandingUser | undefined =>
  row && { userPrincipalName: row.user_principal_name, dnsDomainName: row.dns_domain_name, owner: row.owner };

/** Its methods are called within the transaction of the batch. */
export class SqliteGuard {
  readonly #byAnchor: Database.Statement<unknown[], Row>;
  readonly #byObjectId: Database.Statement<unknown[], Row>;
  readonly #claim: Database.Statement;

  constructor(connection: Database.Database) {
    const prepare = (key: Key) => connection.prepare<unknown[], Row>(`SELECT ${columns} FROM users WHERE ${key} = ?`);
    this.#byAnchor = prepare('source_anchor');
    this.#byObjectId = prepare('object_id');
    this.#claim = connection.prepare(
      'UPDATE users SET owner = @owner WHERE source_anchor = @anchor AND owner IS NOT @owner',
    );
  }

  sort<Change extends UserChange | CredentialChange>(changes: readonly Change[], guard: WriteGuard): Sorted<Change> {
    return sort(changes, guard, (change) => {
      const { sourceAnchor } = change;
      const row =
        sourceAnchor === undefined ? this.#byObjectId.get(objectIdOf(change) ?? '') : this.#byAnchor.get(sourceAnchor);
      return toStanding(row);
    });
  }

  claim(sorted: Sorted<UserChange>, outcomes: readonly UserOutcome[], { owner }: WriteGuard): void {
    for (const anchor of claimedOf(sorted, outcomes)) this.#claim.run({ owner, anchor });
  }
}

const lookStatement = (key: Key): Statement => ({
  name: `guard_${key}`,
  text: `SELECT ${key} AS key, ${columns} FROM users WHERE ${key} = ANY ($1::text[])`,
});
const claimStatement: Statement = {
  name: 'guard_claim',
  text: 'UPDATE users SET owner = $1 WHERE source_anchor = ANY ($2::text[]) AND owner IS DISTINCT FROM $1',
};

/** PostgreSQL's text has no NUL and no half characters, which would come there as another user's key. */
export const isKey = (key: string | undefined): key is string =>
  key !== undefined && !key.includes('\0') && !/\p{Surrogate}/u.test(key);

/** Within a transaction that has the lock of batches alone. */
export async function sortOnPostgres<Change extends UserChange | CredentialChange>(
  query: Query,
  changes: readonly Change[],
  guard: WriteGuard,
): Promise<Sorted<Change>> {
  const look = async (key: Key, values: readonly (string | undefined)[]) => {
    const wanted = values.filter(isKey);
    const rows = wanted.length === 0 ? [] : await query<Row & { readonly key: string }>(lookStatement(key), [wanted]);
    return new Map(rows.map((row) => [row.key, toStanding(row)]));
  };
  const byAnchor = await look(
    'source_anchor',
    changes.map(({ sourceAnchor }) => sourceAnchor),
  );
  const byObjectId = await look('object_id', changes.map(objectIdOf));
  return sort(changes, guard, (change) =>
    change.sourceAnchor === undefined ? byObjectId.get(objectIdOf(change) ?? '') : byAnchor.get(change.sourceAnchor),
  );
}

/** In the same transaction. */
export async function claimOnPostgres(
  query: Query,
  sorted: Sorted<UserChange>,
  outcomes: readonly UserOutcome[],
  { owner }: WriteGuard,
): Promise<void> {
  const anchors = claimedOf(sorted, outcomes);
  if (anchors.length > 0) await query(claimStatement, [owner, anchors]);
}
