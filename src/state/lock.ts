/** A lock between processes: SQLite's, on an empty file, which the system takes back from a process that dies. */

import { closeSync, openSync } from 'node:fs';
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
