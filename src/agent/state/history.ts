/** What became of one object's password: its latest result, and the earlier ones that triggers keep (migration 3). */

import type Database from 'better-sqlite3';
import { objectIdSql } from './object-keys.js';
import { Outcome, type OutcomeCode, outcomeNames } from './rows.js';

/** One result of an object. */
export interface ObjectResult {
  readonly outcome: OutcomeCode;
  /** Entra Connect's name of it, where it has one. */
  readonly status: string;
  /** When it came about, or was last confirmed, in milliseconds since 1970. */
  readonly at: number;
  /** When the password was changed that the tenant had then, in milliseconds since 1970; undefined: it had none. */
  readonly passwordChanged: number | undefined;
  /** Why the object was, or is, in the retry queue. */
  readonly reason: string | undefined;
}

interface Row {
  readonly outcome: OutcomeCode;
  readonly at: number;
  readonly passwordChanged: number | null;
  readonly reason: string | null;
}

/** Events and results are kept as long as Entra Connect keeps the results of its password synchronization. */
export const KEPT_MS = 7 * 24 * 3600 * 1000;
/** Earlier results of all objects that are kept; some 100 MB. Ten an object, but there may be many objects. */
const MAX_RESULTS = 1_000_000;
const PRUNED_AT_ONCE = 5000;

/**
 * The last results of an object, the newest first; none of an object that replication has not shown, or that has no
 * result yet. A newer result stands for the one before unless it says the same of the same password.
 */
export function objectHistory(
  db: Database.Database,
  connector: string,
  guid: Uint8Array,
  limit: number,
): ObjectResult[] {
  const rows = db
    .prepare(
      `WITH c AS (SELECT id FROM connector WHERE name = @connector)
       SELECT outcome, at, passwordChanged, reason FROM (
         SELECT 1 AS latest, 0 AS id, outcome, settled AS at, password_changed AS passwordChanged,
           (SELECT reason FROM retry WHERE connector = object.connector AND guid = object.guid) AS reason
         FROM object WHERE id = ${objectIdSql('(SELECT id FROM c)', '@guid')}
           AND outcome <> ${Outcome.none} AND settled IS NOT NULL
         UNION ALL
         SELECT 0, id, outcome, at, password_changed, reason
         FROM result WHERE connector = (SELECT id FROM c) AND guid = @guid
       ) ORDER BY latest DESC, id DESC LIMIT @limit`,
    )
    .all({ connector, guid, limit }) as Row[];
  return rows.map(({ outcome, at, passwordChanged, reason }) => ({
    outcome,
    status: outcomeNames[outcome],
    at,
    passwordChanged: passwordChanged ?? undefined,
    reason: reason ?? undefined,
  }));
}

/** Takes away a part of the earlier results that are too old or too many; true while more remains. */
export function pruneResults(db: Database.Database, now: number, maxResults = MAX_RESULTS): boolean {
  const { changes } = db
    .prepare(
      `DELETE FROM result WHERE id IN (SELECT id FROM result WHERE at < @oldest ORDER BY at LIMIT ${PRUNED_AT_ONCE})
        OR id IN (SELECT id FROM result WHERE id <= (SELECT max(id) FROM result) - @maxResults
          ORDER BY id LIMIT ${PRUNED_AT_ONCE})`,
    )
    .run({ oldest: now - KEPT_MS, maxResults });
  return changes >= PRUNED_AT_ONCE;
}
