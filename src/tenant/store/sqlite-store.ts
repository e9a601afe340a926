/** The tenant's store on SQLite: prepared statements, one transaction a batch. */

import { randomBytes, randomUUID } from 'node:crypto';
import type Database from 'better-sqlite3';
import { sqlite } from '../../state/sqlite.js';
import type { CredentialChange, CredentialOutcome, UserAttributes, UserChange, UserOutcome } from './changes.js';
import type { Find } from './look-up.js';
import { policyChanges } from './password-policies.js';
import { CHUNK, CredentialChunk } from './sqlite-chunks.js';
import { SqliteDatabase } from './sqlite-database.js';
import {
  type CredentialOptions,
  type SignInUser,
  type StoreCounts,
  type TenantStore,
  userPrincipalNameKey,
} from './store.js';
import { timeOrderedId } from './time-ordered-id.js';
import {
  ACCOUNT_ENABLED,
  attributeColumns,
  SIGN_IN,
  type SignInRow,
  SYNCHRONIZED,
  toColumn,
  toSignInUser,
  USER_PRINCIPAL_NAME,
} from './user-row.js';
import { hasWindows, SqliteWindowsCredentials } from './windows-credentials.js';
import { SqliteGuard, spread, type WriteGuard } from './write-guard.js';

/** Where the parameters of `upsertSql` begin: object id, anchor, UPN key, two times, the attributes, what came. */
const ATTRIBUTES_AT = 5;
const FLAGS_AT = ATTRIBUTES_AT + attributeColumns.length;

// One statement for new, changed and returning users: a SELECT before each write would double the time. A flag a column
// says whether the attribute came. (better-sqlite3 takes an array for `?` only, not for `?1`.)
const upsertSql = `
  INSERT INTO users (object_id, source_anchor, upn_key, created_at, updated_at,
    ${attributeColumns.map(([, column]) => column).join(', ')})
  VALUES (?, ?, ?, ?, ?, ${attributeColumns.map(() => '?').join(', ')})
  ON CONFLICT (source_anchor) DO UPDATE SET
    ${attributeColumns.map(([, name]) => `${name} = CASE WHEN ? THEN excluded.${name} ELSE ${name} END,`).join('\n    ')}
    upn_key = CASE WHEN ? THEN excluded.upn_key ELSE upn_key END,
    updated_at = excluded.updated_at,
    deleted_at = NULL
  RETURNING object_id`;

// The same for a user of whom every attribute came and who is likely new: without RETURNING, which took a fifth of the
// time, since no row of that id is there but the one inserted.
const insertSql = `
  INSERT INTO users (object_id, source_anchor, upn_key, created_at, updated_at,
    ${attributeColumns.map(([, column]) => column).join(', ')})
  VALUES (?, ?, ?, ?, ?, ${attributeColumns.map(() => '?').join(', ')})
  ON CONFLICT (source_anchor) DO NOTHING`;

// The older-change rule lies in the statement, so that two agents cannot slip between a check and a write. Of the same
// second the later arrival counts: dates tell no more, and agents bring what is there. A password that an administrator
// has reset (1) gives way to a newer change only: a full synchronization brings the former one again.
const unlessOlderSql = `
  ON CONFLICT (user_id) DO UPDATE SET
    salt = excluded.salt, iterations = excluded.iterations, hash = excluded.hash, change_date = excluded.change_date,
    force_change = excluded.force_change, origin = 0, changed_at = excluded.change_date, updated_at = excluded.updated_at
  WHERE credentials.change_date IS NULL OR excluded.change_date > credentials.change_date
    OR (excluded.change_date = credentials.change_date AND credentials.origin <> 1)
  RETURNING user_id`;
const credentialSql = (column: string) => `
  INSERT INTO credentials (user_id, salt, iterations, hash, change_date, force_change, origin, changed_at, updated_at)
  SELECT id, ?, ?, ?, ?, ?, 0, ?, ? FROM users WHERE ${column} = ? AND deleted_at IS NULL AND ${SYNCHRONIZED}
  ${unlessOlderSql}`;

const historySql = `
  INSERT INTO credential_history (user_id, at, origin, change_date, iterations, force_change, actor)
  VALUES (?, ?, 0, ?, ?, ?, ?)`;

const { disableExpiration: disable, enableExpiration: enable } = policyChanges;
const disableExpirationSql = `UPDATE users SET password_policies = ${disable.value} WHERE id = ? AND ${disable.where}`;
const enableExpirationSql = (column: string) => `
  UPDATE users SET password_policies = ${enable.value}
  WHERE ${column} = ? AND deleted_at IS NULL AND ${SYNCHRONIZED} AND ${enable.where}
    AND EXISTS (SELECT 1 FROM credentials WHERE user_id = users.id AND change_date < ?)`;

/** Real batches need two; each takes as long as there are users who were refused. */
const MAX_SWAP_ROUNDS = 8;

export interface SqliteStoreOptions {
  /** DirSyncFeatures of a tenant that is made now. */
  readonly initialFeatures: number;
  readonly now?: () => Date;
}

export class SqliteStore implements TenantStore {
  readonly tenantId: string;
  readonly database: SqliteDatabase;
  readonly #now: () => Date;
  readonly #insert: Database.Statement;
  readonly #upsert: Database.Statement;
  readonly #delete: Database.Statement;
  readonly #credentialByAnchor: Database.Statement;
  readonly #credentialByObjectId: Database.Statement;
  readonly #history: Database.Statement;
  readonly #disableExpiration: Database.Statement;
  readonly #enableByAnchor: Database.Statement;
  readonly #enableByObjectId: Database.Statement;
  readonly #userByAnchor: Database.Statement;
  readonly #userByObjectId: Database.Statement;
  /** Deleted ones too. */
  readonly #anyByAnchor: Database.Statement;
  readonly #signIn: Find<[string], SignInRow>;
  readonly #putNameAside: Database.Statement;
  readonly #savepoint: Database.Statement;
  readonly #rollback: Database.Statement;
  readonly #release: Database.Statement;
  readonly #credentialChunk: CredentialChunk;
  readonly #windows: SqliteWindowsCredentials;
  readonly #guard: SqliteGuard;
  /** Reused for every user. */
  readonly #values: unknown[] = new Array(FLAGS_AT).fill(null);
  readonly #parameters: unknown[] = new Array(FLAGS_AT + attributeColumns.length + 1).fill(null);
  /** The last user was new: so is the next one, most likely. */
  #new = true;

  /** @throws PhsyncError `store-open` or `store-newer`. */
  constructor(file: string, { initialFeatures, now = () => new Date() }: SqliteStoreOptions) {
    this.database = new SqliteDatabase(file);
    this.#now = now;
    const prepare = (sql: string) => this.database.connection.prepare(sql);
    prepare(
      'INSERT INTO tenant (id, tenant_id, dirsync_features, password_sync_since, digest_key) VALUES (1, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ).run(randomUUID(), initialFeatures, (initialFeatures & 1) === 0 ? null : now().getTime(), randomBytes(32));
    this.tenantId = prepare('SELECT tenant_id FROM tenant').pluck().get() as string;
    this.#insert = prepare(insertSql);
    this.#upsert = prepare(upsertSql).pluck();
    this.#delete = prepare(
      'UPDATE users SET deleted_at = ?, updated_at = ? WHERE source_anchor = ? AND deleted_at IS NULL RETURNING object_id',
    ).pluck();
    this.#credentialByAnchor = prepare(credentialSql('source_anchor')).pluck();
    this.#credentialByObjectId = prepare(credentialSql('object_id')).pluck();
    this.#credentialChunk = new CredentialChunk(this.database.connection, unlessOlderSql);
    this.#windows = new SqliteWindowsCredentials(this.database.connection);
    this.#guard = new SqliteGuard(this.database.connection);
    this.#history = prepare(historySql);
    this.#disableExpiration = prepare(disableExpirationSql);
    this.#enableByAnchor = prepare(enableExpirationSql('source_anchor'));
    this.#enableByObjectId = prepare(enableExpirationSql('object_id'));
    this.#userByAnchor = prepare('SELECT 1 FROM users WHERE source_anchor = ? AND deleted_at IS NULL').pluck();
    this.#userByObjectId = prepare(
      `SELECT 1 FROM users WHERE object_id = ? AND deleted_at IS NULL AND ${SYNCHRONIZED}`,
    ).pluck();
    this.#anyByAnchor = prepare('SELECT 1 FROM users WHERE source_anchor = ?').pluck();
    this.#signIn = this.database.lookUp(SIGN_IN);
    // No name begins with NUL.
    this.#putNameAside = prepare(
      'UPDATE users SET upn_key = char(0) || id WHERE source_anchor = ? AND deleted_at IS NULL',
    );
    this.#savepoint = prepare('SAVEPOINT names');
    this.#rollback = prepare('ROLLBACK TO names');
    this.#release = prepare('RELEASE names');
  }

  async dirSyncFeatures(): Promise<number> {
    const sql = 'SELECT dirsync_features FROM tenant';
    return this.database.read(() => this.database.reader.prepare(sql).pluck().get() as number);
  }

  async applyUsers(changes: readonly UserChange[], guard?: WriteGuard): Promise<UserOutcome[]> {
    const now = this.#now().getTime();
    return this.database.exclusively(() => {
      if (guard === undefined) return this.#applyUsers(changes, now);
      const sorted = this.#guard.sort(changes, guard);
      const outcomes = this.#applyUsers(sorted.allowed, now);
      this.#guard.claim(sorted, outcomes, guard);
      return spread<UserOutcome>(changes, sorted, outcomes, { status: 'refused' });
    });
  }

  async applyCredentials(
    changes: readonly CredentialChange[],
    options: CredentialOptions,
  ): Promise<CredentialOutcome[]> {
    const now = this.#now().getTime();
    const { guard, onWindows } = options;
    return this.database.exclusively(() => {
      if (guard === undefined) return this.#applyCredentials(changes, options, now);
      const sorted = this.#guard.sort(changes, guard);
      const outcomes = this.#applyCredentials(
        sorted.allowed,
        { ...options, onWindows: (i, outcome) => onWindows?.(sorted.places[i]!, outcome) },
        now,
      );
      return spread<CredentialOutcome>(changes, sorted, outcomes, 'refused');
    });
  }

  async findSignInUser(userPrincipalName: string): Promise<SignInUser | undefined> {
    const key = userPrincipalNameKey(userPrincipalName);
    const row = await this.#signIn(key);
    return row === undefined ? undefined : toSignInUser(row);
  }

  async counts(): Promise<StoreCounts> {
    const sql = `SELECT count(*) - count(deleted_at) AS users, count(deleted_at) AS deleted,
      (SELECT count(*) FROM credentials) AS credentials FROM users`;
    return this.database.read(() => this.database.reader.prepare(sql).get() as StoreCounts);
  }

  async close(): Promise<void> {
    await this.database.close();
  }

  #applyUsers(changes: readonly UserChange[], now: number): UserOutcome[] {
    const outcomes = changes.map((change) => this.#applyUser(change, now));
    this.#applyRefused(changes, outcomes, now);
    return outcomes;
  }

  #applyCredentials(changes: readonly CredentialChange[], options: CredentialOptions, now: number) {
    const outcomes: CredentialOutcome[] = [];
    while (outcomes.length < changes.length) {
      if (this.#storeChunk(changes, outcomes, options, now)) continue;
      const end = Math.min(outcomes.length + CHUNK, changes.length);
      while (outcomes.length < end) outcomes.push(this.#applyCredential(changes[outcomes.length]!, options, now));
    }
    if (hasWindows(changes)) this.#windows.apply(changes, options, now);
    return outcomes;
  }

  /** The next CHUNK of credentials, where they are of different users. */
  #storeChunk(
    changes: readonly CredentialChange[],
    outcomes: CredentialOutcome[],
    { disableExpiration, actor }: CredentialOptions,
    now: number,
  ): boolean {
    const at = outcomes.length;
    if (!disableExpiration || at + CHUNK > changes.length) return false;
    const stored = this.#credentialChunk.store(changes, at, actor, now);
    if (stored === undefined) return false;
    for (let i = at; i < at + CHUNK; i++) {
      const anchor = changes[i]!.sourceAnchor!;
      if (stored === 'all' || stored.has(anchor)) outcomes.push('stored');
      else outcomes.push(this.#userByAnchor.get(anchor) === undefined ? 'unknownUser' : 'olderChange');
    }
    return true;
  }

  #applyUser(change: UserChange, now: number): UserOutcome {
    if (change.kind === 'delete') {
      const objectId = this.#delete.get(now, now, change.sourceAnchor) as string | undefined;
      return { status: 'stored', objectId };
    }
    const { sourceAnchor, attributes } = change;
    const { userPrincipalName } = attributes;
    if (userPrincipalName === undefined && this.#anyByAnchor.get(sourceAnchor) === undefined) {
      return { status: 'userPrincipalNameMissing' };
    }
    const values = this.#values;
    values[0] = timeOrderedId(now);
    values[1] = sourceAnchor;
    values[2] = userPrincipalNameKey(userPrincipalName ?? '');
    values[3] = values[4] = now;
    let all = true;
    for (let i = 0; i < attributeColumns.length; i++) {
      const value = attributes[attributeColumns[i]![0]];
      values[ATTRIBUTES_AT + i] = toColumn(value);
      all &&= value !== undefined;
    }
    try {
      const inserted = all && this.#new && this.#insert.run(values).changes === 1;
      const objectId = inserted ? (values[0] as string) : this.#upsertUser(attributes);
      this.#new = objectId === values[0];
      return { status: 'stored', objectId };
    } catch (error) {
      // Only users_upn can be hit: the anchor's conflict is the update, and object ids are random.
      if (isSqlite(error, 'SQLITE_CONSTRAINT_UNIQUE')) return { status: 'duplicateUserPrincipalName' };
      throw error;
    }
  }

  /** With `#values` as they stand. @returns the object id: that of `#values`, or that of the user who was there. */
  #upsertUser(attributes: UserAttributes): string {
    const parameters = this.#parameters;
    for (let i = 0; i < FLAGS_AT; i++) parameters[i] = this.#values[i];
    for (let i = 0; i < attributeColumns.length; i++) {
      parameters[FLAGS_AT + i] = attributes[attributeColumns[i]![0]] === undefined ? 0 : 1;
    }
    parameters[FLAGS_AT + attributeColumns.length] = parameters[FLAGS_AT + USER_PRINCIPAL_NAME];
    // The columns that are NOT NULL need a value even where the flag then keeps the stored one.
    parameters[ATTRIBUTES_AT + USER_PRINCIPAL_NAME] ??= '';
    parameters[ATTRIBUTES_AT + ACCOUNT_ENABLED] ??= 1;
    return this.#upsert.get(parameters) as string;
  }

  /**
   * A name that was taken may be free by the end of the batch, when its owner is deleted or renamed further on, or may
   * be swapped for the name of whoever wants it. So the refused try once more, together and with their own names put
   * aside; who fails again drops out, and the others try without.
   */
  #applyRefused(changes: readonly UserChange[], outcomes: UserOutcome[], now: number): void {
    let refused = outcomes.flatMap(({ status }, i) => (status === 'duplicateUserPrincipalName' ? [i] : []));
    if (refused.length === 0) return;
    // Not behind a later change of the same user: that one is the newer.
    const last = new Map(changes.map(({ sourceAnchor }, i) => [sourceAnchor, i]));
    refused = refused.filter((i) => last.get(changes[i]!.sourceAnchor) === i);
    for (let round = 0; round < MAX_SWAP_ROUNDS && refused.length > 0; round++) {
      const again = this.#applyTogether(
        refused.map((i) => changes[i]!),
        now,
      );
      if (again.every(({ status }) => status === 'stored')) {
        for (const [k, i] of refused.entries()) outcomes[i] = again[k]!;
        return;
      }
      refused = refused.filter((_, k) => again[k]!.status === 'stored');
    }
  }

  /** All of them or, where one is refused, none. */
  #applyTogether(changes: readonly UserChange[], now: number): UserOutcome[] {
    this.#savepoint.run();
    for (const { sourceAnchor } of changes) this.#putNameAside.run(sourceAnchor);
    const outcomes = changes.map((change) => this.#applyUser(change, now));
    if (outcomes.some(({ status }) => status !== 'stored')) this.#rollback.run();
    this.#release.run();
    return outcomes;
  }

  #applyCredential(
    change: CredentialChange,
    { disableExpiration, actor }: CredentialOptions,
    now: number,
  ): CredentialOutcome {
    const { sourceAnchor, objectId, iterations } = change;
    const statement = sourceAnchor === undefined ? this.#credentialByObjectId : this.#credentialByAnchor;
    const key = sourceAnchor ?? objectId ?? '';
    const changeDate = change.changeDate.getTime();
    const forceChange = change.forcePasswordChangeOnLogon ? 1 : 0;
    const { salt, hash } = change;
    if (!disableExpiration) {
      // Before the change: it asks for the one that was there.
      (sourceAnchor === undefined ? this.#enableByObjectId : this.#enableByAnchor).run(key, changeDate);
    }
    const userId = statement.get(salt, iterations, hash, changeDate, forceChange, changeDate, now, key);
    if (userId === undefined) {
      const known = (sourceAnchor === undefined ? this.#userByObjectId : this.#userByAnchor).get(key);
      return known === undefined ? 'unknownUser' : 'olderChange';
    }
    this.#history.run(userId, now, changeDate, iterations, forceChange, actor);
    if (disableExpiration) this.#disableExpiration.run(userId);
    return 'stored';
  }
}

const isSqlite = (error: unknown, code: string) => error instanceof sqlite().SqliteError && error.code.startsWith(code);
