/** The event log of the last seven days in the agent's state. */

import type Database from 'better-sqlite3';
import { KEPT_MS, pruneResults } from './history.js';

export interface StoredEvent {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly number: number;
  /** Undefined: of the agent as a whole. */
  readonly connector: string | undefined;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** What is asked of the event log; all that is given must hold. */
export interface EventQuery {
  readonly numbers?: readonly number[];
  readonly connector?: string;
  /** Milliseconds since 1970. */
  readonly since?: number;
}

/** About 30 MB. An agent with ten connectors that changes passwords all day long writes fewer in seven days. */
const MAX_EVENTS = 100_000;
/** Rows that one pruning takes away, so that the loop is not held up: some 10 ms. */
const PRUNED_AT_ONCE = 5000;

export class EventStore {
  readonly #db: Database.Database;
  readonly #add: Database.Statement;
  readonly #maxEvents: number;

  constructor(db: Database.Database, maxEvents = MAX_EVENTS) {
    this.#db = db;
    this.#maxEvents = maxEvents;
    this.#add = db.prepare('INSERT INTO event (at, number, connector, fields) VALUES (?, ?, ?, ?)');
  }

  /** All of them or none. Throws what SQLite throws. */
  add(events: readonly { at: number; number: number; connector: string | null; fields: string }[]): void {
    this.#db
      .transaction(() => {
        for (const { at, number, connector, fields } of events) this.#add.run(at, number, connector, fields);
      })
      .immediate();
  }

  /** The newest `limit` events that the query asks for, the newest first. */
  newest(limit: number, query: EventQuery = {}): StoredEvent[] {
    return newestEvents(this.#db, limit, query);
  }

  /** Takes away a part of what is too old or too much, of the results of objects too; true while more remains. */
  prune(now: number): boolean {
    const old = this.#db
      .prepare('DELETE FROM event WHERE id IN (SELECT id FROM event WHERE at < ? ORDER BY at LIMIT ?)')
      .run(now - KEPT_MS, PRUNED_AT_ONCE).changes;
    // Ids follow one another, and only old ones are taken away.
    const many = this.#db
      .prepare(
        `DELETE FROM event WHERE id IN (SELECT id FROM event
           WHERE id <= (SELECT max(id) FROM event) - ? ORDER BY id LIMIT ?)`,
      )
      .run(this.#maxEvents, PRUNED_AT_ONCE).changes;
    const moreResults = pruneResults(this.#db, now);
    return old === PRUNED_AT_ONCE || many === PRUNED_AT_ONCE || moreResults;
  }
}

/** For readers of the state too, while an agent runs. */
export function newestEvents(db: Database.Database, limit: number, query: EventQuery = {}): StoredEvent[] {
  const { numbers, connector, since } = query;
  const conditions: string[] = [];
  const values: (string | number)[] = [];
  if (numbers !== undefined) {
    conditions.push(`number IN (${numbers.map(() => '?').join(', ')})`);
    values.push(...numbers);
  }
  if (connector !== undefined) {
    conditions.push('connector = ?');
    values.push(connector);
  }
  if (since !== undefined) {
    conditions.push('at >= ?');
    values.push(since);
  }
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const rows = db
    .prepare(`SELECT at, number, connector, fields FROM event ${where} ORDER BY id DESC LIMIT ?`)
    .all(...values, limit) as { at: number; number: number; connector: string | null; fields: string }[];
  return rows.map(({ at, number, connector, fields }) => ({
    at,
    number,
    connector: connector ?? undefined,
    fields: JSON.parse(fields) as StoredEvent['fields'],
  }));
}
