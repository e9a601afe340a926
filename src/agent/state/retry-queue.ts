/** The retry queue of one connector: which objects are tried again, why, and when. On disk, and read page by page. */

import type Database from 'better-sqlite3';
import type { RetryFailure, RetryRow } from './rows.js';

/** Two minutes: a cycle. */
const STEP_MS = 120_000;
const MAX_MS = 3_600_000;
/** What fails until somebody changes something is looked at so often. */
const RARE_MS = 6 * 3_600_000;
/** So many failures of the kind that only a change cures, and the object is tried rarely: the first may be chance. */
const RARE_FROM = 3;
const MAX_REASON = 300;
/** The directory does not have the object; its first failure counts from when that was seen first. */
export const OBJECT_MISSING = 'dc-object-missing';
const MAX_CODE = 64;

/** What `put` has made of an object. */
export interface RetryState {
  /** Failures so far; 1: it is new in the queue. */
  readonly attempts: number;
  /** With this failure it came to be tried rarely. */
  readonly gaveUp: boolean;
}

/**
 * Milliseconds until the next try after so many failures: at the next cycle, then up to 2, 6, 14, … minutes later, at
 * most an hour. `spread` (0 to 1) takes up to a quarter off, so that those who failed together do not come back together.
 */
export function retryDelay(attempts: number, spread: number): number {
  const most = Math.min((2 ** Math.min(attempts - 1, 20) - 1) * STEP_MS, MAX_MS);
  return Math.round(most * (1 - spread / 4));
}

export class RetryQueue {
  readonly #connector: number;
  readonly #find: Database.Statement;
  readonly #row: Database.Statement;
  readonly #put: Database.Statement;
  readonly #remove: Database.Statement;
  readonly #wake: Database.Statement;
  readonly #hasten: Database.Statement;
  readonly #due: Database.Statement;
  readonly #list: Database.Statement;
  readonly #count: Database.Statement;
  #size: number;

  constructor(db: Database.Database, connector: number) {
    this.#connector = connector;
    this.#find = db.prepare('SELECT attempts, rare FROM retry WHERE connector = ? AND guid = ?');
    this.#row = db.prepare(`SELECT ${COLUMNS} FROM retry WHERE connector = ? AND guid = ?`);
    this.#put = db.prepare(
      `INSERT INTO retry (connector, guid, reason, code, attempts, rare, first_failure, next_try)
       VALUES (@connector, @guid, @reason, @code, @attempts, @rare, @now, @nextTry)
       ON CONFLICT DO UPDATE SET reason = excluded.reason, attempts = excluded.attempts, rare = excluded.rare,
        next_try = excluded.next_try, first_failure = CASE
         WHEN excluded.code = '${OBJECT_MISSING}' AND retry.code <> excluded.code THEN excluded.first_failure
         ELSE retry.first_failure END,
        code = excluded.code`,
    );
    this.#remove = db.prepare('DELETE FROM retry WHERE connector = ? AND guid = ?');
    this.#wake = db.prepare(
      `UPDATE retry SET next_try = @now WHERE connector = @connector AND next_try > @now + ${MAX_MS}
        AND (rare = 0 OR next_try > @now + ${RARE_MS})`,
    );
    this.#hasten = db.prepare('UPDATE retry SET next_try = @now WHERE connector = @connector AND code = @code');
    this.#due = db.prepare(
      `SELECT ${COLUMNS} FROM retry WHERE connector = @connector AND next_try <= @now
        AND (next_try, guid) > (@nextTry, @guid) ORDER BY next_try, guid LIMIT @limit`,
    );
    this.#list = db.prepare(`SELECT ${COLUMNS} FROM retry WHERE connector = ? ORDER BY guid LIMIT ?`);
    this.#count = db.prepare('SELECT count(*) FROM retry WHERE connector = ?').pluck();
    this.#size = this.#count.get(connector) as number;
  }

  /** Objects in the queue. */
  get size(): number {
    return this.#size;
  }

  /** Failures of an object so far; 0: it is not in the queue. */
  attempts(guid: Uint8Array): number {
    if (this.#size === 0) return 0;
    return (this.#find.get(this.#connector, guid) as { attempts: number } | undefined)?.attempts ?? 0;
  }

  find(guid: Uint8Array): RetryRow | undefined {
    if (this.#size === 0) return undefined;
    return this.#row.get(this.#connector, guid) as RetryRow | undefined;
  }

  /** Notes a failure, for a new object or for one that is there. */
  put(guid: Uint8Array, { reason, code, lasting }: RetryFailure, now: number): RetryState {
    const before = this.#size === 0 ? undefined : (this.#find.get(this.#connector, guid) as Before | undefined);
    const attempts = (before?.attempts ?? 0) + 1;
    const rare = lasting && attempts >= RARE_FROM;
    const delay = rare ? RARE_MS * (1 - spreadOf(guid) / 4) : retryDelay(attempts, spreadOf(guid));
    this.#put.run({
      connector: this.#connector,
      guid,
      reason: reason.slice(0, MAX_REASON),
      code: code.slice(0, MAX_CODE),
      attempts,
      rare: rare ? 1 : 0,
      now,
      nextTry: now + Math.round(delay),
    });
    if (before === undefined) this.#size++;
    return { attempts, gaveUp: rare && before?.rare !== 1 };
  }

  /** True where it was there. */
  remove(guid: Uint8Array): boolean {
    if (this.#size === 0) return false;
    const { changes } = this.#remove.run(this.#connector, guid);
    this.#size -= changes;
    return changes > 0;
  }

  /**
   * Up to `limit` objects whose time has come, behind `last` in the order of their times: a new `put` moves an object
   * out of what is read. A time that is further away than any retry is of a clock that has been set back since.
   */
  due(now: number, last: RetryRow | undefined, limit: number): RetryRow[] {
    const connector = this.#connector;
    if (last === undefined) this.#wake.run({ connector, now });
    const { nextTry, guid } = last ?? { nextTry: Number.MIN_SAFE_INTEGER, guid: new Uint8Array(0) };
    return this.#due.all({ connector, now, nextTry, guid, limit }) as RetryRow[];
  }

  /** What they waited for is there. */
  hasten(code: string, now: number): void {
    if (this.#size > 0) this.#hasten.run({ connector: this.#connector, code, now });
  }

  /** Some of them, for people. */
  list(limit: number): RetryRow[] {
    return this.#list.all(this.#connector, limit) as RetryRow[];
  }

  /** After a transaction that was rolled back. */
  recount(): void {
    this.#size = this.#count.get(this.#connector) as number;
  }
}

interface Before {
  readonly attempts: number;
  readonly rare: number;
}

const COLUMNS = 'guid, reason, code, attempts, first_failure AS firstFailure, next_try AS nextTry';

/** 0 to 1, from the object's own GUID: the same at each run, and even over many objects. */
function spreadOf(guid: Uint8Array): number {
  return ((guid[0]! << 8) | guid[15]!) / 65_535;
}
