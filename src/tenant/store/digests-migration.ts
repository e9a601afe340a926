/** Migration 6: a SHA-256 (FIPS 180-4) beside each blob that agents have sealed for Domain Services. */

import { createHash } from 'node:crypto';
import type { Migration } from '../../state/database.js';
import type { Dialect } from './dialect.js';

const columns = `
  ALTER TABLE windows_credentials ADD COLUMN legacy_digest {BYTES};
  ALTER TABLE windows_credentials ADD COLUMN supplemental_digest {BYTES};
  `;
const update =
  'UPDATE windows_credentials SET legacy_digest = sha256(legacy), supplemental_digest = sha256(supplemental);';

const statements: Readonly<Record<Dialect, string>> = {
  // Triggers cannot be passed over here: what they note is taken back.
  sqlite: `${columns}
  CREATE TABLE noted_before AS SELECT coalesce(max(id), 0) AS id FROM domain_services_pending;
  ${update}
  DELETE FROM domain_services_pending WHERE id > (SELECT id FROM noted_before);
  DROP TABLE noted_before;
  `,
  postgres: `${columns}
  ALTER TABLE windows_credentials DISABLE TRIGGER USER;
  ${update}
  ALTER TABLE windows_credentials ENABLE TRIGGER USER;
  `,
};

/** PostgreSQL has one of its own. */
const sha256 = (bytes: unknown) => (bytes instanceof Uint8Array ? createHash('sha256').update(bytes).digest() : null);

/**
 * What is there already gets its digest now, as it is: damage from before is not found by it, and any later one is. The
 * feed's readers are told nothing anew, since nothing has changed for them.
 */
export const digests = (dialect: Dialect): Omit<Migration, 'number'> => ({
  sql: statements[dialect],
  functions: { sha256 },
});
