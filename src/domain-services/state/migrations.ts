/** The program's state, as numbered migrations; a released one is never edited. No table has room for a secret, or for a sealed one. */

import type { Migration } from '../../state/database.js';

export const migrations: readonly Migration[] = [
  {
    number: 1,
    // Times are milliseconds since 1970. `object_id`: the 16 bytes of the object's id in the tenant.
    sql: `
  CREATE TABLE sync (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    cookie TEXT,
    -- Counts the readings of the whole feed; each begins without a cookie.
    pass INTEGER NOT NULL DEFAULT 0,
    -- 1 while such a reading is under way, at whose end users are deleted whom it has not shown.
    reading_all INTEGER NOT NULL DEFAULT 0,
    -- The domain that all this was written to, and which life of its domain controller.
    domain_sid TEXT,
    invocation_id TEXT,
    -- When the feed was last read to its end.
    completed_at INTEGER,
    full_at INTEGER
  ) STRICT;
  INSERT INTO sync (id) VALUES (1);

  CREATE TABLE user (
    object_id BLOB PRIMARY KEY,
    -- In which reading of the whole feed it was last there.
    pass INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE retry (
    object_id BLOB PRIMARY KEY,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    first_failure INTEGER NOT NULL,
    -- NULL: a new key, a new password or an administrator must help; it is looked at again when the program starts.
    next_try INTEGER
  ) STRICT, WITHOUT ROWID;

  -- One row, which is written to learn whether the state can be written.
  CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL) STRICT;
  `,
  },
];
