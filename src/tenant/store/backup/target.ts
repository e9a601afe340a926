/** Fills an empty database, or one that is to be replaced, in one transaction that ends when all is there. */

import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { PhsyncError } from '../../../hasher/errors.js';
import { sqlite } from '../../../state/sqlite.js';
import { notesBegin, notesEnd } from '../change-notes.js';
import { createPool, migratePostgres } from '../postgres-database.js';
import { openError, translatedError } from '../postgres-errors.js';
import { migrateSqlite } from '../sqlite-database.js';
import type { Column, Value } from './format.js';

export interface Target {
  /** Names of the columns of each table. */
  readonly tables: ReadonlyMap<string, readonly string[]>;
  insert(table: string, columns: readonly Column[], rows: readonly (readonly Value[])[]): Promise<void>;
  /** What was inserted is there, all of it. */
  commit(): Promise<void>;
  /** Without a commit before: nothing has changed. */
  close(): Promise<void>;
}

function notEmpty(where: string): PhsyncError {
  return new PhsyncError(
    'store-not-empty',
    `${where} holds a tenant already; --replace drops all that is in it, and then restores`,
  );
}

function inUse(where: string, cause?: unknown): PhsyncError {
  return new PhsyncError('store-in-use', `a tenant is running on ${where}: stop it, then restore`, { cause });
}

const ENABLED = 'SELECT 1 FROM domain_services WHERE enabled = 1';

/** @throws PhsyncError `store-open`, `store-newer`, `store-in-use`, `store-not-empty`. */
export function openSqliteTarget(file: string, replace: boolean): Target {
  migrateSqlite(file);
  const Sqlite = sqlite();
  const database = new Sqlite(file, { timeout: 0 });
  try {
    // On a WAL this is to be had only where no other connection is open, and keeps others from opening one.
    database.pragma('locking_mode = EXCLUSIVE');
    database.pragma('synchronous = FULL');
    database.exec('BEGIN EXCLUSIVE');
    // What is dropped and brought back is no change of a user's.
    for (const text of notesEnd('sqlite')) database.exec(text);
  } catch (cause) {
    database.close();
    if (cause instanceof Sqlite.SqliteError && cause.code.startsWith('SQLITE_BUSY')) throw inUse(file, cause);
    throw new PhsyncError('store-open', `cannot open the database ${file}: ${(cause as Error).message}`, { cause });
  }
  try {
    const names = database
      .prepare(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migrations'",
      )
      .pluck()
      .all() as string[];
    // Rows go and come table by table: what they refer to is looked at when all are there.
    database.pragma('defer_foreign_keys = ON');
    if (replace) for (const name of names) database.exec(`DELETE FROM "${name}"`);
    else if (database.prepare('SELECT 1 FROM tenant').get() !== undefined) throw notEmpty(file);
    const columnsOf = (name: string) =>
      database.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(name) as string[];
    const guarded = async (work: () => void) => {
      try {
        work();
      } catch (cause) {
        throw new PhsyncError('store-failed', `the tenant database failed: ${(cause as Error).message}`, { cause });
      }
    };
    return {
      tables: new Map(names.map((name) => [name, columnsOf(name)])),
      insert: (table, columns, rows) =>
        guarded(() => {
          const list = columns.map(({ name }) => `"${name}"`).join(', ');
          const marks = columns.map(() => '?').join(', ');
          const statement = database.prepare(`INSERT INTO "${table}" (${list}) VALUES (${marks})`);
          for (const values of rows) statement.run(values);
        }),
      commit: () =>
        guarded(() => {
          if (database.prepare(ENABLED).get() !== undefined) {
            for (const text of notesBegin('sqlite')) database.exec(text);
          }
          database.exec('COMMIT');
        }),
      async close() {
        database.close();
      },
    };
  } catch (error) {
    database.close();
    throw error;
  }
}

const [ALONE_TRIES, ALONE_PAUSE] = [20, 50];
const WHERE = 'the PostgreSQL database';
const postgresTypes = { bytes: 'bytea', integer: 'bigint', text: 'text' } as const;

/** @throws PhsyncError `config-secret`, `store-open`, `store-newer`, `store-in-use`, `store-not-empty`. */
export async function openPostgresTarget(url: string, replace: boolean): Promise<Target> {
  const pool = createPool({ url, maxConnections: 1 });
  let client: pg.PoolClient | undefined;
  const close = async () => {
    // The end of the connection is the end of its transaction.
    client?.release(true);
    await pool.end();
  };
  try {
    await migratePostgres(pool);
    const one = await pool.connect();
    client = one;
    await untilAlone(one);
    await one.query('BEGIN');
    await one.query('SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0');
    // A tenant that starts now waits for the end of this.
    await one.query('LOCK TABLE tenant IN ACCESS EXCLUSIVE MODE');
    const { rows: found } = await one.query<{ table: string; name: string }>(`
      SELECT c.table_name AS table, c.column_name AS name FROM information_schema.columns c
      JOIN information_schema.tables t USING (table_schema, table_name)
      WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.table_name <> 'migrations'`);
    const tables = new Map<string, string[]>();
    for (const { table, name } of found) tables.set(table, [...(tables.get(table) ?? []), name]);
    const list = [...tables.keys()].map((name) => `"${name}"`).join(', ');
    for (const text of notesEnd('postgres')) await one.query(text);
    if (replace) await one.query(`TRUNCATE ${list}`);
    else if ((await one.query('SELECT 1 FROM tenant')).rows.length > 0) throw notEmpty(WHERE);
    const guarded = async (work: () => Promise<void>) => {
      try {
        await work();
      } catch (error) {
        throw translatedError(error);
      }
    };
    return {
      tables,
      insert: (table, columns, rows) =>
        guarded(async () => {
          const names = columns.map(({ name }) => `"${name}"`).join(', ');
          const arrays = columns.map(({ type }, i) => `$${i + 1}::${postgresTypes[type]}[]`).join(', ');
          await one.query({
            name: `restore_${table}`,
            text: `INSERT INTO "${table}" (${names}) SELECT * FROM unnest(${arrays})`,
            values: columns.map((_, i) => rows.map((values) => values[i])),
          });
        }),
      commit: () =>
        guarded(async () => {
          for (const [table, columns] of tables) if (columns.includes('id')) await continueNumbers(one, table);
          if ((await one.query(ENABLED)).rows.length > 0) {
            for (const text of notesBegin('postgres')) await one.query(text);
          }
          await one.query('COMMIT');
          // Without statistics the first large queries would be planned for empty tables.
          await one.query('ANALYZE');
        }),
      close,
    };
  } catch (error) {
    await close();
    throw openError(error);
  }
}

/** The connections of a tenant that has just ended are gone in an instant. */
async function untilAlone(client: pg.PoolClient): Promise<void> {
  for (let left = ALONE_TRIES; ; left--) {
    const { rows } = await client.query(`
      SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND application_name = current_setting('application_name') LIMIT 1`);
    if (rows.length === 0) return;
    if (left === 1) throw inUse(WHERE);
    await sleep(ALONE_PAUSE);
  }
}

/** New rows get numbers behind those that were restored. */
async function continueNumbers(client: pg.PoolClient, table: string): Promise<void> {
  await client.query(
    `SELECT setval(pg_get_serial_sequence($1, 'id'), (SELECT max(id) FROM "${table}"))
      WHERE pg_get_serial_sequence($1, 'id') IS NOT NULL AND EXISTS (SELECT 1 FROM "${table}")`,
    [table],
  );
}
