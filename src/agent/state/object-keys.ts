/**
 * Where the row of each object is. GUIDs are random, so that an index over them that is written with every page of
 * objects is rewritten nearly whole each time: rows are keyed many at a time and sorted, those above `object_keyed` are
 * not yet, and are looked up in memory.
 */

import type Database from 'better-sqlite3';
import { RecentKeys } from './recent-keys.js';

/**
 * Rows that have no key on disk at the most; 7 MiB here. Each time nearly all leaves of the keys are written once, which
 * holds up everything for 0.1 s, at 1,000,000 objects for 0.25 s. Half of it: half of that, twice as often.
 */
const MAX_RECENT = 131_072;

const UNKEYED = 'id > (SELECT up_to FROM object_keyed)';

/**
 * An SQL expression for the id of an object's row, for those who look without the memory; a row that has no key is found
 * by going through all such rows. Both parameters are expressions.
 */
export function objectIdSql(connector: string, guid: string): string {
  return `coalesce((SELECT object FROM object_key WHERE connector = ${connector} AND guid = ${guid}),
    (SELECT id FROM object WHERE ${UNKEYED} AND connector = ${connector} AND guid = ${guid}))`;
}

/** What all connectors of a state share. */
export class ObjectKeys {
  readonly #db: Database.Database;
  readonly #maxRecent: number;
  readonly #idOf: Database.Statement;
  readonly #drop: Database.Statement;
  readonly #write: Database.Statement;
  readonly #writeUpTo: Database.Statement;
  readonly #recent = new RecentKeys();
  /** The last row's; undefined: what is in memory must be read again. */
  #lastId: number | undefined;

  constructor(db: Database.Database, maxRecent: number = MAX_RECENT) {
    this.#db = db;
    this.#maxRecent = maxRecent;
    this.#idOf = db.prepare('SELECT object FROM object_key WHERE connector = ? AND guid = ?').pluck();
    this.#drop = db.prepare('DELETE FROM object_key WHERE connector = ? AND guid = ?');
    this.#write = db.prepare(
      `INSERT INTO object_key (connector, guid, object) SELECT connector, guid, id FROM object WHERE ${UNKEYED}
       ORDER BY connector, guid`,
    );
    this.#writeUpTo = db.prepare('UPDATE object_keyed SET up_to = ?');
  }

  /** The row of an object that has no key on disk; undefined: if it has a row, `object_key` knows it. */
  recent(connector: number, guid: Uint8Array): number | undefined {
    if (this.#lastId === undefined) this.#read();
    return this.#recent.get(connector, guid);
  }

  idOf(connector: number, guid: Uint8Array): number | undefined {
    return this.recent(connector, guid) ?? (this.#idOf.get(connector, guid) as number | undefined);
  }

  /** `insert` is to write the row of an object that has none, under this id. */
  add(connector: number, guid: Uint8Array, insert: (id: number) => void): void {
    const id = (this.#lastId ?? this.#read()) + 1;
    insert(id);
    this.#lastId = id;
    this.#recent.add(connector, guid, id);
    if (this.#recent.size >= this.#maxRecent) this.settle();
  }

  /** To be called with the row's deletion. */
  drop(connector: number, guid: Uint8Array): void {
    if (this.recent(connector, guid) === undefined) this.#drop.run(connector, guid);
    else this.#recent.delete(connector, guid);
  }

  /** Whether the connector has any row. */
  any(connector: number): boolean {
    const sql = `SELECT EXISTS (SELECT 1 FROM object_key WHERE connector = @connector)
      OR EXISTS (SELECT 1 FROM object WHERE ${UNKEYED} AND connector = @connector)`;
    return this.#db.prepare(sql).pluck().get({ connector }) === 1;
  }

  /** The GUIDs of all rows of a connector. Until the end nothing else can be asked of the database. */
  guids(connector: number): Iterable<Uint8Array> {
    const sql = `SELECT guid FROM object_key WHERE connector = @connector
      UNION ALL SELECT guid FROM object WHERE ${UNKEYED} AND connector = @connector`;
    return this.#db.prepare(sql).pluck().iterate({ connector }) as IterableIterator<Uint8Array>;
  }

  /** Writes the keys that are missing. */
  settle(): void {
    const upTo = this.#lastId ?? this.#read();
    if (this.#recent.size === 0) return;
    this.#db.transaction(() => {
      this.#write.run();
      this.#writeUpTo.run(upTo);
    })();
    this.#recent.clear();
  }

  /** After a transaction that was rolled back: what is on disk counts. */
  forget(): void {
    this.#lastId = undefined;
  }

  #read(): number {
    this.#recent.clear();
    // Ids of rows that were deleted are not given anew below it, where nobody would look for them.
    let last = this.#db.prepare('SELECT up_to FROM object_keyed').pluck().get() as number;
    const rows = this.#db.prepare('SELECT id, connector, guid FROM object WHERE id > ? ORDER BY id').iterate(last);
    for (const { id, connector, guid } of rows as IterableIterator<Row>) {
      this.#recent.add(connector, guid, id);
      last = id;
    }
    this.#lastId = last;
    return last;
  }
}

interface Row {
  readonly id: number;
  readonly connector: number;
  readonly guid: Uint8Array;
}
