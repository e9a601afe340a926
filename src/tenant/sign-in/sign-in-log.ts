/** The sign-in log: gathered, and written a few times a second. A name that no user has is never written down. */

import type { Logger } from 'pino';
import { PhsyncError } from '../../hasher/errors.js';
import type { TenantDatabase } from '../store/database.js';
import { timeOrderedId } from '../store/time-ordered-id.js';
import type { FamiliarPlaces } from './familiar-places.js';

const INTERVAL = 250;
/** Rows a statement: others go on between two of them. */
const BATCH = 300;
/** While the database cannot be written to; beyond that the oldest are lost, and the count of them is told. */
const MOST_WAITING = 50_000;
/** Of familiar places that the database refuses, which may be for what they are or for what it is. */
const TRIES = 5;
/** Of what clients send: their id, the correlation id. */
const MAX_TEXT = 256;

export interface SignInEntry {
  /** Undefined: no such user. */
  readonly user: { readonly objectId: string; readonly userPrincipalName: string } | undefined;
  readonly clientId: string;
  readonly flow: 'password' | 'browser' | 'deviceCode' | 'refresh';
  readonly address: string;
  readonly familiar: boolean;
  /** AADSTS number, the real one: 50034 and 50056 where the person was told 50126. 0: signed in. */
  readonly errorCode: number;
  readonly correlationId: string;
}

/** Its id is drawn once: whatever is written again, since nobody answered, is the same row. */
interface Recorded {
  readonly id: string;
  readonly at: number;
  readonly entry: SignInEntry;
}

export class SignInLog {
  readonly #database: TenantDatabase;
  readonly #places: FamiliarPlaces;
  readonly #now: () => Date;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #entries: Recorded[] = [];
  #familiar: { readonly userId: number; readonly address: string }[] = [];
  #lost = 0;
  /** How often in a row the database refused the first familiar places. */
  #refused = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(database: TenantDatabase, places: FamiliarPlaces, now: () => Date, log: Logger) {
    this.#database = database;
    this.#places = places;
    this.#now = now;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), INTERVAL).unref();
  }

  record(entry: SignInEntry): void {
    const at = this.#now().getTime();
    this.#entries.push({ id: timeOrderedId(at), at, entry });
    if (this.#entries.length > MOST_WAITING) {
      this.#entries.shift();
      this.#lost++;
    }
  }

  /** The user's place is a familiar one from now on. */
  remember(userId: number, address: string): void {
    if (this.#familiar.length < MOST_WAITING) this.#familiar.push({ userId, address });
  }

  /** Everything recorded so far is in the database when it resolves, or waits for the next time if that failed. */
  flush(): Promise<void> {
    this.#running = this.#running.then(() => this.#write());
    return this.#running;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
    if (this.#entries.length > 0) this.#log.error({ lost: this.#entries.length }, 'sign-in log could not be written');
  }

  async #write(): Promise<void> {
    try {
      while (this.#entries.length > 0) {
        const entries = this.#entries.slice(0, BATCH);
        await this.#insert(entries);
        // By identity: the oldest may have been dropped meanwhile.
        const written = new Set(entries);
        this.#entries = this.#entries.filter((entry) => !written.has(entry));
      }
      await this.#rememberAll();
      if (this.#lost > 0) this.#log.error({ lost: this.#lost }, 'entries of the sign-in log were lost');
      this.#lost = 0;
    } catch (err) {
      // Busy, or away: its turn comes again.
      this.#log.warn({ err, waiting: this.#entries.length }, 'sign-in log not written; tried again');
    }
  }

  /** A familiar place decides whom a lockout keeps out: it waits for a database that is away, and for one that refuses it a few times. */
  async #rememberAll(): Promise<void> {
    while (this.#familiar.length > 0) {
      const places = this.#familiar.slice(0, BATCH);
      try {
        await this.#places.remember(places);
        this.#refused = 0;
      } catch (err) {
        if (!(err instanceof PhsyncError) || err.code !== 'store-failed' || ++this.#refused < TRIES) throw err;
        this.#refused = 0;
        this.#log.error({ err, lost: places.length }, 'familiar places refused by the database');
      }
      // What was pushed meanwhile stands behind.
      this.#familiar.splice(0, places.length);
    }
  }

  /** What the database refuses for what it is would hold up all that comes behind it: it is lost, and that is told. */
  async #insert(entries: readonly Recorded[]): Promise<void> {
    try {
      await this.#database.append('sign_ins', entries.map(toRow));
    } catch (err) {
      if (!(err instanceof PhsyncError) || err.code !== 'store-failed') throw err;
      this.#lost += entries.length;
      this.#log.error({ err }, 'sign-in log refused by the database');
    }
  }
}

/** PostgreSQL's text has no NUL and no half characters: such a row, and all behind it, could never be written. */
const textOf = (given: string) =>
  given
    .slice(0, MAX_TEXT)
    .replaceAll('\0', '\ufffd')
    .replace(/\p{Surrogate}/gu, '\ufffd');

const toRow = ({ id, at, entry }: Recorded) => ({
  sign_in_id: id,
  at,
  user_object_id: entry.user?.objectId ?? null,
  user_principal_name: entry.user?.userPrincipalName ?? null,
  client_id: textOf(entry.clientId),
  flow: entry.flow,
  address: textOf(entry.address),
  familiar: entry.familiar ? 1 : 0,
  error_code: entry.errorCode,
  correlation_id: textOf(entry.correlationId),
});
