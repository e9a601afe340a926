/** What the tenant really stored, in the order of its commits: a trigger in its own database writes it down. */

import Database from 'better-sqlite3';
import type { Hasher } from '#src/hasher/types.js';
import type { Person } from './directory.js';

interface Stored {
  readonly anchor: string;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
  readonly iterations: number;
}

/** From now on. */
export function recordHistory(database: string): void {
  const db = new Database(database, { timeout: 10_000 });
  const row = 'new.user_id, new.salt, new.iterations, new.hash, new.change_date';
  db.exec(`
    CREATE TABLE audit (id INTEGER PRIMARY KEY, user_id INTEGER, salt BLOB, iterations INTEGER, hash BLOB,
      change_date INTEGER);
    CREATE TRIGGER audit_insert AFTER INSERT ON credentials
      BEGIN INSERT INTO audit (user_id, salt, iterations, hash, change_date) VALUES (${row}); END;
    CREATE TRIGGER audit_update AFTER UPDATE ON credentials
      BEGIN INSERT INTO audit (user_id, salt, iterations, hash, change_date) VALUES (${row}); END;
  `);
  db.close();
}

export interface Verdict {
  /** Credentials that the tenant stored. */
  readonly stored: number;
  /** Sentences about users with a wrong password at the end, or with an older one after a newer. */
  readonly wrong: readonly string[];
}

/**
 * Holds the tenant's history against the passwords that each user has had: which one each stored credential verifies, by
 * PBKDF2 over the NT hashes; never an older one after a newer one; at the end the last one.
 */
export async function judge(database: string, people: readonly Person[], hasher: Hasher): Promise<Verdict> {
  const db = new Database(database, { readonly: true });
  const rows = db
    .prepare(
      `SELECT source_anchor AS anchor, salt, hash, iterations FROM audit JOIN users ON users.id = audit.user_id
       ORDER BY audit.id`,
    )
    .all() as Stored[];
  const final = db
    .prepare('SELECT source_anchor AS anchor, salt, hash, iterations FROM credentials JOIN users ON users.id = user_id')
    .all() as Stored[];
  db.close();
  const byAnchor = new Map<string, Stored[]>();
  for (const row of rows) {
    const list = byAnchor.get(row.anchor);
    if (list === undefined) byAnchor.set(row.anchor, [row]);
    else list.push(row);
  }
  const last = new Map(final.map((row) => [row.anchor, row]));
  const wrong: string[] = [];
  const checks: { readonly person: Person; readonly row: Stored; readonly isFinal: boolean }[] = [];
  for (const person of people) {
    const row = last.get(person.sourceAnchor);
    for (const each of byAnchor.get(person.sourceAnchor) ?? []) checks.push({ person, row: each, isFinal: false });
    if (row === undefined) wrong.push(`${person.dn} has no credential in the tenant`);
    else checks.push({ person, row, isFinal: true });
  }
  const indexes = await indexesOf(checks, hasher);
  const newest = new Map<Person, number>();
  for (const [i, { person, isFinal }] of checks.entries()) {
    const index = indexes[i]!;
    const before = newest.get(person) ?? 0;
    const count = person.hashes.length;
    if (index < 0) {
      wrong.push(
        `${person.dn}: ${isFinal ? 'the' : 'a stored'} credential verifies none of the user's ${count} passwords`,
      );
    } else if (isFinal && index !== count - 1) {
      wrong.push(`${person.dn}: at the end the tenant verifies password ${index + 1} of ${count}`);
    } else if (index < before) {
      wrong.push(`${person.dn}: password ${index + 1} was stored after password ${before + 1} of ${count}`);
    }
    if (index >= 0) newest.set(person, Math.max(before, index));
  }
  return { stored: rows.length, wrong };
}

/** Which of the person's passwords each credential is of; -1: none. */
async function indexesOf(
  checks: readonly { readonly person: Person; readonly row: Stored }[],
  hasher: Hasher,
): Promise<number[]> {
  const tries = checks.flatMap(({ person, row }, check) =>
    person.hashes.map((hash, index) => ({ check, row, hash, index })),
  );
  const { digests } = await hasher.deriveBatch({
    ntHashes: Buffer.concat(tries.map(({ hash }) => Buffer.from(hash, 'hex'))),
    salts: Buffer.concat(tries.map(({ row }) => row.salt)),
    iterations: 1000,
  });
  const indexes = checks.map(() => -1);
  for (const [i, { check, row, index }] of tries.entries()) {
    const isSame =
      row.iterations === 1000 && Buffer.from(digests.buffer, digests.byteOffset + 32 * i, 32).equals(row.hash);
    if (isSame) indexes[check] = index;
  }
  return indexes;
}
