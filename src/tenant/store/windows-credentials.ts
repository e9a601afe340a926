/**
 * Windows credentials of a batch, within the transaction of its credentials: a statement each on SQLite, one for a run of
 * them on PostgreSQL. Whether they are newer is decided in the statement.
 */

import type Database from 'better-sqlite3';
import type { CredentialChange, WindowsOutcome } from './changes.js';
import type { Query, Statement } from './postgres-database.js';
import type { CredentialOptions } from './store.js';
import { SYNCHRONIZED } from './user-row.js';

// A password that was set in the cloud since changes nothing here: the managed domain goes on with the one on premises.
// One that was written back has the domain controller's pwdLastSet, with fractions of a second; the synchronized change
// of the same password comes with whole seconds (and the version as milliseconds).
const notOlder = (changeDate: string) => `(c.change_date IS NULL OR ${changeDate} >=
    CASE c.origin WHEN 0 THEN c.change_date ELSE c.change_date - c.change_date % 1000 END)`;
const columns =
  'user_id, thumbprint, change_date, updated_at, legacy, supplemental, legacy_digest, supplemental_digest';
const unlessOlder = `
  ON CONFLICT (user_id) DO UPDATE SET
    thumbprint = excluded.thumbprint, change_date = excluded.change_date, updated_at = excluded.updated_at,
    legacy = excluded.legacy, supplemental = excluded.supplemental,
    legacy_digest = excluded.legacy_digest, supplemental_digest = excluded.supplemental_digest
  WHERE excluded.change_date >= windows_credentials.change_date
  RETURNING user_id`;

export class SqliteWindowsCredentials {
  readonly #enabled: Database.Statement;
  readonly #certificate: Database.Statement;
  readonly #userByAnchor: Database.Statement;
  readonly #userByObjectId: Database.Statement;
  readonly #store: Database.Statement;

  constructor(connection: Database.Database) {
    const prepare = (sql: string) => connection.prepare(sql).pluck();
    this.#enabled = prepare('SELECT enabled FROM domain_services');
    this.#certificate = prepare('SELECT 1 FROM domain_services_certificates WHERE thumbprint = ?');
    this.#userByAnchor = prepare('SELECT id FROM users WHERE source_anchor = ? AND deleted_at IS NULL');
    this.#userByObjectId = prepare(
      `SELECT id FROM users WHERE object_id = ? AND deleted_at IS NULL AND ${SYNCHRONIZED}`,
    );
    this.#store = prepare(`
      INSERT INTO windows_credentials (${columns})
      SELECT v.id, ?, v.change_date, ?, ?, ?, ?, ? FROM (SELECT ? AS id, ? AS change_date) v
      LEFT JOIN credentials c ON c.user_id = v.id WHERE ${notOlder('v.change_date')}
      ${unlessOlder}`);
  }

  /** Within a transaction, behind the credentials. */
  apply(changes: readonly CredentialChange[], { onWindows }: CredentialOptions, now: number): void {
    const isOn = this.#enabled.get() === 1;
    for (const [i, change] of changes.entries()) {
      if (change.windows === undefined) continue;
      const outcome = isOn ? this.#applyOne(change, now) : 'off';
      onWindows?.(i, outcome);
    }
  }

  #applyOne({ sourceAnchor, objectId, changeDate, windows }: CredentialChange, now: number): WindowsOutcome {
    const { thumbprint, legacy, supplemental } = windows!;
    if (this.#certificate.get(thumbprint) === undefined) return 'unknownCertificate';
    const id =
      sourceAnchor === undefined ? this.#userByObjectId.get(objectId ?? '') : this.#userByAnchor.get(sourceAnchor);
    if (id === undefined) return 'unknownUser';
    const blobs = [
      legacy?.bytes ?? null,
      supplemental?.bytes ?? null,
      legacy?.digest ?? null,
      supplemental?.digest ?? null,
    ];
    const stored = this.#store.get(thumbprint, now, ...blobs, id, changeDate.getTime());
    return stored === undefined ? 'olderChange' : 'stored';
  }
}

// Whoever switches Domain Services on or off, or takes certificates away, locks the row FOR UPDATE and so waits for this
// transaction, or this one waits for that. Numbering the feed's changes is let through.
const service: Statement = {
  name: 'windows_service',
  text: 'SELECT enabled FROM domain_services FOR KEY SHARE',
};

// $1 now, $2 keys, $3 change dates, $4 thumbprints, $5 legacy, $6 supplemental, $7 and $8 their digests.
const storeText = (key: 'source_anchor' | 'object_id') => `
  WITH known AS MATERIALIZED (
    SELECT u.id, v.*, EXISTS (SELECT 1 FROM domain_services_certificates k WHERE k.thumbprint = v.thumbprint) AS sealed
    FROM unnest($2::text[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[])
      WITH ORDINALITY AS v (key, change_date, thumbprint, legacy, supplemental, legacy_digest, supplemental_digest, n)
    LEFT JOIN users u ON u.${key} = v.key AND u.deleted_at IS NULL AND u.${SYNCHRONIZED}),
  stored AS (
    INSERT INTO windows_credentials (${columns})
    SELECT v.id, v.thumbprint, v.change_date, $1::bigint, v.legacy, v.supplemental,
      v.legacy_digest, v.supplemental_digest
    FROM known v LEFT JOIN credentials c ON c.user_id = v.id
    WHERE v.id IS NOT NULL AND v.sealed AND ${notOlder('v.change_date')}
    ORDER BY v.id
    ${unlessOlder})
  SELECT n, sealed, id, stored.user_id IS NOT NULL AS stored FROM known LEFT JOIN stored ON stored.user_id = known.id`;

interface StoredRow {
  readonly n: number;
  readonly sealed: boolean;
  readonly id: number | null;
  readonly stored: boolean;
}

export const hasWindows = (changes: readonly CredentialChange[]) =>
  changes.some(({ windows }) => windows !== undefined);

/** First of all in the transaction: whoever switches takes its locks in the same order. @returns whether they are on. */
export async function lockService(query: Query): Promise<boolean> {
  const [row] = await query<{ readonly enabled: number }>(service, []);
  return row?.enabled === 1;
}

/** Behind the credentials of these changes, which are of different users, by the same key. */
export async function applyWindows(
  query: Query,
  key: 'source_anchor' | 'object_id',
  changes: ReadonlyMap<string, CredentialChange>,
  { isOn, now }: { readonly isOn: boolean; readonly now: number },
  told: (change: CredentialChange, outcome: WindowsOutcome) => void,
): Promise<void> {
  const wanted = [...changes].filter(([, { windows }]) => windows !== undefined);
  if (wanted.length === 0) return;
  if (!isOn) {
    for (const [, change] of wanted) told(change, 'off');
    return;
  }
  const all = wanted.map(([, { windows }]) => windows!);
  const rows = await query<StoredRow>({ name: `windows_${key}`, text: storeText(key) }, [
    now,
    wanted.map(([value]) => value),
    wanted.map(([, { changeDate }]) => changeDate.getTime()),
    all.map(({ thumbprint }) => thumbprint),
    all.map(({ legacy }) => legacy?.bytes ?? null),
    all.map(({ supplemental }) => supplemental?.bytes ?? null),
    all.map(({ legacy }) => legacy?.digest ?? null),
    all.map(({ supplemental }) => supplemental?.digest ?? null),
  ]);
  for (const { n, sealed, id, stored } of rows) {
    const outcome = !sealed ? 'unknownCertificate' : id === null ? 'unknownUser' : stored ? 'stored' : 'olderChange';
    told(wanted[n - 1]![1], outcome);
  }
}
