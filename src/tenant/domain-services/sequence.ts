/**
 * Numbers for the feed's changes. Writers only note that a user has changed, as rows that nobody else touches, and wait
 * for nobody. The numbers are given afterwards, one transaction after the other, to notes that are committed: so a change
 * that is committed later has a higher number than any that a reader can have seen.
 */

import { sql } from 'kysely';
import type { Queries, TenantDatabase } from '../store/database.js';

/** Notes a transaction: SQLite can do nothing else meanwhile. */
const NOTES = 1000;

/** All notes that are there get their numbers. @returns how many users have changed. */
export async function numberChanges(
  database: Pick<TenantDatabase, 'dialect' | 'run' | 'transaction'>,
  now: Date,
): Promise<number> {
  const isAny = await database.run((queries) =>
    queries.selectFrom('domain_services_pending').select('id').limit(1).executeTakeFirst(),
  );
  if (isAny === undefined) return 0;
  let users = 0;
  for (let notes = NOTES; notes === NOTES; ) {
    const done = await database.transaction((queries) => numberSome(queries, database.dialect, now.getTime()));
    ({ notes } = done);
    users += done.users;
  }
  return users;
}

async function numberSome(queries: Queries, dialect: TenantDatabase['dialect'], now: number) {
  const service = await queries
    .selectFrom('domain_services')
    .select(['enabled', 'sequence'])
    // Not against batches of Windows credentials, which look at the row, too.
    .$if(dialect === 'postgres', (query) => query.forNoKeyUpdate())
    .executeTakeFirst();
  if (service?.enabled !== 1) return { notes: 0, users: 0 };
  // What this returns is what is gone: a note that is committed between two statements waits for the next time.
  const notes = await queries
    .deleteFrom('domain_services_pending')
    .where('id', 'in', (query) => query.selectFrom('domain_services_pending').select('id').orderBy('id').limit(NOTES))
    .returning(['id', 'object_id'])
    .execute();
  // Returned in any order: who gives up a name comes before whoever takes it.
  notes.sort((a, b) => a.id - b.id);
  const users = [...new Set(notes.map(({ object_id }) => object_id))];
  if (users.length > 0) {
    await queries
      .insertInto('domain_services_feed')
      .values(users.map((object_id, i) => ({ object_id, sequence: service.sequence + i + 1, changed_at: now })))
      .onConflict((conflict) =>
        conflict.column('object_id').doUpdateSet({
          sequence: sql<number>`excluded.sequence`,
          changed_at: sql<number>`excluded.changed_at`,
        }),
      )
      .execute();
    await queries
      .updateTable('domain_services')
      .set({ sequence: service.sequence + users.length })
      .execute();
  }
  return { notes: notes.length, users: users.length };
}
