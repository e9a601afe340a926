/**
 * Batches of users on PostgreSQL: one statement for all users of whom the same attributes came; where names clash, one
 * user after the other.
 */

import type { UserChange, UserOutcome } from './changes.js';
import type { Access, Query, Statement } from './postgres-database.js';
import { codeOf, isCollision, UNIQUE_VIOLATION } from './postgres-errors.js';
import { userPrincipalNameKey } from './store.js';
import { timeOrderedId } from './time-ordered-id.js';
import { ACCOUNT_ENABLED, attributeColumns, toColumn, USER_PRINCIPAL_NAME } from './user-row.js';
import { claimOnPostgres, sortOnPostgres, spread, type WriteGuard } from './write-guard.js';

/**
 * Of `pg_advisory_xact_lock`. Batches of one statement share it: they take their rows in the order of anchors. Those of
 * several have it alone.
 */
export const BATCH_LOCK = 0x706873796e64;
export const aloneStatement: Statement = { name: 'batch_alone', text: `SELECT pg_advisory_xact_lock(${BATCH_LOCK})` };
/** Of all collisions left, which come from other writers than batches (Graph, sign-in). */
export const MAX_TRIES = 5;
/** Real batches need two; each takes as long as there are users who were refused. */
const MAX_SWAP_ROUNDS = 8;

type Upsert = UserChange & { readonly kind: 'upsert' };
interface StoredRow {
  readonly source_anchor: string;
  readonly object_id: string;
}

const columnTypes: Readonly<Record<string, string>> = {
  account_enabled: 'bigint',
  security_identifier: 'bytea',
  last_password_change: 'bigint',
};
const typeOf = (column: string) => columnTypes[column] ?? 'text';
/** Bit i: attribute i came. */
const maskOf = ({ attributes }: Upsert) =>
  attributeColumns.reduce((mask, [name], i) => (attributes[name] === undefined ? mask : mask | (1 << i)), 0);
const columnsOf = (mask: number) => attributeColumns.filter((_, i) => mask & (1 << i));
const hasName = (mask: number) => (mask & (1 << USER_PRINCIPAL_NAME)) !== 0;

/** $1 now, $2 anchors, $3 object ids, $4 keys of names, then the attributes that came. */
function insertText(mask: number): string {
  const columns = columnsOf(mask).map(([, column]) => column);
  const enabled = mask & (1 << ACCOUNT_ENABLED) ? [] : ['account_enabled'];
  return `
    WITH batch AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(${BATCH_LOCK}))
    INSERT INTO users (created_at, updated_at, source_anchor, object_id, upn_key, ${[...columns, ...enabled].join(', ')})
    SELECT $1::bigint, $1::bigint, v.source_anchor, v.object_id, v.upn_key,
      ${[...columns.map((column) => `v.${column}`), ...enabled.map(() => '1')].join(', ')}
    FROM batch, unnest($2::text[], $3::text[], $4::text[], ${columns.map((column, i) => `$${i + 5}::${typeOf(column)}[]`).join(', ')})
      AS v (source_anchor, object_id, upn_key, ${columns.join(', ')})
    ORDER BY v.source_anchor COLLATE "C"
    ON CONFLICT (source_anchor) DO UPDATE SET
      ${['upn_key', ...columns].map((column) => `${column} = excluded.${column}`).join(', ')},
      updated_at = excluded.updated_at, deleted_at = NULL
    RETURNING source_anchor, object_id`;
}

/** Without a name no user is made. $1 now, $2 anchors, then the attributes that came. */
function updateText(mask: number): string {
  const columns = columnsOf(mask).map(([, column]) => column);
  return `
    WITH batch AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(${BATCH_LOCK})),
    wanted AS (
      SELECT u.id, v.*
      FROM batch, unnest($2::text[]${columns.map((column, i) => `, $${i + 3}::${typeOf(column)}[]`).join('')})
        AS v (${['anchor', ...columns].join(', ')})
      JOIN users u ON u.source_anchor = v.anchor
      ORDER BY u.source_anchor COLLATE "C" FOR NO KEY UPDATE OF u)
    UPDATE users SET ${columns.map((column) => `${column} = wanted.${column}, `).join('')}
      updated_at = $1::bigint, deleted_at = NULL
    FROM wanted WHERE users.id = wanted.id
    RETURNING users.source_anchor, users.object_id`;
}

const deleteText = `
  WITH batch AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(${BATCH_LOCK})),
  gone AS (
    SELECT u.id FROM batch, users u WHERE u.source_anchor = ANY ($2::text[]) AND u.deleted_at IS NULL
    ORDER BY u.source_anchor COLLATE "C" FOR NO KEY UPDATE OF u)
  UPDATE users SET deleted_at = $1::bigint, updated_at = $1::bigint FROM gone WHERE users.id = gone.id
  RETURNING users.source_anchor, users.object_id`;

// One user, of whom any attributes came, unless another has the name: one statement, since a violation of users_upn
// would end the transaction.
const FLAGS_AT = 5 + attributeColumns.length;
const oneText = `
  INSERT INTO users (created_at, updated_at, source_anchor, object_id, upn_key,
    ${attributeColumns.map(([, column]) => column).join(', ')})
  SELECT $1::bigint, $1::bigint, $2, $3, $4,
    ${attributeColumns.map(([, column], i) => `$${i + 5}::${typeOf(column)}`).join(', ')}
  WHERE NOT EXISTS (
    SELECT 1 FROM users o WHERE o.deleted_at IS NULL AND o.source_anchor IS DISTINCT FROM $2 AND o.upn_key =
      CASE WHEN $${FLAGS_AT} THEN $4 ELSE (SELECT i.upn_key FROM users i WHERE i.source_anchor = $2) END)
  ON CONFLICT (source_anchor) DO UPDATE SET
    ${attributeColumns.map(([, c], i) => `${c} = CASE WHEN $${FLAGS_AT + i} THEN excluded.${c} ELSE users.${c} END,`).join('\n    ')}
    upn_key = CASE WHEN $${FLAGS_AT} THEN excluded.upn_key ELSE users.upn_key END,
    updated_at = excluded.updated_at, deleted_at = NULL
  RETURNING source_anchor, object_id`;

const statements = {
  insert: (mask: number): Statement => ({ name: `users_insert_${mask}`, text: insertText(mask) }),
  update: (mask: number): Statement => ({ name: `users_update_${mask}`, text: updateText(mask) }),
  delete: { name: 'users_delete', text: deleteText },
  one: { name: 'users_one', text: oneText },
  isThere: { name: 'users_is_there', text: 'SELECT 1 FROM users WHERE source_anchor = $1' },
  // No name begins with a control character.
  putAside: {
    name: 'users_put_aside',
    text: 'UPDATE users SET upn_key = chr(1) || id WHERE source_anchor = ANY ($1::text[]) AND deleted_at IS NULL',
  },
  savepoint: { name: 'users_savepoint', text: 'SAVEPOINT names' },
  rollback: { name: 'users_rollback', text: 'ROLLBACK TO names' },
  release: { name: 'users_release', text: 'RELEASE names' },
} as const;

/** @throws pg's errors; then nothing is stored. */
export async function applyUsers(
  access: Access,
  changes: readonly UserChange[],
  now: number,
  guard?: WriteGuard,
): Promise<UserOutcome[]> {
  const { query, transaction } = access;
  const sets = setsOf(changes, now);
  try {
    if (sets?.length === 1 && guard === undefined) return await applySets(query, sets, changes);
    if (sets !== undefined) {
      return await transaction((inner) =>
        alone(inner, changes, guard, (all) => applySets(inner, all === changes ? sets : setsOf(all, now)!, all)),
      );
    }
  } catch (error) {
    if (codeOf(error) !== UNIQUE_VIOLATION && !isCollision(error)) throw error;
  }
  for (let left = MAX_TRIES; ; left--) {
    try {
      return await transaction((inner) => alone(inner, changes, guard, (all) => applyOneByOne(inner, all, now)));
    } catch (error) {
      if (left === 1 || (codeOf(error) !== UNIQUE_VIOLATION && !isCollision(error))) throw error;
    }
  }
}

/** `apply`, on what the guard allows, beside no other batch. */
async function alone(
  query: Query,
  changes: readonly UserChange[],
  guard: WriteGuard | undefined,
  apply: (changes: readonly UserChange[]) => Promise<UserOutcome[]>,
): Promise<UserOutcome[]> {
  await query(aloneStatement, []);
  if (guard === undefined) return apply(changes);
  const sorted = await sortOnPostgres(query, changes, guard);
  const outcomes = await apply(sorted.allowed);
  await claimOnPostgres(query, sorted, outcomes, guard);
  return spread<UserOutcome>(changes, sorted, outcomes, { status: 'refused' });
}

interface UserSet {
  readonly statement: Statement;
  readonly values: unknown[];
}

/** One statement for each kind of change, deletions first; undefined where an anchor stands twice: then order counts. */
function setsOf(changes: readonly UserChange[], now: number): UserSet[] | undefined {
  const anchors = new Set<string>();
  const deleted: string[] = [];
  const groups = new Map<number, Upsert[]>();
  for (const change of changes) {
    if (anchors.has(change.sourceAnchor)) return undefined;
    anchors.add(change.sourceAnchor);
    if (change.kind === 'delete') {
      deleted.push(change.sourceAnchor);
      continue;
    }
    const mask = maskOf(change);
    const group = groups.get(mask);
    if (group === undefined) groups.set(mask, [change]);
    else group.push(change);
  }
  const sets: UserSet[] = deleted.length === 0 ? [] : [{ statement: statements.delete, values: [now, deleted] }];
  for (const [mask, group] of groups) {
    const values: unknown[] = [now, group.map(({ sourceAnchor }) => sourceAnchor)];
    if (hasName(mask)) {
      values.push(group.map(() => timeOrderedId(now)));
      values.push(group.map(({ attributes }) => userPrincipalNameKey(attributes.userPrincipalName ?? '')));
    }
    for (const [name] of columnsOf(mask)) values.push(group.map(({ attributes }) => toColumn(attributes[name])));
    sets.push({ statement: hasName(mask) ? statements.insert(mask) : statements.update(mask), values });
  }
  return sets;
}

async function applySets(query: Query, sets: readonly UserSet[], changes: readonly UserChange[]) {
  const objectIds = new Map<string, string>();
  for (const { statement, values } of sets) {
    for (const row of await query<StoredRow>(statement, values)) objectIds.set(row.source_anchor, row.object_id);
  }
  return changes.map(({ kind, sourceAnchor }): UserOutcome => {
    const objectId = objectIds.get(sourceAnchor);
    // An upsert of which nothing came back was an update without a name.
    return objectId === undefined && kind === 'upsert'
      ? { status: 'userPrincipalNameMissing' }
      : { status: 'stored', objectId };
  });
}

async function applyOneByOne(query: Query, changes: readonly UserChange[], now: number): Promise<UserOutcome[]> {
  const outcomes: UserOutcome[] = [];
  for (const change of changes) outcomes.push(await applyOne(query, change, now));
  await applyRefused(query, changes, outcomes, now);
  return outcomes;
}

async function applyOne(query: Query, change: UserChange, now: number): Promise<UserOutcome> {
  const { sourceAnchor } = change;
  if (change.kind === 'delete') {
    const [gone] = await query<StoredRow>(statements.delete, [now, [sourceAnchor]]);
    return { status: 'stored', objectId: gone?.object_id };
  }
  const { attributes } = change;
  const { userPrincipalName } = attributes;
  if (userPrincipalName === undefined && (await query(statements.isThere, [sourceAnchor])).length === 0) {
    return { status: 'userPrincipalNameMissing' };
  }
  const values = attributeColumns.map(([name]) => toColumn(attributes[name]));
  // The columns that are NOT NULL need a value even where the flag then keeps the stored one.
  values[USER_PRINCIPAL_NAME] ??= '';
  values[ACCOUNT_ENABLED] ??= 1;
  const flags = attributeColumns.map(([name]) => attributes[name] !== undefined);
  const key = userPrincipalNameKey(userPrincipalName ?? '');
  const [row] = await query<StoredRow>(statements.one, [
    now,
    sourceAnchor,
    timeOrderedId(now),
    key,
    ...values,
    ...flags,
  ]);
  return row === undefined ? { status: 'duplicateUserPrincipalName' } : { status: 'stored', objectId: row.object_id };
}

/**
 * A name that was taken may be free by the end of the batch, when its owner is deleted or renamed further on, or may
 * be swapped for the name of whoever wants it. So the refused try once more, together and with their own names put
 * aside; who fails again drops out, and the others try without.
 */
async function applyRefused(query: Query, changes: readonly UserChange[], outcomes: UserOutcome[], now: number) {
  let refused = outcomes.flatMap(({ status }, i) => (status === 'duplicateUserPrincipalName' ? [i] : []));
  // Not behind a later change of the same user: that one is the newer.
  const last = new Map(changes.map(({ sourceAnchor }, i) => [sourceAnchor, i]));
  refused = refused.filter((i) => last.get(changes[i]!.sourceAnchor) === i);
  for (let round = 0; round < MAX_SWAP_ROUNDS && refused.length > 0; round++) {
    const again: UserOutcome[] = [];
    await query(statements.savepoint, []);
    await query(statements.putAside, [refused.map((i) => changes[i]!.sourceAnchor)]);
    for (const i of refused) again.push(await applyOne(query, changes[i]!, now));
    const all = again.every(({ status }) => status === 'stored');
    if (!all) await query(statements.rollback, []);
    await query(statements.release, []);
    if (all) {
      for (const [k, i] of refused.entries()) outcomes[i] = again[k]!;
      return;
    }
    refused = refused.filter((_, k) => again[k]!.status === 'stored');
  }
}
