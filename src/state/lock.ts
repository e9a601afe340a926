/** A lock between processes: SQLite's, on an empty file, which the system takes back from a process that dies. */

import { closeSync, existsSync, openSync } from 'node:fs';
import { sqlite } from './sqlite.js';

export interface Lock {
  release(): void;
}

/** Undefined: another process holds it. Throws what the system says where the file cannot be made or opened. */
export function tryLock(file: string): Lock | undefined {
  const SqliteDatabase = sqlite();
  closeSync(openSync(file, 'a', 0o600));
  // No waiting inside of SQLite: it would keep this process from finishing its own work under the lock.
  const database = new SqliteDatabase(file, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
    return { release: () => database.close() };
  } catch (cause) {
    database.close();
    if (cause instanceof SqliteDatabase.SqliteError && cause.code.startsWith('SQLITE_BUSY')) return undefined;
    throw cause;
  }
}

/**
 * Whether a process holds the lock; false where the file is not there. Holds the lock off for the instant of the look
 * only. Throws what the system says where the file cannot be read.
 */
export function isLocked(file: string): boolean {
  if (!existsSync(file)) return false;
  const SqliteDatabase = sqlite();
  const database = new SqliteDatabase(file, { readonly: true, timeout: 0 });
  try {
    database.prepare('SELECT count(*) FROM sqlite_master').get();
    return false;
  } catch (cause) {
    if (cause instanceof SqliteDatabase.SqliteError && cause.code.startsWith('SQLITE_BUSY')) return true;
    throw cause;
  } finally {
    database.close();
  }
}
