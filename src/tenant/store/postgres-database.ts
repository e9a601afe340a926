/** PostgreSQL under the tenant: a pool of connections; several tenant processes may share one database. */

import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { PhsyncError } from '../../hasher/errors.js';
import type { Queries, TenantDatabase } from './database.js';
import { migrationsOf } from './migrations.js';
import type { Tables } from './tables.js';

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database?sslmode=verify-full`, a secret as a whole. */
  readonly url: string;
  readonly maxConnections: number;
}

/** Of `pg_advisory_xact_lock`: "phsync" as a number, so that one process at a time migrates. */
const MIGRATION_LOCK = 0x706873796e63;
/** bigint: times and counts here stay below 2^53. */
const INT8 = 20;
/** SQLSTATE of what the next try may not meet: serialization, deadlock, lock, shutdown, too many connections. */
const BUSY = /^(40001|40P01|55P03|57P01|57P02|57P03|53300|08\w{3})$/;

export class PostgresDatabase implements TenantDatabase {
  readonly dialect = 'postgres';
  readonly #queries: Queries;
  readonly pool: pg.Pool;

  private constructor(pool: pg.Pool) {
    this.pool = pool;
    this.#queries = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  }

  /** Connects and migrates. @throws PhsyncError `store-open` or `store-newer`. */
  static async open({ url, maxConnections }: PostgresOptions): Promise<PostgresDatabase> {
    const types = {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
    };
    const pool = new pg.Pool({ connectionString: url, max: maxConnections, types, connectionTimeoutMillis: 10_000 });
    // An idle connection that breaks is replaced by the next query, which would end the process otherwise.
    pool.on('error', () => undefined);
    try {
      await migrate(pool);
    } catch (cause) {
      await pool.end();
      if (cause instanceof PhsyncError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new PhsyncError('store-open', `cannot open the PostgreSQL database: ${reason}`, { cause });
    }
    return new PostgresDatabase(pool);
  }

  run<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return translated(() => work(this.#queries));
  }

  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return translated(() => this.#queries.transaction().execute(work));
  }

  async close(): Promise<void> {
    await this.#queries.destroy();
  }
}

async function migrate(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await client.query('CREATE TABLE IF NOT EXISTS migrations (number bigint PRIMARY KEY, applied_at bigint NOT NULL)');
    const { rows } = await client.query('SELECT coalesce(max(number), 0) AS newest FROM migrations');
    const newest: number = rows[0].newest;
    const migrations = migrationsOf('postgres');
    const last = migrations.at(-1)?.number ?? 0;
    if (newest > last) {
      throw new PhsyncError(
        'store-newer',
        `the PostgreSQL database is at migration ${newest}, this version of phsync knows ${last}: run the version that wrote it`,
        { facts: { migration: newest, known: last } },
      );
    }
    for (const { number, sql } of migrations.filter(({ number }) => number > newest)) {
      await client.query(sql);
      await client.query('INSERT INTO migrations (number, applied_at) VALUES ($1, $2)', [number, Date.now()]);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof PhsyncError) throw cause;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
    if (code === undefined) throw cause;
    if (BUSY.test(code) || code.startsWith('E')) {
      throw new PhsyncError('store-busy', 'the tenant database cannot be reached or is busy; try again', { cause });
    }
    throw new PhsyncError('store-failed', `the tenant database failed: ${(cause as Error).message}`, { cause });
  }
}
