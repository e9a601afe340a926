/** The tenant's database as its rooms see it: kysely over SQLite or PostgreSQL, one statement or one transaction at a time. */

import type { Insertable, Kysely } from 'kysely';
import type { Find, KeyPart, LookUp } from './look-up.js';
import type { Tables } from './tables.js';

export type Queries = Kysely<Tables>;

/**
 * Every failure is a PhsyncError: `store-busy` (another writer, or a connection that was not to be had; try again) or
 * `store-failed`.
 */
export interface TenantDatabase {
  readonly dialect: 'sqlite' | 'postgres';
  /** Statements that stand alone. Not for several that belong together: others may write in between. */
  run<T>(work: (queries: Queries) => Promise<T>): Promise<T>;
  /**
   * All of `work` or nothing; on disk when the promise resolves. On SQLite it is the only writer from its beginning. On
   * PostgreSQL READ COMMITTED: lock the rows that a decision rests on (`FOR UPDATE`), or decide within the statement.
   * `work` must not wait for anything but its own queries.
   */
  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T>;
  /**
   * Queries that may look at many rows, beside sign-in: a few at a time, on SQLite by threads. `work` only reads, what is
   * committed. @throws PhsyncError `store-busy` where too many wait as well.
   */
  aside<T>(work: (queries: Queries) => Promise<T>): Promise<T>;
  /** For what each sign-in asks: without kysely, and many at once cost little more than one. */
  lookUp<Key extends readonly KeyPart[], Row>(look: LookUp<Key, Row>): Find<Key, Row>;
  /**
   * All of the rows or none, beside all else and without kysely's texts of thousands of parameters: for logs. Their keys
   * are the same, their values numbers and well-formed text without NUL. A row that is there already, by a unique key, is
   * left alone: what nobody answered for can be appended again.
   */
  append<T extends keyof Tables>(table: T, rows: readonly Insertable<Tables[T]>[]): Promise<void>;
  close(): Promise<void>;
}
