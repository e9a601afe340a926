/** The SQLite schema of the tenant as numbered migrations; a released one is never edited. */

import type { Migration } from '../../state/database.js';

export const migrations: readonly Migration[] = [
  {
    number: 1,
    // Times are milliseconds since 1970. Credentials have a table of their own: a sync appends to it in the order of
    // `users.id` instead of making every user's row grow.
    sql: `
      CREATE TABLE tenant (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        tenant_id TEXT NOT NULL,
        dirsync_features INTEGER NOT NULL
      ) STRICT;

      CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        object_id TEXT NOT NULL UNIQUE,
        source_anchor TEXT NOT NULL UNIQUE,
        upn_key TEXT NOT NULL,
        user_principal_name TEXT NOT NULL,
        display_name TEXT,
        given_name TEXT,
        surname TEXT,
        mail TEXT,
        account_enabled INTEGER NOT NULL,
        sam_account_name TEXT,
        distinguished_name TEXT,
        security_identifier BLOB,
        dns_domain_name TEXT,
        netbios_name TEXT,
        last_password_change INTEGER,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        deleted_at INTEGER
      ) STRICT;
      CREATE UNIQUE INDEX users_upn ON users (upn_key) WHERE deleted_at IS NULL;

      CREATE TABLE credentials (
        user_id INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
        salt BLOB NOT NULL,
        iterations INTEGER NOT NULL,
        hash BLOB NOT NULL,
        change_date INTEGER NOT NULL,
        force_change INTEGER NOT NULL,
        disable_expiration INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
      ) STRICT;
    `,
  },
];
