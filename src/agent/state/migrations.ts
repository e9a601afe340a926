/** The agent's state, as numbered migrations; a released one is never edited. No table has room for a secret. */

import type { Migration } from '../../state/database.js';

/** Of migrations 3 and 6: what a later one changes has a text of its own. */
const RESULT_TRIGGERS = `
  CREATE TRIGGER result_replaced BEFORE UPDATE ON object
    WHEN old.outcome <> 0 AND old.settled IS NOT NULL
      AND (new.outcome <> old.outcome OR new.password_version IS NOT old.password_version
        OR new.password_changed IS NOT old.password_changed)
  BEGIN
    INSERT INTO result (connector, guid, outcome, at, password_changed, reason)
      VALUES (old.connector, old.guid, old.outcome, old.settled, old.password_changed,
        (SELECT reason FROM retry WHERE connector = old.connector AND guid = old.guid));
    DELETE FROM result WHERE connector = old.connector AND guid = old.guid AND id <= (
      SELECT id FROM result WHERE connector = old.connector AND guid = old.guid ORDER BY id DESC LIMIT 1 OFFSET 10);
  END;
  CREATE TRIGGER result_forgotten BEFORE DELETE ON object WHEN old.outcome <> 0 AND old.settled IS NOT NULL
  BEGIN
    INSERT INTO result (connector, guid, outcome, at, password_changed, reason)
      VALUES (old.connector, old.guid, old.outcome, old.settled, old.password_changed,
        (SELECT reason FROM retry WHERE connector = old.connector AND guid = old.guid));
    DELETE FROM result WHERE connector = old.connector AND guid = old.guid AND id <= (
      SELECT id FROM result WHERE connector = old.connector AND guid = old.guid ORDER BY id DESC LIMIT 1 OFFSET 10);
  END;`;

export const migrations: readonly Migration[] = [
  {
    number: 1,
    // Times are milliseconds since 1970. `guid` holds the 16 bytes of objectGUID as replication carries them.
    sql: `
  CREATE TABLE connector (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    cookie BLOB,
    scope_digest TEXT,
    -- The tenant to which everything below was told.
    tenant_id TEXT,
    -- 1 from the start of a cycle to its end: found at a start, it tells of a cycle that was cut off.
    running INTEGER NOT NULL DEFAULT 0,
    -- Users deleted in the tenant since the last cycle that came to its end.
    deletions INTEGER NOT NULL DEFAULT 0,
    full_sync_at INTEGER
  ) STRICT;

  -- One row an object that replication has shown, with what the tenant was told last. \`flags\`, \`outcome\`: see rows.ts.
  -- Rows stand in the order in which objects came: under a key of random GUIDs a page of a first synchronization would
  -- touch nearly every leaf of the table, twice as slow in all (measured).
  CREATE TABLE object (
    id INTEGER PRIMARY KEY,
    connector INTEGER NOT NULL REFERENCES connector (id),
    guid BLOB NOT NULL,
    cloud_anchor TEXT,
    flags INTEGER NOT NULL,
    fingerprint INTEGER,
    dn_digest INTEGER NOT NULL,
    password_version INTEGER,
    password_changed INTEGER,
    outcome INTEGER NOT NULL,
    UNIQUE (connector, guid)
  ) STRICT;

  CREATE TABLE retry (
    connector INTEGER NOT NULL REFERENCES connector (id),
    guid BLOB NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_try INTEGER NOT NULL,
    PRIMARY KEY (connector, guid)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX retry_due ON retry (connector, next_try);

  CREATE TABLE cycle (
    id INTEGER PRIMARY KEY,
    connector INTEGER NOT NULL REFERENCES connector (id),
    started INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    pages INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    in_scope INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    credentials_sent INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    filtered INTEGER NOT NULL,
    no_password INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    error TEXT
  ) STRICT;
  CREATE INDEX cycle_finished ON cycle (connector, finished);
  `,
  },
  {
    number: 2,
    sql: `
  -- 1 while what runs, or was cut off, sends everything again, acknowledged or not.
  ALTER TABLE connector ADD COLUMN full INTEGER NOT NULL DEFAULT 0;
  -- The end of the last cycle that came to its end.
  ALTER TABLE connector ADD COLUMN completed_at INTEGER;
  -- When the pass over the whole directory began at whose end users are deleted whom it has not shown.
  ALTER TABLE connector ADD COLUMN sweep_from INTEGER;
  -- 1: everything here was told to nobody.
  ALTER TABLE connector ADD COLUMN staging INTEGER NOT NULL DEFAULT 0;

  -- What the tenant was told as source anchor where that is not objectGUID.
  ALTER TABLE object ADD COLUMN source_anchor BLOB;
  -- NULL: never.
  ALTER TABLE object ADD COLUMN account_expires INTEGER;
  -- When \`outcome\` came about, or was last confirmed.
  ALTER TABLE object ADD COLUMN settled INTEGER;
  CREATE INDEX object_anchor ON object (source_anchor) WHERE source_anchor IS NOT NULL;
  CREATE INDEX object_expires ON object (connector, account_expires) WHERE account_expires IS NOT NULL;
  -- Whose password is held back is a flag now, besides the outcome FilteredByTarget.
  UPDATE object SET flags = flags | 8 WHERE outcome = 2;

  ALTER TABLE cycle ADD COLUMN filtered_by_rule INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE cycle ADD COLUMN pwd_last_set_only INTEGER NOT NULL DEFAULT 0;
  `,
  },
  {
    number: 3,
    sql: `
  -- What happened in the last seven days. \`connector\` is a name; NULL: the agent as a whole. \`fields\` is a JSON object.
  CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    number INTEGER NOT NULL,
    connector TEXT,
    fields TEXT NOT NULL
  ) STRICT;
  CREATE INDEX event_at ON event (at);
  CREATE INDEX event_number ON event (number, connector);

  -- The last time that the tenant answered on this connector's behalf: to a ping, or to its passwords.
  ALTER TABLE connector ADD COLUMN heartbeat_at INTEGER;

  -- Results of an object that newer ones replaced, ten at most; the latest one is the object's row itself. Written by the
  -- triggers: an object that is new has none, so that a first synchronization writes nothing here, and neither does a
  -- full one that finds what it knew.
  CREATE TABLE result (
    id INTEGER PRIMARY KEY,
    connector INTEGER NOT NULL REFERENCES connector (id),
    guid BLOB NOT NULL,
    outcome INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- Of the password that the tenant had then.
    password_changed INTEGER,
    reason TEXT
  ) STRICT;
  CREATE INDEX result_object ON result (connector, guid, id);
  CREATE INDEX result_at ON result (at);

${RESULT_TRIGGERS}

  -- One row, which is written to learn whether the state can be written.
  CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL) STRICT;
  `,
  },
  {
    number: 4,
    // The retry queue in the order in which it is read; `rare`: only a change can cure it, it is tried seldom.
    sql: `
  DROP INDEX retry_due;
  ALTER TABLE retry ADD COLUMN code TEXT NOT NULL DEFAULT '';
  ALTER TABLE retry ADD COLUMN rare INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE retry ADD COLUMN first_failure INTEGER NOT NULL DEFAULT 0;
  -- What waits already: its next try is the time that is known.
  UPDATE retry SET first_failure = next_try;
  CREATE INDEX retry_due ON retry (connector, next_try, guid);
  CREATE INDEX retry_age ON retry (connector, first_failure);
  `,
  },
  {
    number: 5,
    sql: `
  -- The code of \`error\`.
  ALTER TABLE cycle ADD COLUMN error_code TEXT;
  `,
  },
  {
    number: 6,
    // The key of connector and GUID leaves the table of objects, whose rows get it many at a time: see object-keys.ts.
    sql: `
  CREATE TABLE object_key (
    connector INTEGER NOT NULL,
    guid BLOB NOT NULL,
    -- \`object.id\`
    object INTEGER NOT NULL,
    PRIMARY KEY (connector, guid)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO object_key SELECT connector, guid, id FROM object ORDER BY connector, guid;

  -- Rows of \`object\` up to this id are in \`object_key\`, those above it are not. New rows have ids above it.
  CREATE TABLE object_keyed (id INTEGER PRIMARY KEY CHECK (id = 1), up_to INTEGER NOT NULL) STRICT;
  INSERT INTO object_keyed SELECT 1, coalesce(max(id), 0) FROM object;

  -- SQLite takes a UNIQUE away with the table only.
  CREATE TABLE object_new (
    id INTEGER PRIMARY KEY,
    connector INTEGER NOT NULL REFERENCES connector (id),
    guid BLOB NOT NULL,
    cloud_anchor TEXT,
    flags INTEGER NOT NULL,
    fingerprint INTEGER,
    dn_digest INTEGER NOT NULL,
    password_version INTEGER,
    password_changed INTEGER,
    outcome INTEGER NOT NULL,
    source_anchor BLOB,
    account_expires INTEGER,
    settled INTEGER
  ) STRICT;
  INSERT INTO object_new SELECT id, connector, guid, cloud_anchor, flags, fingerprint, dn_digest, password_version,
    password_changed, outcome, source_anchor, account_expires, settled FROM object;
  DROP TABLE object;
  ALTER TABLE object_new RENAME TO object;
  CREATE INDEX object_anchor ON object (source_anchor) WHERE source_anchor IS NOT NULL;
  CREATE INDEX object_expires ON object (connector, account_expires) WHERE account_expires IS NOT NULL;
  ${RESULT_TRIGGERS}
  `,
  },
  {
    number: 7,
    // `connector.full` is 2 where everything is sent again for the keys' sake: see connector-state.ts.
    sql: `
  -- PROPERTY_META_DATA_EXT of the supplementalCredentials whose keys the tenant has with the password; 0: it has what
  -- there is without; NULL: the password went without keys.
  ALTER TABLE object ADD COLUMN keys_version INTEGER;

  -- Where a connector stands with Domain Services: see standing.ts. No row: never on.
  CREATE TABLE domain_services (
    connector INTEGER PRIMARY KEY REFERENCES connector (id),
    name TEXT NOT NULL,
    since INTEGER,
    ntlm INTEGER NOT NULL,
    kerberos INTEGER NOT NULL,
    thumbprint TEXT,
    subject TEXT,
    valid_to INTEGER,
    code TEXT,
    reason TEXT,
    epoch TEXT,
    full_at INTEGER
  ) STRICT;

  ALTER TABLE cycle ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE cycle ADD COLUMN keys_missing INTEGER NOT NULL DEFAULT 0;
  `,
  },
];
