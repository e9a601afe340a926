/** SQLite's failures as the store's. */

import { PhsyncError } from '../../hasher/errors.js';
import { sqlite } from '../../state/sqlite.js';

/** Anything else passes through: decisions of ours that roll a transaction back. */
export function translatedError(cause: unknown): unknown {
  if (!(cause instanceof sqlite().SqliteError)) return cause;
  if (cause.code.startsWith('SQLITE_BUSY')) {
    return new PhsyncError('store-busy', 'the tenant database is held by another writer; try again', { cause });
  }
  return new PhsyncError('store-failed', `the tenant database failed: ${cause.message}`, { cause });
}
