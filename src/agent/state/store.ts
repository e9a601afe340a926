/** The agent's memory: one SQLite file with cookies, what the tenant was told, and the retry queue. Never a secret. */

import { statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type Database from 'better-sqlite3';
import { PhsyncError } from '../../hasher/errors.js';
import { type DatabaseOptions, openDatabase } from '../../state/database.js';
import { openStateDirectory } from '../../state/directory.js';
import { type Lock, tryLock } from '../../state/lock.js';
import type { Peer } from '../decide.js';
import { EventStore } from './events.js';
import { KEPT_MS, type ObjectResult, objectHistory } from './history.js';
import { migrations } from './migrations.js';
import { AnchorClaims, SourceAnchors } from './peers.js';
import { RetryQueue } from './retry-queue.js';
import { type CycleCounts, type ObjectRow, type OutcomeCode, type RetryFailure, RowFlag } from './rows.js';
import { checkRoom } from './state-errors.js';

/** Its presence says that the directory is the agent's own. */
export const DATABASE_FILE = 'agent.sqlite';
/** Locked while an agent runs. */
export const LOCK_FILE = 'agent.lock';
const MAX_ERROR = 300;

/** Before a connector's name: its state in staging mode. No name of a connector begins so. */
export const STAGING_PREFIX = 'staging:';

const DATABASE_OPTIONS: DatabaseOptions = {
  migrations,
  // A power cut may take the last transactions, cookie and outcomes alike, since they share them: work is repeated,
  // never lost.
  synchronous: 'NORMAL',
  // What the kernel caches is near enough, and memory shall not follow the number of users (16 MiB: no faster).
  cacheKiB: 4096,
  // 32 MiB of log: a checkpoint every page of objects would write the GUID index over and over.
  walPages: 8000,
  busyMs: 5000,
};

/**
 * Opens (or makes) `agent.sqlite` in the directory, mode 0600 in a directory of mode 0700. A second process is kept
 * out for as long as the first lives, however that ends. In staging mode the connectors' state is one beside the real
 * one, which stays as it is. Throws PhsyncError `state-directory`, `state-in-use`, `store-newer`, `store-open`.
 */
export function openStateStore(stateDir: string, { staging = false }: { readonly staging?: boolean } = {}): StateStore {
  openStateDirectory(stateDir, DATABASE_FILE);
  const lock = takeLock(join(stateDir, LOCK_FILE));
  try {
    return new StateStore(openDatabase(join(stateDir, DATABASE_FILE), DATABASE_OPTIONS), lock, staging);
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Somebody who only looks whether the lock is taken holds it off for an instant. */
const LOOK_MS = 50;

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function takeLock(file: string): Lock {
  let lock: Lock | undefined;
  try {
    lock = tryLock(file);
    if (lock === undefined) {
      pause(LOOK_MS);
      lock = tryLock(file);
    }
  } catch (cause) {
    if (cause instanceof PhsyncError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PhsyncError('state-directory', `cannot lock ${file}: ${reason}`, { cause, facts: { file } });
  }
  if (lock === undefined) {
    throw new PhsyncError('state-in-use', `another agent uses ${file}: only one may run on a state directory`, {
      facts: { file },
    });
  }
  return lock;
}

/** Times in milliseconds since 1970. */
export interface StateGlance {
  /** The end of the last cycle that came to its end. */
  readonly completedAt: number | undefined;
  readonly heartbeatAt: number | undefined;
  readonly fullSyncAt: number | undefined;
  /** Of the object that has been in the retry queue for longest. */
  readonly oldestFailureAt: number | undefined;
}

export class StateStore {
  readonly #db: Database.Database;
  readonly #lock: Lock;
  readonly #staging: boolean;
  readonly #connectors = new Map<string, ConnectorState>();
  #configured: ReadonlySet<number> = new Set();
  readonly events: EventStore;
  readonly anchors: SourceAnchors;
  readonly claims = new AnchorClaims();

  constructor(db: Database.Database, lock: Lock, staging: boolean) {
    this.#db = db;
    this.#lock = lock;
    this.#staging = staging;
    this.events = new EventStore(db);
    this.anchors = new SourceAnchors(db);
  }

  /** Writes a row, to learn whether that works. Throws what SQLite throws. */
  probe(now: number): void {
    this.#db.prepare('INSERT INTO probe VALUES (1, ?) ON CONFLICT DO UPDATE SET at = excluded.at').run(now);
  }

  /** What the monitor shows of a connector's state: one statement, and nothing is made. */
  glance(name: string): StateGlance {
    const row = this.#db
      .prepare(
        `SELECT completed_at AS completedAt, heartbeat_at AS heartbeatAt, full_sync_at AS fullSyncAt,
          (SELECT min(first_failure) FROM retry WHERE retry.connector = connector.id) AS oldestFailureAt
         FROM connector WHERE name = ?`,
      )
      .get(this.#staging ? `${STAGING_PREFIX}${name}` : name) as
      | { [Name in keyof StateGlance]: number | null }
      | undefined;
    return {
      completedAt: row?.completedAt ?? undefined,
      heartbeatAt: row?.heartbeatAt ?? undefined,
      fullSyncAt: row?.fullSyncAt ?? undefined,
      oldestFailureAt: row?.oldestFailureAt ?? undefined,
    };
  }

  /** @throws PhsyncError `state-full` where a cycle could not write down what it does. */
  checkRoom(): void {
    const directory = dirname(this.#db.name);
    const { bavail, bsize } = statfsSync(directory);
    checkRoom(directory, bavail * bsize);
  }

  /**
   * Which connectors there are: the others' users count where two have the same source anchor. Before it is called,
   * each connector stands alone.
   */
  configure(names: readonly string[]): void {
    this.#configured = new Set(names.map((name) => this.connector(name).id));
  }

  /** The state of one connector, made when it is new. In staging mode it is one beside the real one. */
  connector(name: string): ConnectorState {
    const known = this.#connectors.get(name);
    if (known !== undefined) return known;
    const idOf = (row: string) => {
      const find = this.#db.prepare('SELECT id FROM connector WHERE name = ? AND staging = ?').pluck();
      const staging = this.#staging ? 1 : 0;
      const known = find.get(row, staging) as number | undefined;
      // Nothing is written for one that is known: the disk may be full.
      if (known !== undefined) return known;
      this.#db
        .prepare(
          'INSERT INTO connector (name, staging) VALUES (?, ?) ON CONFLICT DO UPDATE SET staging = excluded.staging',
        )
        .run(row, staging);
      return find.get(row, staging) as number;
    };
    // In staging mode too: the real one says so.
    let row = name;
    let id = idOf(row);
    if (this.#staging) {
      row = `${STAGING_PREFIX}${name}`;
      id = idOf(row);
    }
    const state = new ConnectorState(this.#db, id, row, this);
    this.#connectors.set(name, state);
    return state;
  }

  /** The connectors whose objects count, when the one with this id asks. */
  peersOf(id: number): ReadonlySet<number> {
    return this.#configured.has(id) ? this.#configured : new Set([id]);
  }

  retryQueueOf(id: number): RetryQueue | undefined {
    return this.#states().find((state) => state.id === id)?.retryQueue;
  }

  /** After a transaction that was rolled back. */
  recount(): void {
    for (const state of this.#states()) state.retryQueue.recount();
  }

  #states(): ConnectorState[] {
    return [...this.#connectors.values()];
  }

  close(): void {
    this.#db.close();
    this.#lock.release();
  }
}

export class ConnectorState {
  readonly #db: Database.Database;
  readonly #id: number;
  readonly #name: string;
  readonly #store: StateStore;
  readonly #find: Database.Statement;
  readonly #put: Database.Statement;
  readonly #drop: Database.Statement;
  readonly #touch: Database.Statement;
  readonly retryQueue: RetryQueue;
  #sweeping: boolean;

  constructor(db: Database.Database, id: number, name: string, store: StateStore) {
    this.#db = db;
    this.#id = id;
    this.#name = name;
    this.#store = store;
    this.#find = db.prepare(
      `SELECT cloud_anchor AS cloudAnchor, flags, fingerprint, dn_digest AS dnDigest, password_version AS passwordVersion,
        password_changed AS passwordChanged, outcome, source_anchor AS sourceAnchor, account_expires AS accountExpires
       FROM object WHERE connector = ? AND guid = ?`,
    );
    this.#put = db.prepare(
      `INSERT INTO object (connector, guid, cloud_anchor, flags, fingerprint, dn_digest, password_version,
        password_changed, outcome, source_anchor, account_expires, settled)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (connector, guid) DO UPDATE SET cloud_anchor = excluded.cloud_anchor, flags = excluded.flags,
        fingerprint = excluded.fingerprint, dn_digest = excluded.dn_digest,
        password_version = excluded.password_version, password_changed = excluded.password_changed,
        outcome = excluded.outcome, source_anchor = excluded.source_anchor,
        account_expires = excluded.account_expires, settled = excluded.settled`,
    );
    this.#drop = db.prepare('DELETE FROM object WHERE connector = ? AND guid = ?');
    this.#touch = db.prepare('UPDATE object SET settled = ? WHERE connector = ? AND guid = ?');
    this.retryQueue = new RetryQueue(db, id);
    this.#sweeping = this.sweepFrom !== undefined;
  }

  get id(): number {
    return this.#id;
  }

  get cookie(): Uint8Array | undefined {
    return this.#column<Uint8Array | null>('cookie') ?? undefined;
  }

  set cookie(value: Uint8Array | undefined) {
    this.#set('cookie', value ?? null);
  }

  /** Of the scope rules under which the cookie was made. */
  get scopeDigest(): string | undefined {
    return this.#column<string | null>('scope_digest') ?? undefined;
  }

  set scopeDigest(value: string) {
    this.#set('scope_digest', value);
  }

  /** Which tenant everything here was told to. */
  get tenantId(): string | undefined {
    return this.#column<string | null>('tenant_id') ?? undefined;
  }

  set tenantId(value: string) {
    this.#set('tenant_id', value);
  }

  /** True while a cycle runs: at a start, the last one was cut off. */
  get running(): boolean {
    return this.#column<number>('running') === 1;
  }

  set running(value: boolean) {
    this.#set('running', value ? 1 : 0);
  }

  /** When every object had been seen for the first time, in milliseconds since 1970. */
  get fullSyncAt(): number | undefined {
    return this.#column<number | null>('full_sync_at') ?? undefined;
  }

  set fullSyncAt(value: number) {
    this.#set('full_sync_at', value);
  }

  /** True while everything is sent again, or was when it was cut off. */
  get full(): boolean {
    return this.#column<number>('full') === 1;
  }

  set full(value: boolean) {
    this.#set('full', value ? 1 : 0);
  }

  /** The end of the last cycle that came to its end, in milliseconds since 1970. */
  get completedAt(): number | undefined {
    return this.#column<number | null>('completed_at') ?? undefined;
  }

  set completedAt(value: number) {
    this.#set('completed_at', value);
  }

  /** When the pass began at whose end everybody is deleted whom it has not shown; undefined: none is under way. */
  get sweepFrom(): number | undefined {
    return this.#column<number | null>('sweep_from') ?? undefined;
  }

  set sweepFrom(value: number | undefined) {
    this.#set('sweep_from', value ?? null);
    this.#sweeping = value !== undefined;
  }

  /** Whether `sweepFrom` is set: asked for every object. */
  get sweeping(): boolean {
    return this.#sweeping;
  }

  /** When the tenant last answered on this connector's behalf, in milliseconds since 1970. */
  get heartbeatAt(): number | undefined {
    return this.#column<number | null>('heartbeat_at') ?? undefined;
  }

  set heartbeatAt(value: number) {
    this.#set('heartbeat_at', value);
  }

  /** Users deleted in the tenant since the last cycle that came to its end. */
  get deletions(): number {
    return this.#column<number>('deletions');
  }

  set deletions(value: number) {
    this.#set('deletions', value);
  }

  /** Users whom the tenant has. */
  get users(): number {
    const sql = 'SELECT count(*) FROM object WHERE connector = ? AND cloud_anchor IS NOT NULL';
    return this.#db.prepare(sql).pluck().get(this.#id) as number;
  }

  /** True while no object has been recorded. */
  get empty(): boolean {
    const sql = 'SELECT NOT EXISTS (SELECT 1 FROM object WHERE connector = ?)';
    return this.#db.prepare(sql).pluck().get(this.#id) === 1;
  }

  find(guid: Uint8Array): ObjectRow | undefined {
    return this.#find.get(this.#id, guid) as ObjectRow | undefined;
  }

  /** The last results of an object, the newest first: eleven at most. */
  history(guid: Uint8Array, limit: number): ObjectResult[] {
    return objectHistory(this.#db, this.#name, guid, limit);
  }

  /** `settled`: when this outcome came about, in milliseconds since 1970. */
  put(guid: Uint8Array, row: ObjectRow, settled: number): void {
    this.#put.run(
      this.#id,
      guid,
      row.cloudAnchor,
      row.flags,
      row.fingerprint,
      row.dnDigest,
      row.passwordVersion,
      row.passwordChanged,
      row.outcome,
      row.sourceAnchor,
      row.accountExpires,
      settled,
    );
    if (row.sourceAnchor !== null) this.#store.anchors.any = true;
  }

  /** The object is as it was, and was seen. */
  touch(guid: Uint8Array, settled: number): void {
    this.#touch.run(settled, this.#id, guid);
  }

  /** Whether the object was settled since then; undefined: ever. */
  settledSince(guid: Uint8Array, since: number | undefined): boolean {
    const sql = 'SELECT EXISTS (SELECT 1 FROM object WHERE connector = ? AND guid = ? AND settled >= ?)';
    return (
      this.#db
        .prepare(sql)
        .pluck()
        .get(this.#id, guid, since ?? 0) === 1
    );
  }

  /** Users of the tenant's of whom nothing was settled since then, by their GUIDs, behind `last`. */
  unseen(since: number, last: Uint8Array | undefined, limit: number): Uint8Array[] {
    return this.#db
      .prepare(
        `SELECT guid FROM object WHERE connector = ? AND guid > ? AND (flags & ${RowFlag.inScope} OR cloud_anchor IS NOT NULL)
          AND (settled IS NULL OR settled < ?) ORDER BY guid LIMIT ?`,
      )
      .pluck()
      .all(this.#id, last ?? new Uint8Array(0), since, limit) as Uint8Array[];
  }

  /**
   * Users of whom the tenant must be told that their account has expired, or (where such accounts stay enabled) that it
   * is enabled; by their GUIDs, behind `last`. Not of those who wait in the retry queue.
   */
  expiring(now: number, disableExpired: boolean, last: Uint8Array | undefined, limit: number): Uint8Array[] {
    const { inScope, expired } = RowFlag;
    const which = disableExpired
      ? `account_expires <= @now AND flags & ${inScope | expired} = ${inScope}`
      : `account_expires IS NOT NULL AND flags & ${expired}`;
    return this.#db
      .prepare(
        `SELECT guid FROM object INDEXED BY object_expires WHERE connector = @id AND ${which} AND guid > @last
          AND guid NOT IN (SELECT guid FROM retry WHERE connector = @id) ORDER BY guid LIMIT @limit`,
      )
      .pluck()
      .all({ id: this.#id, now, last: last ?? new Uint8Array(0), limit }) as Uint8Array[];
  }

  /** Who else has this source anchor (null: the objectGUID), and is a user of the tenant's by it. */
  peer(anchor: Uint8Array | null, guid: string): Peer | undefined {
    return this.#store.anchors.peer(anchor, guid, this.#id, this.#store.peersOf(this.#id));
  }

  /** Other connectors may tell the tenant of the same users. */
  get hasPeers(): boolean {
    return this.#store.peersOf(this.#id).size > 1;
  }

  get claims(): AnchorClaims {
    return this.#store.claims;
  }

  /** The tenant's user is the peer's now, who is looked at anew. */
  handOver({ connector, guid }: Peer, why: RetryFailure, now: number): void {
    (this.#store.retryQueueOf(connector) ?? new RetryQueue(this.#db, connector)).put(guid, why, now);
  }

  drop(guid: Uint8Array): void {
    this.#drop.run(this.#id, guid);
  }

  /** Objects by outcome; only those in scope. */
  outcomes(): ReadonlyMap<OutcomeCode, number> {
    const rows = this.#db
      .prepare('SELECT outcome, count(*) AS n FROM object WHERE connector = ? AND flags & 1 GROUP BY outcome')
      .all(this.#id) as { outcome: OutcomeCode; n: number }[];
    return new Map(rows.map(({ outcome, n }) => [outcome, n]));
  }

  recordCycle(
    started: number,
    finished: number,
    counts: CycleCounts,
    error: { readonly code: string; readonly message: string } | undefined,
  ): void {
    this.#db
      .prepare(
        `INSERT INTO cycle (connector, started, finished, pages, seen, in_scope, created, updated, deleted,
          credentials_sent, skipped, filtered, filtered_by_rule, no_password, failed, pwd_last_set_only, error,
          error_code)
         VALUES (@connector, @started, @finished, @pages, @seen, @inScope, @created, @updated, @deleted,
          @credentialsSent, @skipped, @filtered, @filteredByRule, @noPassword, @failed, @pwdLastSetOnly, @error,
          @errorCode)`,
      )
      .run({
        ...counts,
        connector: this.#id,
        started,
        finished,
        error: error?.message.slice(0, MAX_ERROR) ?? null,
        errorCode: error?.code ?? null,
      });
    this.#db.prepare('DELETE FROM cycle WHERE connector = ? AND finished < ?').run(this.#id, finished - KEPT_MS);
  }

  /** All of `work` or nothing of it. */
  transaction(work: () => void): void {
    try {
      this.#db.transaction(work).immediate();
    } catch (error) {
      this.#store.recount();
      throw error;
    }
  }

  #column<T>(name: string): T {
    return this.#db.prepare(`SELECT ${name} FROM connector WHERE id = ?`).pluck().get(this.#id) as T;
  }

  #set(name: string, value: string | number | Uint8Array | null): void {
    this.#db.prepare(`UPDATE connector SET ${name} = ? WHERE id = ?`).run(value, this.#id);
  }
}
