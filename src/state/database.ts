/** Opens phsync's SQLite files: mode 0600, WAL, numbered migrations that each claim their number in their transaction. */

import { closeSync, fchmodSync, openSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { PhsyncError } from '../hasher/errors.js';
import { sqlite } from './sqlite.js';

/** A released one is never edited. */
export interface Migration {
  readonly number: number;
  readonly sql: string;
  /** What `sql` calls and SQLite does not have, by name; of one argument. */
  readonly functions?: Readonly<Record<string, (value: unknown) => unknown>> | undefined;
}

export interface DatabaseOptions {
  readonly migrations: readonly Migration[];
  /** FULL: a committed transaction survives a power cut, too; NORMAL: a killed process only. */
  readonly synchronous: 'FULL' | 'NORMAL';
  readonly cacheKiB: number;
  /** Pages of 4 KiB that the log takes before they are written back. */
  readonly walPages: number;
  /** How long a writer waits for another process's. */
  readonly busyMs: number;
}

/**
 * Opens (and makes) the database. @throws PhsyncError `store-open` (unreadable, not a database, another process holds
 * it for too long), `store-newer` (written by a later version) or `store-sqlite` (better-sqlite3 is missing).
 */
export function openDatabase(file: string, options: DatabaseOptions): Database.Database {
  const SqliteDatabase = sqlite();
  let database: Database.Database | undefined;
  try {
    // SQLite gives the -wal and -shm files the mode of the main file, so it must be right before they are made.
    const descriptor = openSync(file, 'a', 0o600);
    fchmodSync(descriptor, 0o600);
    closeSync(descriptor);
    database = new SqliteDatabase(file, { timeout: options.busyMs });
    database.pragma('journal_mode = WAL');
    database.pragma(`synchronous = ${options.synchronous}`);
    database.pragma('foreign_keys = ON');
    database.pragma(`cache_size = -${options.cacheKiB}`);
    database.pragma(`wal_autocheckpoint = ${options.walPages}`);
    migrate(database, file, options.migrations);
    return database;
  } catch (cause) {
    database?.close();
    if (cause instanceof PhsyncError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PhsyncError('store-open', `cannot open the database ${file}: ${reason}`, { cause, facts: { file } });
  }
}

function migrate(database: Database.Database, file: string, migrations: readonly Migration[]): void {
  database.exec(
    'CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT',
  );
  const newest = () => database.prepare('SELECT coalesce(max(number), 0) FROM migrations').pluck().get() as number;
  const last = migrations.at(-1)?.number ?? 0;
  if (newest() > last) {
    throw new PhsyncError(
      'store-newer',
      `${file} is at migration ${newest()}, this version of phsync knows ${last}: run the version that wrote it`,
      { facts: { file, migration: newest(), known: last } },
    );
  }
  const claim = database.prepare('INSERT INTO migrations (number, applied_at) VALUES (?, ?)');
  for (const { number, sql, functions = {} } of migrations) {
    // IMMEDIATE: of two processes that start at once the second waits here, and then finds the number taken.
    database
      .transaction(() => {
        if (number <= newest()) return;
        claim.run(number, Date.now());
        for (const [name, work] of Object.entries(functions)) database.function(name, { deterministic: true }, work);
        database.exec(sql);
      })
      .immediate();
  }
}
