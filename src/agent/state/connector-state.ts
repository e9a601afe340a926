/** What the agent remembers on behalf of one connector: its cookie, what the tenant was told of each object, its cycles. */

import type Database from 'better-sqlite3';
import type { Peer } from '../decision.js';
import type { Standing } from '../domain-services/standing.js';
import { KEPT_MS, type ObjectResult, objectHistory } from './history.js';
import type { ObjectKeys } from './object-keys.js';
import type { AnchorClaims, SourceAnchors } from './peers.js';
import { RetryQueue } from './retry-queue.js';
import { type CycleCounts, type ObjectRow, Outcome, type OutcomeCode, type RetryFailure, RowFlag } from './rows.js';
import { SeenFilter } from './seen-filter.js';
import { readStanding, writeStanding } from './standing-row.js';

const MAX_ERROR = 300;
/** `connector.full`: on demand, or for the sake of keys that were not sent. */
const FULL = 1;
const RESEND = 2;

/** What the connectors of one store know of each other. */
export interface SharedState {
  readonly keys: ObjectKeys;
  readonly anchors: SourceAnchors;
  readonly claims: AnchorClaims;
  peersOf(connector: number): ReadonlySet<number>;
  retryQueueOf(connector: number): RetryQueue | undefined;
  recount(): void;
}

export class ConnectorState {
  readonly #db: Database.Database;
  readonly #id: number;
  readonly #name: string;
  readonly #shared: SharedState;
  readonly #keys: ObjectKeys;
  readonly #find: Database.Statement;
  readonly #findRecent: Database.Statement;
  readonly #insert: Database.Statement;
  readonly #update: Database.Statement;
  readonly #drop: Database.Statement;
  readonly #touch: Database.Statement;
  readonly #settledSince: Database.Statement;
  readonly retryQueue: RetryQueue;
  #sweeping: boolean;
  /** Until every object has been seen: looking for rows in vain would take a tenth of the time. */
  #seen: SeenFilter | 'to be made' | undefined;

  constructor(db: Database.Database, id: number, name: string, shared: SharedState) {
    this.#db = db;
    this.#id = id;
    this.#name = name;
    this.#shared = shared;
    this.#keys = shared.keys;
    const columns = `cloud_anchor AS cloudAnchor, flags, fingerprint, dn_digest AS dnDigest,
      password_version AS passwordVersion, password_changed AS passwordChanged, outcome, source_anchor AS sourceAnchor,
      account_expires AS accountExpires, keys_version AS keysVersion`;
    this.#find = db.prepare(
      `SELECT ${columns} FROM object_key JOIN object ON id = object
       WHERE object_key.connector = ? AND object_key.guid = ?`,
    );
    this.#findRecent = db.prepare(`SELECT ${columns} FROM object WHERE id = ?`);
    this.#insert = db.prepare(
      `INSERT INTO object (cloud_anchor, flags, fingerprint, dn_digest, password_version, password_changed, outcome,
        source_anchor, account_expires, keys_version, settled, id, connector, guid)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#update = db.prepare(
      `UPDATE object SET cloud_anchor = ?, flags = ?, fingerprint = ?, dn_digest = ?, password_version = ?,
        password_changed = ?, outcome = ?, source_anchor = ?, account_expires = ?, keys_version = ?, settled = ?
       WHERE id = ?`,
    );
    this.#drop = db.prepare('DELETE FROM object WHERE id = ?');
    this.#touch = db.prepare('UPDATE object SET settled = ? WHERE id = ?');
    this.#settledSince = db.prepare('SELECT EXISTS (SELECT 1 FROM object WHERE id = ? AND settled >= ?)').pluck();
    this.retryQueue = new RetryQueue(db, id);
    this.#sweeping = this.sweepFrom !== undefined;
    this.#seen = this.fullSyncAt === undefined ? 'to be made' : undefined;
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
    this.#seen = undefined;
  }

  /** True while everything is sent again, or was when it was cut off. */
  get full(): boolean {
    return this.#column<number>('full') !== 0;
  }

  set full(value: boolean) {
    this.#set('full', value ? FULL : 0);
  }

  /** `full`, because somebody asked for it: then the directory is right, also where it shows an older password. */
  get fullOnDemand(): boolean {
    return this.#column<number>('full') === FULL;
  }

  /** Everything is sent again for the sake of what goes with the passwords; one on demand goes on as such. */
  demandResend(): void {
    if (!this.full) this.#set('full', RESEND);
  }

  /** Where it stands with Domain Services. */
  get standing(): Standing {
    return readStanding(this.#db, this.#id);
  }

  set standing(value: Standing) {
    writeStanding(this.#db, this.#id, value);
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
    return !this.#keys.any(this.#id);
  }

  find(guid: Uint8Array): ObjectRow | undefined {
    if (!this.#mayHave(guid)) return undefined;
    const recent = this.#keys.recent(this.#id, guid);
    const row = recent === undefined ? this.#find.get(this.#id, guid) : this.#findRecent.get(recent);
    return row as ObjectRow | undefined;
  }

  /** The last results of an object, the newest first: eleven at most. */
  history(guid: Uint8Array, limit: number): ObjectResult[] {
    return objectHistory(this.#db, this.#name, guid, limit);
  }

  /** `settled`: when this outcome came about, in milliseconds since 1970. */
  put(guid: Uint8Array, row: ObjectRow, settled: number): void {
    const values = [
      row.cloudAnchor,
      row.flags,
      row.fingerprint,
      row.dnDigest,
      row.passwordVersion,
      row.passwordChanged,
      row.outcome,
      row.sourceAnchor,
      row.accountExpires,
      row.keysVersion,
      settled,
    ];
    const known = this.#idOf(guid);
    if (known === undefined) {
      this.#filter?.add(guid);
      this.#keys.add(this.#id, guid, (id) => this.#insert.run(...values, id, this.#id, guid));
    } else {
      this.#update.run(...values, known);
    }
    if (row.sourceAnchor !== null) this.#shared.anchors.any = true;
  }

  /** The object is as it was, and was seen. */
  touch(guid: Uint8Array, settled: number): void {
    const id = this.#idOf(guid);
    if (id !== undefined) this.#touch.run(settled, id);
  }

  /** Whether the object was settled since then; undefined: ever. */
  settledSince(guid: Uint8Array, since: number | undefined): boolean {
    const id = this.#idOf(guid);
    return id !== undefined && this.#settledSince.get(id, since ?? 0) === 1;
  }

  /** Users of the tenant's of whom nothing was settled since then, by their GUIDs, behind `last`. */
  unseen(since: number, last: Uint8Array | undefined, limit: number): Uint8Array[] {
    this.#keys.settle();
    return this.#db
      .prepare(
        `SELECT object_key.guid FROM object_key JOIN object ON id = object
         WHERE object_key.connector = ? AND object_key.guid > ?
          AND (flags & ${RowFlag.inScope} OR cloud_anchor IS NOT NULL) AND (settled IS NULL OR settled < ?)
         ORDER BY object_key.guid LIMIT ?`,
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
    return this.#shared.anchors.peer(anchor, guid, this.#id, this.#shared.peersOf(this.#id));
  }

  /** The objects that the tenant's user with this source anchor comes from: one, none, or (by mistake) several. */
  guidsOfAnchor(anchor: Uint8Array): Uint8Array[] {
    const told = this.#db
      .prepare('SELECT guid FROM object WHERE connector = ? AND source_anchor = ?')
      .pluck()
      .all(this.#id, anchor) as Uint8Array[];
    return [anchor, ...told].filter((guid) => {
      const row = this.find(guid);
      if (row === undefined || row.cloudAnchor === null || (row.flags & RowFlag.inScope) === 0) return false;
      return row.outcome !== Outcome.heldElsewhere && (guid !== anchor || row.sourceAnchor === null);
    });
  }

  /** Other connectors may tell the tenant of the same users. */
  get hasPeers(): boolean {
    return this.#shared.peersOf(this.#id).size > 1;
  }

  get claims(): AnchorClaims {
    return this.#shared.claims;
  }

  /** The tenant's user is the peer's now, who is looked at anew. */
  handOver({ connector, guid }: Peer, why: RetryFailure, now: number): void {
    (this.#shared.retryQueueOf(connector) ?? new RetryQueue(this.#db, connector)).put(guid, why, now);
  }

  drop(guid: Uint8Array): void {
    const id = this.#idOf(guid);
    if (id === undefined) return;
    this.#drop.run(id);
    this.#keys.drop(this.#id, guid);
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
          credentials_sent, skipped, filtered, filtered_by_rule, no_password, failed, pwd_last_set_only, sealed,
          keys_missing, error, error_code)
         VALUES (@connector, @started, @finished, @pages, @seen, @inScope, @created, @updated, @deleted,
          @credentialsSent, @skipped, @filtered, @filteredByRule, @noPassword, @failed, @pwdLastSetOnly, @sealed,
          @keysMissing, @error, @errorCode)`,
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

  /** At the end of a cycle: objects that came in it are found without the agent's memory, too. */
  settleKeys(): void {
    this.#keys.settle();
  }

  /** All of `work` or nothing of it. */
  transaction(work: () => void): void {
    try {
      this.#db.transaction(work).immediate();
    } catch (error) {
      this.#shared.recount();
      throw error;
    }
  }

  #idOf(guid: Uint8Array): number | undefined {
    return this.#mayHave(guid) ? this.#keys.idOf(this.#id, guid) : undefined;
  }

  #mayHave(guid: Uint8Array): boolean {
    return this.#filter?.has(guid) ?? true;
  }

  get #filter(): SeenFilter | undefined {
    if (this.#seen !== 'to be made') return this.#seen;
    const seen = new SeenFilter();
    for (const guid of this.#keys.guids(this.#id)) seen.add(guid);
    this.#seen = seen;
    return seen;
  }

  #column<T>(name: string): T {
    return this.#db.prepare(`SELECT ${name} FROM connector WHERE id = ?`).pluck().get(this.#id) as T;
  }

  #set(name: string, value: string | number | Uint8Array | null): void {
    this.#db.prepare(`UPDATE connector SET ${name} = ? WHERE id = ?`).run(value, this.#id);
  }
}
