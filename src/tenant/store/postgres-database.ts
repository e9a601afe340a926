/** PostgreSQL under the tenant: a pool of connections; several tenant processes may share one database. */

import { type Insertable, Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { PhsyncError } from '../../hasher/errors.js';
import { Gather } from '../gather.js';
import type { Queries, TenantDatabase } from './database.js';
import { Lanes } from './lanes.js';
import { type Find, joinedSql, type KeyPart, type LookUp, type Placed } from './look-up.js';
import { migrationsOf } from './migrations.js';
import { openError, translatedError } from './postgres-errors.js';
import type { Tables } from './tables.js';

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database?sslmode=verify-full`, a secret as a whole. */
  readonly url: string;
  readonly maxConnections: number;
}

/** A statement that each connection prepares once, under its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}
export type Query = <Row>(statement: Statement, values: readonly unknown[]) => Promise<Row[]>;
export interface Access {
  /** Stands alone, on any connection. */
  readonly query: Query;
  /** READ COMMITTED, on one connection. */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>;
}

/** Of `pg_advisory_xact_lock`: "phsync" as a number, so that one process at a time migrates. */
const MIGRATION_LOCK = 0x706873796e63;
/** bigint: times and counts here stay below 2^53. */
const INT8 = 20;
/** Connections that long reads may have: the others are there for sign-in and provisioning. */
const MOST_ASIDE = 2;
const MOST_ASIDE_WAITING = 40;
/** A batch of 2000 takes a fraction of a second: what takes longer than this waits for someone who has gone astray. */
const LIMITS = {
  connectionTimeoutMillis: 10_000,
  lock_timeout: 10_000,
  statement_timeout: 60_000,
  idle_in_transaction_session_timeout: 60_000,
} as const;

export class PostgresDatabase implements TenantDatabase {
  readonly dialect = 'postgres';
  readonly pool: pg.Pool;
  readonly #queries: Queries;
  readonly #asides: Lanes<Queries>;

  private constructor(pool: pg.Pool, maxConnections: number) {
    this.pool = pool;
    this.#queries = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
    const asides = maxConnections > MOST_ASIDE ? MOST_ASIDE : 1;
    this.#asides = new Lanes(
      Array.from({ length: asides }, () => this.#queries),
      MOST_ASIDE_WAITING,
    );
  }

  /** Connects and migrates. @throws PhsyncError `config-secret` (no such URL), `store-open` or `store-newer`. */
  static async open(options: PostgresOptions): Promise<PostgresDatabase> {
    const pool = createPool(options);
    try {
      await migratePostgres(pool);
    } catch (error) {
      await pool.end();
      throw openError(error);
    }
    return new PostgresDatabase(pool, options.maxConnections);
  }

  run<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return translated(() => work(this.#queries));
  }

  aside<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return this.#asides.use((queries) => translated(() => work(queries)));
  }

  lookUp<Key extends readonly KeyPart[], Row>(look: LookUp<Key, Row>): Find<Key, Row> {
    const { name, types } = look;
    const statement = { name, text: joinedSql(look) };
    const gather = new Gather(async (keys: readonly Key[]) => {
      const values = types.map((_, part) => keys.map((key) => key[part]));
      const rows = await this.access(({ query }) => query<Row & Placed>(statement, values));
      const found = new Map(rows.map((row) => [row.key_number, row]));
      return keys.map((_, i) => found.get(i + 1));
    });
    return (...key) => gather.run(key);
  }

  async append<T extends keyof Tables>(table: T, rows: readonly Insertable<Tables[T]>[]): Promise<void> {
    if (rows.length === 0) return;
    const columns = Object.keys(rows[0]!).join(', ');
    const text = `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM json_populate_recordset(NULL::${table}, $1)
      ON CONFLICT DO NOTHING`;
    await this.access(({ query }) => query({ name: `append_${table}`, text }, [JSON.stringify(rows)]));
  }

  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return translated(() => this.#queries.transaction().execute(work));
  }

  /** For statements of our own text. Within `work` errors are pg's; those that leave it are the store's. */
  access<T>(work: (access: Access) => Promise<T>): Promise<T> {
    return translated(() =>
      work({
        query: async (statement, values) => (await this.pool.query({ ...statement, values: [...values] })).rows,
        transaction: (inner) => this.#onOneConnection(inner),
      }),
    );
  }

  async close(): Promise<void> {
    this.#asides.close();
    await this.#queries.destroy();
    // Kysely ends only what was used through it.
    if (!this.pool.ended) await this.pool.end();
  }

  async #onOneConnection<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    let broken = false;
    try {
      await client.query('BEGIN');
      const result = await work(
        async (statement, values) => (await client.query({ ...statement, values: [...values] })).rows,
      );
      await client.query('COMMIT');
      return result;
    } catch (error) {
      // A connection that cannot even roll back is not given to anyone else.
      await client.query('ROLLBACK').catch(() => {
        broken = true;
      });
      throw error;
    } finally {
      client.release(broken);
    }
  }
}

/** Connects when it is first used. @throws PhsyncError `config-secret`: no such URL. */
export function createPool({ url, maxConnections }: PostgresOptions): pg.Pool {
  checkUrl(url);
  const types = {
    getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
      oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
  };
  const pool = new pg.Pool({
    connectionString: url,
    max: maxConnections,
    types,
    keepAlive: true,
    application_name: 'phsync tenant',
    ...LIMITS,
  });
  // A connection that breaks fails the query that is on it, or the next one. Its event without a listener would end the
  // process; the pool listens on idle connections only.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** The client's own complaint would repeat the URL. */
function checkUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed !== undefined && /^postgres(ql)?:$/.test(parsed.protocol) && parsed.pathname.length > 1) return;
  throw new PhsyncError('config-secret', 'store.url: expected postgres://user:password@host:port/database', {
    facts: { name: 'store.url' },
  });
}

/** One process at a time. @throws PhsyncError `store-newer`, or pg's errors. */
export async function migratePostgres(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    // A migration may take as long as it takes, and so may the wait for another process's.
    await client.query('SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0');
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
  } catch (error) {
    throw translatedError(error);
  }
}
