/** The tenant's store on PostgreSQL: a statement a batch; several tenant processes may share the database. */

import { randomBytes, randomUUID } from 'node:crypto';
import type { CredentialChange, CredentialOutcome, UserChange, UserOutcome } from './changes.js';
import type { Find } from './look-up.js';
import { applyCredentials } from './postgres-credentials.js';
import { PostgresDatabase, type PostgresOptions, type Statement } from './postgres-database.js';
import { applyUsers } from './postgres-users.js';
import {
  type CredentialOptions,
  type SignInUser,
  type StoreCounts,
  type TenantStore,
  userPrincipalNameKey,
} from './store.js';
import { SIGN_IN, type SignInRow, toSignInUser } from './user-row.js';
import type { WriteGuard } from './write-guard.js';

export interface PostgresStoreOptions extends PostgresOptions {
  /** DirSyncFeatures of a tenant that is made now. */
  readonly initialFeatures: number;
  readonly now?: () => Date;
}

const statements = {
  make: {
    name: 'tenant_make',
    text: `INSERT INTO tenant (id, tenant_id, dirsync_features, password_sync_since, digest_key)
      VALUES (1, $1, $2, $3, $4) ON CONFLICT DO NOTHING`,
  },
  id: { name: 'tenant_id', text: 'SELECT tenant_id FROM tenant' },
  features: { name: 'features', text: 'SELECT dirsync_features FROM tenant' },
  setFeatures: {
    name: 'features_set',
    text: `UPDATE tenant SET dirsync_features = $1, password_sync_since =
      CASE WHEN $1::bigint % 2 = 1 THEN coalesce(password_sync_since, $2::bigint) END`,
  },
  counts: {
    name: 'counts',
    text: `SELECT count(*) - count(deleted_at) AS users, count(deleted_at) AS deleted,
      (SELECT count(*) FROM credentials) AS credentials FROM users`,
  },
} as const satisfies Readonly<Record<string, Statement>>;

export class PostgresStore implements TenantStore {
  readonly tenantId: string;
  readonly database: PostgresDatabase;
  readonly #now: () => Date;
  readonly #signIn: Find<[string], SignInRow>;

  private constructor(database: PostgresDatabase, tenantId: string, now: () => Date) {
    this.database = database;
    this.tenantId = tenantId;
    this.#now = now;
    this.#signIn = database.lookUp(SIGN_IN);
  }

  /** @throws PhsyncError `config-secret`, `store-open` or `store-newer`. */
  static async open({
    initialFeatures,
    now = () => new Date(),
    ...options
  }: PostgresStoreOptions): Promise<PostgresStore> {
    const database = await PostgresDatabase.open(options);
    try {
      const since = (initialFeatures & 1) === 0 ? null : now().getTime();
      const tenantId = await database.access(async ({ query }) => {
        await query(statements.make, [randomUUID(), initialFeatures, since, randomBytes(32)]);
        const [row] = await query<{ readonly tenant_id: string }>(statements.id, []);
        return row!.tenant_id;
      });
      return new PostgresStore(database, tenantId, now);
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  async dirSyncFeatures(): Promise<number> {
    const row = await this.#one<{ readonly dirsync_features: number }>(statements.features);
    return row!.dirsync_features;
  }

  async applyUsers(changes: readonly UserChange[], guard?: WriteGuard): Promise<UserOutcome[]> {
    if (changes.length === 0) return [];
    return this.database.access((access) => applyUsers(access, changes, this.#now().getTime(), guard));
  }

  async applyCredentials(
    changes: readonly CredentialChange[],
    options: CredentialOptions,
  ): Promise<CredentialOutcome[]> {
    if (changes.length === 0) return [];
    return this.database.access((access) => applyCredentials(access, changes, options, this.#now().getTime()));
  }

  async findSignInUser(userPrincipalName: string): Promise<SignInUser | undefined> {
    const key = userPrincipalNameKey(userPrincipalName);
    // PostgreSQL's text has no NUL, and no name either.
    if (key.includes('\0')) return undefined;
    const row = await this.#signIn(key);
    return row === undefined ? undefined : toSignInUser(row);
  }

  async counts(): Promise<StoreCounts> {
    return (await this.#one<StoreCounts>(statements.counts))!;
  }

  close(): Promise<void> {
    return this.database.close();
  }

  #one<Row>(statement: Statement, values: readonly unknown[] = []): Promise<Row | undefined> {
    return this.database.access(async ({ query }) => (await query<Row>(statement, values))[0]);
  }
}
