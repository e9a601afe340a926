/**
 * The usual credentials of a batch on SQLite, in statements of many rows: of a statement of one row half the time goes
 * into what stands around it.
 */

import type Database from 'better-sqlite3';
import type { CredentialChange } from './changes.js';
import { policyChanges } from './password-policies.js';

/** Credentials a statement. */
export const CHUNK = 64;
const WIDTH = 6;

const times = (text: string) => new Array(CHUNK).fill(text).join(', ');

/** Credentials of different users by anchor, in a tenant where passwords do not expire. */
export class CredentialChunk {
  readonly #store: Database.Statement;
  readonly #history: Database.Statement;
  readonly #policy: Database.Statement;
  readonly #anchors: Database.Statement;
  readonly #parameters: unknown[] = new Array(CHUNK * WIDTH + 1).fill(null);

  /** `unlessOlder` is what stands behind the rows of an INSERT, and returns `user_id`. */
  constructor(database: Database.Database, unlessOlder: string) {
    const ids = `(${times('?')})`;
    const { value, where } = policyChanges.disableExpiration;
    // CROSS JOIN: the users by the values, not the values by all users.
    this.#store = database
      .prepare(`
        WITH v (anchor, salt, iterations, hash, change_date, force_change) AS (VALUES ${times('(?, ?, ?, ?, ?, ?)')})
        INSERT INTO credentials (user_id, salt, iterations, hash, change_date, force_change, origin, changed_at, updated_at)
        SELECT u.id, v.salt, v.iterations, v.hash, v.change_date, v.force_change, 0, v.change_date, ?
        FROM v CROSS JOIN users u ON u.source_anchor = v.anchor AND u.deleted_at IS NULL WHERE true
        ${unlessOlder}`)
      .pluck();
    this.#history = database.prepare(`
      INSERT INTO credential_history (user_id, at, origin, change_date, iterations, force_change, actor)
      SELECT user_id, updated_at, 0, change_date, iterations, force_change, ? FROM credentials WHERE user_id IN ${ids}`);
    this.#policy = database.prepare(`UPDATE users SET password_policies = ${value} WHERE id IN ${ids} AND ${where}`);
    this.#anchors = database.prepare(`SELECT source_anchor FROM users WHERE id IN ${ids}`).pluck();
  }

  /**
   * `changes` from `at`, CHUNK of them. @returns the anchors of those that were stored, or `all`; undefined where they
   * are not of the usual kind: then nothing was done.
   */
  store(
    changes: readonly CredentialChange[],
    at: number,
    actor: string,
    now: number,
  ): ReadonlySet<string> | 'all' | undefined {
    const parameters = this.#parameters;
    const anchors = new Set<string>();
    let next = 0;
    for (let i = at; i < at + CHUNK; i++) {
      const { sourceAnchor, salt, iterations, hash, changeDate, forcePasswordChangeOnLogon } = changes[i]!;
      if (sourceAnchor === undefined || anchors.has(sourceAnchor)) return undefined;
      anchors.add(sourceAnchor);
      parameters[next++] = sourceAnchor;
      parameters[next++] = salt;
      parameters[next++] = iterations;
      parameters[next++] = hash;
      parameters[next++] = changeDate.getTime();
      parameters[next++] = forcePasswordChangeOnLogon ? 1 : 0;
    }
    parameters[next] = now;
    const ids = this.#store.all(parameters) as (number | null)[];
    const all = ids.length === CHUNK;
    while (ids.length < CHUNK) ids.push(null);
    this.#history.run(actor, ids);
    this.#policy.run(ids);
    return all ? 'all' : new Set(this.#anchors.all(ids) as string[]);
  }
}
