/** A SQLite store of its own for a test. */

import { join } from 'node:path';
import { INITIAL_FEATURES } from '#src/tenant/provisioning/operations.js';
import { SqliteStore } from '#src/tenant/store/sqlite-store.js';

export const openSqlite = (directory: string, now: () => Date = () => new Date()) =>
  new SqliteStore(join(directory, 'tenant.sqlite'), { initialFeatures: INITIAL_FEATURES, now });
