/** Drops rows whose time is over, a few at a time, so that sign-in and synchronization go on beside it. */

import { setImmediate as breathe } from 'node:timers/promises';
import { type Kysely, type RawBuilder, sql } from 'kysely';
import { newestSynchronized } from './credential-history.js';
import type { Queries, TenantDatabase } from './database.js';
import type { Tables } from './tables.js';

const DAY = 24 * 60 * 60 * 1000;
/** Of `pg_try_advisory_xact_lock`. */
const PURGE_LOCK = 0x706873796e65;
/** A statement of so many rows takes SQLite, which can do nothing else meanwhile, a few milliseconds. */
const ROWS = 500;
/** Users whose history is looked at in one statement. */
const USERS = 1000;
/** Changes that a user's history keeps. */
const HISTORY = 24;
/** A managed domain's reader that comes back after so long begins anew: until then it is told of deletions. */
const DELETIONS_DAYS = 180;
/** Smart lockout forgets a count that was not touched for so long. */
const LOCKOUT_DAYS = 1;
/** A place that was not used for so long is a strange one again. */
const PLACE_DAYS = 90;

/** Days, as tenant.yaml has them. */
export interface Retention {
  readonly signIns: number;
  readonly audit: number;
  readonly deletedUsers: number;
}

/** Rows dropped, without those that went with a user. */
export interface Purged {
  readonly users: number;
  readonly signIns: number;
  readonly auditEvents: number;
  readonly lockouts: number;
  readonly familiarPlaces: number;
  readonly oidcPayloads: number;
  readonly history: number;
  /** Of the feed of Domain Services. */
  readonly deletions: number;
}

export interface PurgeOptions {
  readonly retention: Retention;
  readonly now: Date;
  /** Stops between two statements. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * One whole purge; undefined where another process is at it (on PostgreSQL; SQLite's processes share a machine, and the
 * second finds nothing left to do). @throws PhsyncError `store-busy` or `store-failed`; what was dropped stays dropped.
 */
export async function purge(database: TenantDatabase, options: PurgeOptions): Promise<Purged | undefined> {
  if (database.dialect === 'sqlite') return purgeAll((work) => database.run(work), options);
  try {
    return await purgeAll((work) => database.transaction((queries) => locked(queries, work)), options);
  } catch (error) {
    if (error instanceof AnotherIsAtIt) return undefined;
    throw error;
  }
}

class AnotherIsAtIt extends Error {
  override readonly name = 'AnotherIsAtIt';
}

/** The lock is a statement's, not the purge's: between two of them the connection is the pool's, which may have no second. */
async function locked<T>(queries: Queries, work: (queries: Queries) => Promise<T>): Promise<T> {
  const { rows } = await sql<{ got: boolean }>`SELECT pg_try_advisory_xact_lock(${PURGE_LOCK}) AS got`.execute(queries);
  if (rows[0]?.got !== true) throw new AnotherIsAtIt();
  return work(queries);
}

type Run = <T>(work: (queries: Queries) => Promise<T>) => Promise<T>;

async function purgeAll(run: Run, { retention, now, signal }: PurgeOptions): Promise<Purged> {
  const before = (days: number) => now.getTime() - days * DAY;
  /** Until a statement finds fewer rows than it may take. */
  const repeat = async (statement: (queries: Queries) => Promise<number>) => {
    let all = 0;
    for (let dropped = ROWS; dropped === ROWS && !signal?.aborted; ) {
      dropped = await run(statement);
      all += dropped;
      await breathe();
    }
    return all;
  };
  const deleted = before(retention.deletedUsers);
  return {
    // The outer condition is looked at again behind a lock: a user who came back meanwhile stays.
    users: await repeat((db) =>
      rowsOf(
        sql`DELETE FROM users WHERE deleted_at < ${deleted} AND id IN
        (SELECT id FROM users WHERE deleted_at < ${deleted} ORDER BY id LIMIT ${ROWS})`,
        db,
      ),
    ),
    signIns: await repeat((db) => dropOldest('sign_ins', 'at', before(retention.signIns), db)),
    auditEvents: await repeat((db) => dropOldest('audit_events', 'at', before(retention.audit), db)),
    lockouts: await repeat((db) => {
      const over = sql`updated_at < ${before(LOCKOUT_DAYS)} AND locked_until < ${now.getTime()}`;
      return rowsOf(
        sql`DELETE FROM lockouts WHERE ${over} AND (name_digest, familiar) IN
        (SELECT name_digest, familiar FROM lockouts WHERE ${over} LIMIT ${ROWS})`,
        db,
      );
    }),
    familiarPlaces: await bySlices('familiar_places', { run, signal }, (slice) => {
      return sql`DELETE FROM familiar_places WHERE ${slice} AND last_used < ${before(PLACE_DAYS)}`;
    }),
    oidcPayloads: await repeat((db) =>
      rowsOf(
        sql`DELETE FROM oidc_payloads WHERE expires_at < ${now.getTime()} AND (model, id_digest) IN
        (SELECT model, id_digest FROM oidc_payloads WHERE expires_at < ${now.getTime()} LIMIT ${ROWS})`,
        db,
      ),
    ),
    history: await purgeHistory(run, signal),
    deletions: await run((db) => forgetDeletions(db, before(DELETIONS_DAYS))),
  };
}

async function rowsOf(statement: ReturnType<typeof sql>, queries: Kysely<Tables>): Promise<number> {
  return Number((await statement.execute(queries)).numAffectedRows ?? 0);
}

const dropOldest = (table: 'sign_ins' | 'audit_events', column: string, before: number, queries: Queries) =>
  rowsOf(
    sql`DELETE FROM ${sql.table(table)} WHERE id IN (SELECT id FROM ${sql.table(table)}
      WHERE ${sql.ref(column)} < ${before} ORDER BY ${sql.ref(column)}, id LIMIT ${ROWS})`,
    queries,
  );

/** Of users who are gone for good. Readers who have not come so far are sent back to the beginning, from before it is done. */
async function forgetDeletions(queries: Queries, before: number): Promise<number> {
  const gone = sql`changed_at < ${before} AND NOT EXISTS
    (SELECT 1 FROM users WHERE users.object_id = domain_services_feed.object_id)`;
  await sql`UPDATE domain_services SET forgotten = (SELECT max(sequence) FROM domain_services_feed WHERE ${gone})
    WHERE forgotten < (SELECT max(sequence) FROM domain_services_feed WHERE ${gone})`.execute(queries);
  return rowsOf(
    sql`DELETE FROM domain_services_feed WHERE ${gone} AND sequence <= (SELECT forgotten FROM domain_services)`,
    queries,
  );
}

/** All but the last entries of each user, and the newest of all that came from on premises: that tells when one last came. */
async function purgeHistory(run: Run, signal: AbortSignal | undefined): Promise<number> {
  const newest = await run(newestSynchronized);
  return bySlices(
    'credential_history',
    { run, signal },
    (slice) => sql`DELETE FROM credential_history WHERE id IN (SELECT id FROM (
      SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY id DESC) AS place
      FROM credential_history WHERE ${slice}) AS numbered
      WHERE place > ${HISTORY} AND id <> ${newest?.id ?? 0})`,
  );
}

/** By slices of the users' numbers, for a table that has no index of what is asked. `statement` takes the slice as its condition. */
async function bySlices(
  table: 'credential_history' | 'familiar_places',
  { run, signal }: { readonly run: Run; readonly signal: AbortSignal | undefined },
  statement: (slice: RawBuilder<unknown>) => RawBuilder<unknown>,
): Promise<number> {
  const range = await run((db) =>
    db
      .selectFrom(table)
      .select(({ fn }) => [fn.min('user_id').as('first'), fn.max('user_id').as('last')])
      .executeTakeFirst(),
  );
  let dropped = 0;
  const [first, last] = [Number(range?.first ?? 0), Number(range?.last ?? -1)];
  for (let from = first; from <= last && !signal?.aborted; from += USERS) {
    dropped += await run((db) => rowsOf(statement(sql`user_id >= ${from} AND user_id < ${from + USERS}`), db));
    await breathe();
  }
  return dropped;
}
