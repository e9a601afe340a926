/** Reads a whole database as it is at one moment, while others write to it. */

import { setImmediate as breathe } from 'node:timers/promises';
import type Database from 'better-sqlite3';
import type pg from 'pg';
import { PhsyncError } from '../../../hasher/errors.js';
import { sqlite } from '../../../state/sqlite.js';
import { createPool, type PostgresOptions } from '../postgres-database.js';
import { openError, translatedError } from '../postgres-errors.js';
import type { Column, Part, Value } from './format.js';

export interface Snapshot {
  readonly migration: number;
  readonly tenantId: string;
  /** Tables and their rows; a table stands behind those that it refers to. */
  parts(): AsyncIterable<Part>;
  close(): Promise<void>;
}

/** Rows a FETCH, and between two breaths. */
const ROWS = 2000;
const NOT_OURS = new Set(['migrations']);

/** @throws PhsyncError `store-open` where there is no such file, or no tenant in it. */
export async function openSqliteSnapshot(file: string): Promise<Snapshot> {
  const Sqlite = sqlite();
  let database: Database.Database;
  try {
    // Not as a read-only file: the first reader of a WAL has to make its index.
    database = new Sqlite(file, { fileMustExist: true });
    database.pragma('query_only = ON');
    // A read transaction on a WAL: what others commit meanwhile is not seen, and they need not wait.
    database.exec('BEGIN; SELECT count(*) FROM sqlite_master');
  } catch (cause) {
    throw new PhsyncError('store-open', `cannot open the database ${file}: ${(cause as Error).message}`, { cause });
  }
  try {
    const one = (sql: string) => database.prepare(sql).pluck().get();
    const all = <Row>(sql: string, ...values: string[]) => database.prepare(sql).all(...values) as Row[];
    const tables = all<{ readonly name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    ).map(({ name }) => name);
    const columns = (table: string): Column[] =>
      all<{ readonly name: string; readonly type: string }>('SELECT name, type FROM pragma_table_info(?)', table).map(
        ({ name, type }) => ({ name, type: type === 'BLOB' ? 'bytes' : type === 'INTEGER' ? 'integer' : 'text' }),
      );
    const references = all<Reference>(
      'SELECT m.name AS child, f."table" AS parent FROM sqlite_master m, pragma_foreign_key_list(m.name) f',
    );
    const known = tables.includes('tenant') ? one('SELECT tenant_id FROM tenant') : undefined;
    return {
      ...identity(one('SELECT max(number) FROM migrations'), known, file),
      async *parts() {
        for (const name of inOrder(tables, references)) {
          const part: Part = { kind: 'table', name, columns: columns(name) };
          yield part;
          const list = part.columns.map((column) => `"${column.name}"`).join(', ');
          let read = 0;
          for (const values of database.prepare(`SELECT ${list} FROM "${name}"`).raw().iterate()) {
            yield { kind: 'row', values: values as Value[] };
            if (++read % ROWS === 0) await breathe();
          }
        }
      },
      async close() {
        database.close();
      },
    };
  } catch (cause) {
    database.close();
    if (cause instanceof PhsyncError) throw cause;
    throw new PhsyncError('store-open', `${file} is no tenant's database: ${(cause as Error).message}`, { cause });
  }
}

/** @throws PhsyncError `config-secret`, `store-open`. */
export async function openPostgresSnapshot(url: string): Promise<Snapshot> {
  const pool = createPool({ url, maxConnections: 1 } satisfies PostgresOptions);
  let client: pg.PoolClient | undefined;
  const close = async () => {
    client?.release(true);
    await pool.end();
  };
  try {
    const one = await pool.connect();
    client = one;
    await one.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await one.query('SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0');
    const { rows: found } = await one.query<{ table: string; name: string; type: string }>(`
      SELECT c.table_name AS table, c.column_name AS name, c.data_type AS type FROM information_schema.columns c
      JOIN information_schema.tables t USING (table_schema, table_name)
      WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
      ORDER BY c.table_name, c.ordinal_position`);
    const tables = [...new Set(found.map(({ table }) => table))];
    if (!tables.includes('tenant')) throw new PhsyncError('store-open', 'the PostgreSQL database has no tenant in it');
    const { rows: references } = await one.query<Reference>(`
      SELECT conrelid::regclass::text AS child, confrelid::regclass::text AS parent FROM pg_constraint
      WHERE contype = 'f' AND connamespace = current_schema()::regnamespace`);
    const { rows: identities } = await one.query<{ migration: number; tenant_id: string }>(
      'SELECT (SELECT max(number) FROM migrations) AS migration, (SELECT tenant_id FROM tenant) AS tenant_id',
    );
    return {
      ...identity(identities[0]?.migration, identities[0]?.tenant_id, 'the PostgreSQL database'),
      async *parts() {
        for (const name of inOrder(tables, references)) {
          const columns = found
            .filter(({ table }) => table === name)
            .map(({ name, type }): Column => {
              return { name, type: type === 'bytea' ? 'bytes' : type === 'bigint' ? 'integer' : 'text' };
            });
          yield { kind: 'table', name, columns };
          const list = columns.map((column) => `"${column.name}"`).join(', ');
          try {
            await one.query(`DECLARE backup NO SCROLL CURSOR FOR SELECT ${list} FROM "${name}"`);
            for (let read = ROWS; read === ROWS; ) {
              const { rows } = await one.query<Value[]>({ text: `FETCH ${ROWS} FROM backup`, rowMode: 'array' });
              for (const values of rows) yield { kind: 'row', values };
              read = rows.length;
            }
            await one.query('CLOSE backup');
          } catch (error) {
            throw translatedError(error);
          }
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw openError(error);
  }
}

function identity(migration: unknown, tenantId: unknown, where: string): { migration: number; tenantId: string } {
  if (typeof migration === 'number' && typeof tenantId === 'string') return { migration, tenantId };
  throw new PhsyncError('store-open', `${where} has no tenant in it`);
}

interface Reference {
  readonly child: string;
  readonly parent: string;
}

/** Each table behind those that it refers to. */
function inOrder(tables: readonly string[], references: readonly Reference[]): string[] {
  const done = new Set<string>();
  const visit = (table: string) => {
    if (done.has(table)) return;
    for (const { child, parent } of references) if (child === table && parent !== table) visit(parent);
    done.add(table);
  };
  for (const table of tables) visit(table);
  return [...done].filter((table) => !NOT_OURS.has(table));
}
