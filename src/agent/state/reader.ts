/** The agent's state for those who only look, while an agent runs or not: a read-only connection, and no lock. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { PhsyncError } from '../../hasher/errors.js';
import { sqlite } from '../../state/sqlite.js';
import { NEVER_ON, type Standing } from '../domain-services/standing.js';
import { dnDigestOf } from '../user-properties.js';
import { type EventQuery, newestEvents, type StoredEvent } from './events.js';
import { type ObjectResult, objectHistory } from './history.js';
import { migrations } from './migrations.js';
import { objectIdSql } from './object-keys.js';
import { type CycleCounts, type ObjectRow, Outcome, type RetryRow } from './rows.js';
import { readStanding } from './standing-row.js';
import { DATABASE_FILE, STAGING_PREFIX } from './store.js';

const BUSY_MS = 5000;

export interface ConnectorSummary {
  /** Milliseconds since 1970; undefined: not every object has been seen yet. */
  readonly fullSyncAt: number | undefined;
  readonly tenantId: string | undefined;
  /** A cycle runs, or was cut off. */
  readonly running: boolean;
  /** Users deleted in the tenant since the last cycle that came to its end. */
  readonly deletions: number;
  /** Milliseconds since 1970: the end of the last cycle that came to its end. */
  readonly completedAt: number | undefined;
  /** The end of the last cycle without an error, stopped early or not; of those that are still kept. */
  readonly succeededAt: number | undefined;
  /** Milliseconds since 1970: when the tenant last answered on the connector's behalf, to a ping or to passwords. */
  readonly heartbeatAt: number | undefined;
  /** Everything was told to nobody: the last cycles ran in staging mode. */
  readonly staging: boolean;
  /** Users whom the tenant has. */
  readonly users: number;
}

export interface PastCycle extends CycleCounts {
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly finished: number;
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

export interface RetrySummary {
  readonly length: number;
  /** The most tries that one object has had. */
  readonly attempts: number;
  /** Milliseconds since 1970. */
  readonly nextTry: number | undefined;
  /** Of the object that has waited longest. */
  readonly firstFailure: number | undefined;
  /** The most frequent first. */
  readonly reasons: readonly { readonly reason: string; readonly code: string; readonly count: number }[];
}

/** What the state knows of one object. */
export interface KnownObject {
  readonly row: ObjectRow;
  /** When its outcome came about or was last confirmed, in milliseconds since 1970. */
  readonly settled: number | undefined;
}

export interface StateReader {
  /** Undefined: no cycle of the connector has begun yet. */
  connector(name: string): ConnectorSummary | undefined;
  /** Where the connector stands with Domain Services. */
  standing(connector: string): Standing;
  /** Users whose password is in the tenant, and of whom the directory has no Kerberos keys. */
  keysMissing(connector: string): number;
  /** The newest first. */
  cycles(connector: string, limit: number): PastCycle[];
  retries(connector: string): RetrySummary;
  object(connector: string, guid: Uint8Array): KnownObject | undefined;
  /** Its place in the retry queue. */
  retry(connector: string, guid: Uint8Array): RetryRow | undefined;
  /** GUIDs of objects that had this DN when they were last seen. */
  guidsAt(connector: string, dn: string): Uint8Array[];
  /** The newest events that the query asks for, the newest first. */
  events(limit: number, query?: EventQuery): StoredEvent[];
  /** The last results of an object, the newest first. `guid`: 16 bytes as replication carries them. */
  history(connector: string, guid: Uint8Array, limit: number): ObjectResult[];
  close(): void;
}

/**
 * Undefined where no agent has run on the directory yet. `staging`: what the connectors have done in staging mode, which
 * stands beside the real state.
 * @throws PhsyncError `state-unreadable`, `store-newer`, `store-older` (no agent of this version has opened it yet),
 *   `store-sqlite`
 */
export function openStateReader(
  stateDir: string,
  { staging = false }: { readonly staging?: boolean } = {},
): StateReader | undefined {
  const file = join(stateDir, DATABASE_FILE);
  if (!existsSync(file)) return undefined;
  const SqliteDatabase = sqlite();
  let database: Database.Database | undefined;
  try {
    database = new SqliteDatabase(file, { readonly: true, fileMustExist: true, timeout: BUSY_MS });
    checkMigration(database, file);
    return new Reader(database, staging);
  } catch (cause) {
    database?.close();
    if (cause instanceof PhsyncError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PhsyncError('state-unreadable', `cannot read the state in ${file}: ${reason}`, {
      cause,
      facts: { file },
    });
  }
}

function checkMigration(database: Database.Database, file: string): void {
  const migration = database.prepare('SELECT coalesce(max(number), 0) FROM migrations').pluck().get() as number;
  const known = migrations.at(-1)!.number;
  if (migration === known) return;
  const [code, what] =
    migration > known
      ? ['store-newer', 'run the version of phsync that wrote it']
      : ['store-older', 'an agent of this version brings it up to date when it starts'];
  throw new PhsyncError(code, `${file} is at migration ${migration}, this version of phsync knows ${known}: ${what}`, {
    facts: { file, migration, known },
  });
}

class Reader implements StateReader {
  readonly #db: Database.Database;
  readonly #prefix: string;

  constructor(db: Database.Database, staging: boolean) {
    this.#db = db;
    this.#prefix = staging ? STAGING_PREFIX : '';
  }

  connector(name: string): ConnectorSummary | undefined {
    const row = this.#db
      .prepare(
        `SELECT full_sync_at AS fullSyncAt, tenant_id AS tenantId, running, deletions, completed_at AS completedAt,
          heartbeat_at AS heartbeatAt, staging,
          (SELECT max(finished) FROM cycle WHERE cycle.connector = connector.id AND error IS NULL) AS succeededAt,
          (SELECT count(*) FROM object WHERE object.connector = connector.id AND cloud_anchor IS NOT NULL) AS users
         FROM connector WHERE name = ?`,
      )
      .get(this.#row(name)) as ConnectorRow | undefined;
    if (row === undefined) return undefined;
    const { fullSyncAt, tenantId, completedAt, heartbeatAt, succeededAt, running, staging, ...rest } = row;
    return {
      ...rest,
      fullSyncAt: fullSyncAt ?? undefined,
      tenantId: tenantId ?? undefined,
      completedAt: completedAt ?? undefined,
      heartbeatAt: heartbeatAt ?? undefined,
      succeededAt: succeededAt ?? undefined,
      running: running === 1,
      staging: staging === 1,
    };
  }

  standing(connector: string): Standing {
    const id = this.#db.prepare('SELECT id FROM connector WHERE name = ?').pluck().get(this.#row(connector));
    return id === undefined ? NEVER_ON : readStanding(this.#db, id as number);
  }

  keysMissing(connector: string): number {
    return this.#db
      .prepare(
        'SELECT count(*) FROM object WHERE connector = (SELECT id FROM connector WHERE name = ?) AND outcome = ?',
      )
      .pluck()
      .get(this.#row(connector), Outcome.missingAttribute) as number;
  }

  cycles(connector: string, limit: number): PastCycle[] {
    const rows = this.#db
      .prepare(
        `SELECT started, finished, pages, seen, in_scope AS inScope, created, updated, deleted,
          credentials_sent AS credentialsSent, skipped, filtered, filtered_by_rule AS filteredByRule,
          no_password AS noPassword, failed, pwd_last_set_only AS pwdLastSetOnly, sealed, keys_missing AS keysMissing,
          error AS message, error_code AS code
         FROM cycle WHERE connector = (SELECT id FROM connector WHERE name = ?) ORDER BY id DESC LIMIT ?`,
      )
      .all(this.#row(connector), limit) as (Omit<PastCycle, 'error'> & {
      message: string | null;
      code: string | null;
    })[];
    return rows.map(({ message, code, ...cycle }) => ({
      ...cycle,
      error: message === null ? undefined : { code: code ?? 'unknown', message },
    }));
  }

  retries(connector: string): RetrySummary {
    const of = 'FROM retry WHERE connector = (SELECT id FROM connector WHERE name = ?)';
    const { length, attempts, nextTry, firstFailure } = this.#db
      .prepare(
        `SELECT count(*) AS length, coalesce(max(attempts), 0) AS attempts, min(next_try) AS nextTry,
          min(first_failure) AS firstFailure ${of}`,
      )
      .get(this.#row(connector)) as {
      length: number;
      attempts: number;
      nextTry: number | null;
      firstFailure: number | null;
    };
    const reasons = this.#db
      .prepare(
        `SELECT reason, code, count(*) AS count ${of} GROUP BY code, reason ORDER BY count(*) DESC, reason LIMIT 3`,
      )
      .all(this.#row(connector)) as RetrySummary['reasons'];
    return { length, attempts, nextTry: nextTry ?? undefined, firstFailure: firstFailure ?? undefined, reasons };
  }

  events(limit: number, query?: EventQuery): StoredEvent[] {
    return newestEvents(this.#db, limit, query);
  }

  history(connector: string, guid: Uint8Array, limit: number): ObjectResult[] {
    return objectHistory(this.#db, this.#row(connector), guid, limit);
  }

  object(connector: string, guid: Uint8Array): KnownObject | undefined {
    const found = this.#db
      .prepare(
        `SELECT cloud_anchor AS cloudAnchor, flags, fingerprint, dn_digest AS dnDigest,
          password_version AS passwordVersion, password_changed AS passwordChanged, outcome,
          source_anchor AS sourceAnchor, account_expires AS accountExpires, keys_version AS keysVersion, settled
         FROM object WHERE id = ${objectIdSql('(SELECT id FROM connector WHERE name = @name)', '@guid')}`,
      )
      .get({ name: this.#row(connector), guid }) as (ObjectRow & { settled: number | null }) | undefined;
    if (found === undefined) return undefined;
    const { settled, ...row } = found;
    return { row, settled: settled ?? undefined };
  }

  retry(connector: string, guid: Uint8Array): RetryRow | undefined {
    return this.#db
      .prepare(
        `SELECT guid, reason, code, attempts, first_failure AS firstFailure, next_try AS nextTry
         FROM retry WHERE connector = (SELECT id FROM connector WHERE name = ?) AND guid = ?`,
      )
      .get(this.#row(connector), guid) as RetryRow | undefined;
  }

  guidsAt(connector: string, dn: string): Uint8Array[] {
    return this.#db
      .prepare('SELECT guid FROM object WHERE connector = (SELECT id FROM connector WHERE name = ?) AND dn_digest = ?')
      .pluck()
      .all(this.#row(connector), dnDigestOf(dn)) as Uint8Array[];
  }

  close(): void {
    this.#db.close();
  }

  /** The connector's name in its table. */
  #row(connector: string): string {
    return this.#prefix + connector;
  }
}

interface ConnectorRow {
  readonly fullSyncAt: number | null;
  readonly tenantId: string | null;
  readonly running: number;
  readonly deletions: number;
  readonly completedAt: number | null;
  readonly heartbeatAt: number | null;
  readonly succeededAt: number | null;
  readonly staging: number;
  readonly users: number;
}
