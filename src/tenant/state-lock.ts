/** One process at a time makes the keys of a state directory: else the authority of one would lie beside the key of another. */

import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { PhsyncError } from '../hasher/errors.js';

const LOCK_FILE = 'keys.lock';
/** Making a key of each kind takes a second on a slow machine. */
const PATIENCE = 30_000;
const PAUSE = 50;

/**
 * Does `work` while no other process does the like for this directory. The lock is SQLite's on an empty file, which the
 * system takes back from a process that dies. @throws PhsyncError `state-dir` when it is not to be had in half a minute
 */
export async function withStateLock<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const file = join(directory, LOCK_FILE);
  closeSync(openSync(file, 'a', 0o600));
  // No waiting inside of SQLite: it would keep this process from finishing its own work under the lock.
  const database = new Database(file, { timeout: 0 });
  try {
    await lock(database, file);
    return await work();
  } finally {
    database.close();
  }
}

async function lock(database: Database.Database, file: string): Promise<void> {
  const until = Date.now() + PATIENCE;
  for (;;) {
    try {
      database.exec('BEGIN EXCLUSIVE');
      return;
    } catch (cause) {
      const busy = cause instanceof Database.SqliteError && cause.code.startsWith('SQLITE_BUSY');
      if (busy && Date.now() < until) {
        await sleep(PAUSE);
        continue;
      }
      const reason = busy ? 'another process holds it' : cause instanceof Error ? cause.message : String(cause);
      throw new PhsyncError('state-dir', `cannot lock ${file}: ${reason}`, { cause, facts: { file } });
    }
  }
}
