/** What the program knows from one run to the next: one SQLite file with cookie, the users it has seen and the retry queue. */

import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { PhsyncError } from '../../hasher/errors.js';
import { openDatabase } from '../../state/database.js';
import { openStateDirectory } from '../../state/directory.js';
import { type Lock, tryLock } from '../../state/lock.js';
import { migrations } from './migrations.js';

/** Its presence says that the directory is the program's own. */
export const DATABASE_FILE = 'domain-services.sqlite';
/** Locked while the program runs. */
export const LOCK_FILE = 'domain-services.lock';

export interface SyncState {
  readonly cookie: string | undefined;
  readonly pass: number;
  /** The whole feed is being read, from a beginning without a cookie. */
  readonly readingAll: boolean;
  readonly domainSid: string | undefined;
  readonly invocationId: string | undefined;
  readonly completedAt: number | undefined;
  readonly fullAt: number | undefined;
}

export interface Failure {
  readonly objectId: string;
  readonly code: string;
  /** For people; quotes nothing of a secret. */
  readonly reason: string;
  /** undefined: not by itself. */
  readonly retryAfterMs: number | undefined;
}

export interface Waiting {
  readonly objectId: string;
  readonly code: string;
  readonly reason: string;
  readonly attempts: number;
  readonly firstFailure: number;
  readonly nextTry: number | undefined;
}

/** What a page has led to, for `settle`. */
export interface Settlement {
  /** undefined: the cookie stays where it is. */
  readonly cookie?: string | undefined;
  readonly seen: readonly string[];
  readonly gone: readonly string[];
  readonly done: readonly string[];
  readonly failed: readonly Failure[];
  readonly now: number;
}

/**
 * Opens (or makes) the database in the directory, mode 0600 in a directory of mode 0700; a second process is kept out.
 * @throws PhsyncError `state-directory`, `state-in-use`, `store-newer`, `store-open`, `store-sqlite`
 */
export function openStateStore(stateDir: string): StateStore {
  openStateDirectory(stateDir, DATABASE_FILE);
  const lock = takeLock(join(stateDir, LOCK_FILE));
  try {
    const options = { migrations, synchronous: 'FULL', cacheKiB: 2048, walPages: 1000, busyMs: 5000 } as const;
    return new StateStore(openDatabase(join(stateDir, DATABASE_FILE), options), lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function takeLock(file: string): Lock {
  const lock = tryLock(file);
  if (lock === undefined) {
    throw new PhsyncError('state-in-use', `another phsync domain-services uses ${file}: only one may run on a state`, {
      facts: { file },
    });
  }
  return lock;
}

const bytesOf = (objectId: string): Buffer => Buffer.from(objectId.replaceAll('-', ''), 'hex');
const textOf = (bytes: Buffer): string =>
  bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
const orNone = <T>(value: T | null): T | undefined => value ?? undefined;

interface SyncRow {
  cookie: string | null;
  pass: number;
  reading_all: number;
  domain_sid: string | null;
  invocation_id: string | null;
  completed_at: number | null;
  full_at: number | null;
}

interface RetryRow {
  object_id: Buffer;
  code: string;
  reason: string;
  attempts: number;
  first_failure: number;
  next_try: number | null;
}

export class StateStore {
  readonly #db: Database.Database;
  readonly #lock: Lock;

  constructor(db: Database.Database, lock: Lock) {
    this.#db = db;
    this.#lock = lock;
  }

  get sync(): SyncState {
    const row = this.#db.prepare('SELECT * FROM sync').get() as SyncRow;
    return {
      cookie: orNone(row.cookie),
      pass: row.pass,
      readingAll: row.reading_all === 1,
      domainSid: orNone(row.domain_sid),
      invocationId: orNone(row.invocation_id),
      completedAt: orNone(row.completed_at),
      fullAt: orNone(row.full_at),
    };
  }

  /** From now on everything is written to this domain. */
  setDomain(domainSid: string, invocationId: string): void {
    this.#db.prepare('UPDATE sync SET domain_sid = ?, invocation_id = ?').run(domainSid, invocationId);
  }

  /** The next page is the first one of the whole feed. */
  beginAll(): void {
    this.#db.prepare('UPDATE sync SET cookie = NULL, pass = pass + 1, reading_all = 1').run();
  }

  /** What a page has led to, in one transaction: the cookie moves with its work, or not at all. */
  settle({ cookie, seen, gone, done, failed, now }: Settlement): void {
    const see = this.#db.prepare(
      `INSERT INTO user (object_id, pass) VALUES (?, (SELECT pass FROM sync))
       ON CONFLICT DO UPDATE SET pass = excluded.pass WHERE pass <> excluded.pass`,
    );
    const forget = this.#db.prepare('DELETE FROM user WHERE object_id = ?');
    const clear = this.#db.prepare('DELETE FROM retry WHERE object_id = ?');
    const fail = this.#db.prepare(
      `INSERT INTO retry (object_id, code, reason, attempts, first_failure, next_try) VALUES (?, ?, ?, 1, ?, ?)
       ON CONFLICT DO UPDATE SET code = excluded.code, reason = excluded.reason, attempts = attempts + 1,
         next_try = excluded.next_try`,
    );
    this.#db
      .transaction(() => {
        for (const id of seen) see.run(bytesOf(id));
        for (const id of gone) forget.run(bytesOf(id));
        for (const id of done) clear.run(bytesOf(id));
        for (const { objectId, code, reason, retryAfterMs } of failed) {
          fail.run(bytesOf(objectId), code, reason, now, retryAfterMs === undefined ? null : now + retryAfterMs);
        }
        if (cookie !== undefined) this.#db.prepare('UPDATE sync SET cookie = ?').run(cookie);
      })
      .immediate();
  }

  /** Whether the reading of the whole feed that is under way, or came last, has shown the object. */
  wasSeen(objectId: string): boolean {
    const row = this.#db.prepare('SELECT pass = (SELECT pass FROM sync) FROM user WHERE object_id = ?').pluck();
    return row.get(bytesOf(objectId)) === 1;
  }

  /** The whole feed was read, and what is gone is gone from the domain, too. */
  endAll(now: number): void {
    this.#db
      .transaction(() => {
        this.#db.prepare('DELETE FROM user WHERE pass <> (SELECT pass FROM sync)').run();
        this.#db.prepare('UPDATE sync SET reading_all = 0, full_at = ?').run(now);
      })
      .immediate();
  }

  /** The feed was read to its end. */
  completed(now: number): void {
    this.#db.prepare('UPDATE sync SET completed_at = ?').run(now);
  }

  get userCount(): number {
    return this.#db.prepare('SELECT count(*) FROM user').pluck().get() as number;
  }

  get retryCount(): number {
    return this.#db.prepare('SELECT count(*) FROM retry').pluck().get() as number;
  }

  get oldestFailure(): number | undefined {
    return orNone(this.#db.prepare('SELECT min(first_failure) FROM retry').pluck().get() as number | null);
  }

  isWaiting(objectId: string): boolean {
    return this.#db.prepare('SELECT 1 FROM retry WHERE object_id = ?').pluck().get(bytesOf(objectId)) === 1;
  }

  attempts(objectId: string): number {
    const row = this.#db.prepare('SELECT attempts FROM retry WHERE object_id = ?').pluck();
    return (row.get(bytesOf(objectId)) as number | undefined) ?? 0;
  }

  /** Why an object waits; undefined where it does not. */
  reason(objectId: string): Pick<Failure, 'code' | 'reason'> | undefined {
    const row = this.#db.prepare('SELECT code, reason FROM retry WHERE object_id = ?');
    return row.get(bytesOf(objectId)) as Pick<Failure, 'code' | 'reason'> | undefined;
  }

  /** Who waits for another try, the longest first. */
  waiting(limit: number): Waiting[] {
    const rows = this.#db
      .prepare('SELECT * FROM retry ORDER BY first_failure, object_id LIMIT ?')
      .all(limit) as RetryRow[];
    return rows.map(waitingOf);
  }

  due(now: number, limit: number): Waiting[] {
    const rows = this.#db
      .prepare('SELECT * FROM retry WHERE next_try <= ? ORDER BY next_try, object_id LIMIT ?')
      .all(now, limit) as RetryRow[];
    return rows.map(waitingOf);
  }

  /** Writes a row, to learn whether that works. Throws what SQLite throws. */
  probe(now: number): void {
    this.#db.prepare('INSERT INTO probe VALUES (1, ?) ON CONFLICT DO UPDATE SET at = excluded.at').run(now);
  }

  close(): void {
    this.#db.close();
    this.#lock.release();
  }
}

const waitingOf = ({ object_id, code, reason, attempts, first_failure, next_try }: RetryRow): Waiting => ({
  objectId: textOf(object_id),
  code,
  reason,
  attempts,
  firstFailure: first_failure,
  nextTry: orNone(next_try),
});
