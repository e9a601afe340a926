/** SQLite under the tenant: one connection that writes, in turn, and better-sqlite3's own statements for what must be fast. */

import type Database from 'better-sqlite3';
import { type Insertable, Kysely, SqliteDialect, sql } from 'kysely';
import { type DatabaseOptions, openDatabase } from '../../state/database.js';
import { sqlite } from '../../state/sqlite.js';
import { Gather } from '../gather.js';
import type { Queries, TenantDatabase } from './database.js';
import type { Find, KeyPart, LookUp } from './look-up.js';
import { migrationsOf } from './migrations.js';
import { SqliteAppender } from './sqlite-appender.js';
import { translatedError } from './sqlite-errors.js';
import { SqliteReaders } from './sqlite-readers.js';
import { withStatementCache } from './statement-cache.js';
import type { Tables } from './tables.js';

const OPTIONS: DatabaseOptions = {
  migrations: migrationsOf('sqlite'),
  // With NORMAL a power cut may take back a batch that was acknowledged, and the agent's cookie has moved past it by
  // then. The price is one fsync a batch of up to thousands of users.
  synchronous: 'FULL',
  cacheKiB: 65_536,
  // 64 MiB of log a checkpoint: batches touch the same index pages again and again. Together with batches of a whole
  // page of objects this took the tenant's CPU for a user from 45 to 40 µs, against 16 MiB and half pages.
  walPages: 16_000,
  busyMs: 5000,
};

/** Of each thread that reads: what it looks at it rarely looks at twice, and the system keeps the file. */
const THREAD_CACHE_KIB = 8192;

/** Makes the file, or brings it up to date. @throws PhsyncError `store-open`, `store-newer` or `store-sqlite`. */
export function migrateSqlite(file: string): void {
  openDatabase(file, OPTIONS).close();
}

export class SqliteDatabase implements TenantDatabase {
  readonly dialect = 'sqlite';
  /** For statements that were prepared once. Outside `exclusively` it may only read what is committed: see `reader`. */
  readonly connection: Database.Database;
  /** Reads beside any transaction, and sees what is committed. */
  readonly reader: Database.Database;
  readonly #queries: Queries;
  readonly #appender: SqliteAppender;
  readonly #readers: SqliteReaders;

  /** @throws PhsyncError `store-open`, `store-newer` or `store-sqlite`. */
  constructor(file: string) {
    this.connection = openDatabase(file, OPTIONS);
    this.reader = new (sqlite())(file, { timeout: OPTIONS.busyMs });
    this.reader.pragma('query_only = ON');
    this.reader.pragma(`cache_size = -${OPTIONS.cacheKiB}`);
    this.#appender = new SqliteAppender({ file, ...OPTIONS });
    this.#readers = new SqliteReaders({ file, busyMs: OPTIONS.busyMs, cacheKiB: THREAD_CACHE_KIB });
    // Its own mutex lets one query or transaction at a time have the connection.
    this.#queries = new Kysely<Tables>({
      dialect: new SqliteDialect({ database: withStatementCache(this.connection) }),
    });
  }

  run<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return translated(() => work(this.#queries));
  }

  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return translated(() =>
      this.#queries.connection().execute(async (queries) => {
        // IMMEDIATE, so that a second process's writer is waited for at the beginning and not met half-way.
        await sql`BEGIN IMMEDIATE`.execute(queries);
        try {
          const result = await work(queries);
          await sql`COMMIT`.execute(queries);
          return result;
        } catch (error) {
          if (this.connection.inTransaction) await sql`ROLLBACK`.execute(queries);
          throw error;
        }
      }),
    );
  }

  /** One transaction of prepared statements of `connection`, without a wait within. */
  exclusively<T>(work: () => T): Promise<T> {
    return translated(() =>
      this.#queries.connection().execute(async () => this.connection.transaction(work).immediate()),
    );
  }

  aside<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return this.#readers.read(work);
  }

  lookUp<Key extends readonly KeyPart[], Row>({ types, sql }: LookUp<Key, Row>): Find<Key, Row> {
    const marks = types.map(() => '?') as { [Part in keyof Key]: string };
    const statement = this.reader.prepare<unknown[], unknown[]>(sql(...marks)).raw();
    const names = statement.columns().map(({ name }) => name);
    // better-sqlite3 names each value through V8's interface, which took a quarter of the time of a user's row.
    const find = (key: Key): Row | undefined => {
      const values = statement.get(...key);
      if (values === undefined) return undefined;
      const row: Record<string, unknown> = {};
      for (let i = 0; i < names.length; i++) row[names[i]!] = values[i];
      return row as Row;
    };
    // The locks of a transaction for each statement would take longer than the statement.
    const all = this.reader.transaction((keys: readonly Key[]) => keys.map(find));
    const gather = new Gather((keys: readonly Key[]) => this.read(() => all(keys)));
    return (...key) => gather.run(key);
  }

  async append<T extends keyof Tables>(table: T, rows: readonly Insertable<Tables[T]>[]): Promise<void> {
    if (rows.length > 0) await this.#appender.append(table, rows);
  }

  /** A statement of `reader`. */
  read<T>(work: () => T): Promise<T> {
    return translated(async () => work());
  }

  async close(): Promise<void> {
    await this.#appender.close();
    await this.#readers.close();
    this.reader.close();
    // Waits for what is under way; but kysely closes only what was used through it.
    await this.#queries.destroy();
    this.connection.close();
  }
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw translatedError(cause);
  }
}
