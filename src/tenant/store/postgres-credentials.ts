/** Batches of credentials on PostgreSQL: one statement each, which decides between older and newer itself. */

import type { CredentialChange, CredentialOutcome, WindowsOutcome } from './changes.js';
import { policyChanges } from './password-policies.js';
import type { Access, Query, Statement } from './postgres-database.js';
import { isCollision } from './postgres-errors.js';
import { aloneStatement, BATCH_LOCK, MAX_TRIES } from './postgres-users.js';
import type { CredentialOptions } from './store.js';
import { SYNCHRONIZED } from './user-row.js';
import { applyWindows, hasWindows, lockService } from './windows-credentials.js';
import { isKey, sortOnPostgres, spread } from './write-guard.js';

type Key = 'source_anchor' | 'object_id';

/** What the statement reads of a table is as it was before. */
const behindAnother = 'JOIN credentials former ON former.user_id = u.id AND former.change_date < stored.change_date';

// The older-change rule lies in the statement, so that two agents cannot slip between a check and a write. Of the same
// second the later arrival counts: dates tell no more, and agents bring what is there. A password that an administrator
// has reset (1) gives way to a newer change only: a full synchronization brings the former one again.
// `stored` returns a row for each credential that was written; `known` says who was found.
// $1 now, $2 actor, $3 keys, $4 salts, $5 iterations, $6 hashes, $7 change dates, $8 force change.
const text = (key: Key, policy: keyof typeof policyChanges, { value, where } = policyChanges[policy]) => `
  WITH batch AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(${BATCH_LOCK})),
  known AS MATERIALIZED (
    SELECT u.id, u.source_anchor, v.*
    FROM batch, unnest($3::text[], $4::bytea[], $5::bigint[], $6::bytea[], $7::bigint[], $8::bigint[])
      WITH ORDINALITY AS v (key, salt, iterations, hash, change_date, force_change, n)
    JOIN users u ON u.${key} = v.key AND u.deleted_at IS NULL AND u.${SYNCHRONIZED}),
  stored AS (
    INSERT INTO credentials AS c
      (user_id, salt, iterations, hash, change_date, force_change, origin, changed_at, updated_at)
    SELECT id, salt, iterations, hash, change_date, force_change, 0, change_date, $1::bigint FROM known
    ORDER BY source_anchor COLLATE "C", id
    ON CONFLICT (user_id) DO UPDATE SET
      salt = excluded.salt, iterations = excluded.iterations, hash = excluded.hash, change_date = excluded.change_date,
      force_change = excluded.force_change, origin = 0, changed_at = excluded.change_date, updated_at = excluded.updated_at
    WHERE c.change_date IS NULL OR excluded.change_date > c.change_date
      OR (excluded.change_date = c.change_date AND c.origin <> 1)
    RETURNING user_id, change_date, iterations, force_change),
  history AS (
    INSERT INTO credential_history (user_id, at, origin, change_date, iterations, force_change, actor)
    SELECT user_id, $1::bigint, 0, change_date, iterations, force_change, $2 FROM stored),
  wanting AS (
    SELECT u.id FROM stored JOIN users u ON u.id = stored.user_id ${policy === 'enableExpiration' ? behindAnother : ''}
    WHERE ${where}
    ORDER BY u.source_anchor COLLATE "C", u.id FOR NO KEY UPDATE OF u),
  policy AS (UPDATE users SET password_policies = ${value} FROM wanting WHERE users.id = wanting.id)
  SELECT n, id FROM known UNION ALL SELECT NULL, user_id FROM stored`;

const statementOf = (key: Key, { disableExpiration }: CredentialOptions): Statement => {
  const policy = disableExpiration ? 'disableExpiration' : 'enableExpiration';
  return { name: `credentials_${key}_${policy}`, text: text(key, policy) };
};

/** Changes in a row that one statement can take: found in the same way, and no user twice. */
interface Run {
  readonly key: Key;
  readonly changes: Map<string, CredentialChange>;
}

function runsOf(changes: readonly CredentialChange[]): Run[] {
  const runs: Run[] = [];
  for (const change of changes) {
    const key: Key = change.sourceAnchor === undefined ? 'object_id' : 'source_anchor';
    const value = keyOf(change);
    let run = runs.at(-1);
    if (run === undefined || run.key !== key || run.changes.has(value)) {
      run = { key, changes: new Map() };
      runs.push(run);
    }
    run.changes.set(value, change);
  }
  return runs;
}

/** Empty, which no user's is, for what is none. */
const keyOf = ({ sourceAnchor, objectId }: CredentialChange) => {
  const key = sourceAnchor ?? objectId;
  return isKey(key) ? key : '';
};

/** @throws pg's errors; then nothing is stored. */
export async function applyCredentials(
  { query, transaction }: Access,
  changes: readonly CredentialChange[],
  options: CredentialOptions,
  now: number,
): Promise<CredentialOutcome[]> {
  const windows = hasWindows(changes);
  const { guard } = options;
  const work = async (inner: Query, some: readonly CredentialChange[], told: Told, isOn = false) => {
    const outcomes: CredentialOutcome[] = [];
    for (const run of runsOf(some)) {
      outcomes.push(...(await applyRun(inner, run, options, now)));
      if (windows) await applyWindows(inner, run.key, run.changes, { isOn, now }, told);
    }
    return outcomes;
  };
  const places = new Map(windows ? changes.map((change, i) => [change, i]) : []);
  const told: Told = (change, outcome) => options.onWindows?.(places.get(change)!, outcome);
  for (let left = MAX_TRIES; ; left--) {
    const isSimple = guard === undefined && left === MAX_TRIES && runsOf(changes).length <= 1;
    try {
      if (isSimple && !windows) return await work(query, changes, told);
      return await transaction(async (inner) => {
        const isOn = windows && (await lockService(inner));
        if (!isSimple) await inner(aloneStatement, []);
        if (guard === undefined) return work(inner, changes, told, isOn);
        const sorted = await sortOnPostgres(inner, changes, guard);
        return spread(changes, sorted, await work(inner, sorted.allowed, told, isOn), 'refused');
      });
    } catch (error) {
      if (left === 1 || !isCollision(error)) throw error;
    }
  }
}

type Told = (change: CredentialChange, outcome: WindowsOutcome) => void;

async function applyRun(query: Query, { key, changes }: Run, options: CredentialOptions, now: number) {
  const all = [...changes.values()];
  const rows = await query<{ readonly n: number | null; readonly id: number }>(statementOf(key, options), [
    now,
    options.actor,
    [...changes.keys()],
    all.map(({ salt }) => salt),
    all.map(({ iterations }) => iterations),
    all.map(({ hash }) => hash),
    all.map(({ changeDate }) => changeDate.getTime()),
    all.map(({ forcePasswordChangeOnLogon }) => (forcePasswordChangeOnLogon ? 1 : 0)),
  ]);
  const outcomes: CredentialOutcome[] = all.map(() => 'unknownUser');
  const stored = new Set<number>();
  for (const { n, id } of rows) if (n === null) stored.add(id);
  for (const { n, id } of rows) if (n !== null) outcomes[n - 1] = stored.has(id) ? 'stored' : 'olderChange';
  return outcomes;
}
