/** The agent's memory: one SQLite file with cookies, what the tenant was told, and the retry queue. Never a secret. */

import { statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type Database from 'better-sqlite3';
import { PhsyncError } from '../../hasher/errors.js';
import { type DatabaseOptions, openDatabase } from '../../state/database.js';
import { openStateDirectory } from '../../state/directory.js';
import { type Lock, tryLock } from '../../state/lock.js';
import type { StandingName } from '../domain-services/standing.js';
import { ConnectorState, type SharedState } from './connector-state.js';
import { EventStore } from './events.js';
import { migrations } from './migrations.js';
import { ObjectKeys } from './object-keys.js';
import { AnchorClaims, SourceAnchors } from './peers.js';
import type { RetryQueue } from './retry-queue.js';
import { checkRoom } from './state-errors.js';

/** Its presence says that the directory is the agent's own. */
export const DATABASE_FILE = 'agent.sqlite';
/** Locked while an agent runs. */
export const LOCK_FILE = 'agent.lock';

/** Before a connector's name: its state in staging mode. No name of a connector begins so. */
export const STAGING_PREFIX = 'staging:';

const DATABASE_OPTIONS: DatabaseOptions = {
  migrations,
  // A power cut may take the last transactions, cookie and outcomes alike, since they share them: work is repeated,
  // never lost.
  synchronous: 'NORMAL',
  // What the kernel caches is near enough, and memory shall not follow the number of users (16 MiB: no faster).
  cacheKiB: 4096,
  // 32 MiB of log: about what it takes to write the keys of 1,000,000 objects at a time.
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
  /** Where it stands with Domain Services, and until when the certificate is valid that keys are sealed for. */
  readonly domainServices: StandingName;
  readonly certificateValidTo: number | undefined;
}

type GlanceRow = { readonly [Name in Exclude<keyof StateGlance, 'domainServices'>]: number | null } & {
  readonly domainServices: StandingName | null;
};

export class StateStore implements SharedState {
  readonly #db: Database.Database;
  readonly #lock: Lock;
  readonly #staging: boolean;
  readonly #connectors = new Map<string, ConnectorState>();
  #configured: ReadonlySet<number> = new Set();
  readonly events: EventStore;
  readonly keys: ObjectKeys;
  readonly anchors: SourceAnchors;
  readonly claims = new AnchorClaims();

  constructor(db: Database.Database, lock: Lock, staging: boolean) {
    this.#db = db;
    this.#lock = lock;
    this.#staging = staging;
    this.events = new EventStore(db);
    this.keys = new ObjectKeys(db);
    this.anchors = new SourceAnchors(db, this.keys);
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
          (SELECT min(first_failure) FROM retry WHERE retry.connector = connector.id) AS oldestFailureAt,
          domain_services.name AS domainServices, valid_to AS certificateValidTo
         FROM connector LEFT JOIN domain_services ON domain_services.connector = connector.id WHERE connector.name = ?`,
      )
      .get(this.#staging ? `${STAGING_PREFIX}${name}` : name) as GlanceRow | undefined;
    return {
      completedAt: row?.completedAt ?? undefined,
      heartbeatAt: row?.heartbeatAt ?? undefined,
      fullSyncAt: row?.fullSyncAt ?? undefined,
      oldestFailureAt: row?.oldestFailureAt ?? undefined,
      domainServices: row?.domainServices ?? 'off',
      certificateValidTo: row?.certificateValidTo ?? undefined,
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
    this.keys.forget();
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
