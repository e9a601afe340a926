/** Users at risk, in the tenant's database. That a new password ends the risk is a trigger of the schema: see migrations.ts. */

import { randomUUID } from 'node:crypto';
import type { Queries, TenantDatabase } from '../store/database.js';

/** A credential that a leaked password is tried on. */
export interface Candidate {
  readonly userId: number;
  readonly objectId: string;
  readonly userPrincipalName: string;
  readonly upnKey: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly hash: Uint8Array;
}

/** Riskdetail of Microsoft Graph where nothing is known. */
const NO_DETAIL = 'none';

export class RiskStore {
  readonly #database: TenantDatabase;
  readonly #now: () => Date;

  constructor(database: TenantDatabase, now: () => Date) {
    this.#database = database;
    this.#now = now;
  }

  /** Undefined: password hash synchronization is off. */
  async passwordSyncSince(): Promise<Date | undefined> {
    const { password_sync_since } = await this.#database.run((queries) =>
      queries.selectFrom('tenant').select('password_sync_since').executeTakeFirstOrThrow(),
    );
    return password_sync_since === null ? undefined : new Date(password_sync_since);
  }

  /** Those of the names that are users with a password, by `upnKey`. At most a few thousand names at a time. */
  async candidates(upnKeys: readonly string[]): Promise<Map<string, Candidate>> {
    const rows = await this.#database.run((queries) =>
      queries
        .selectFrom('users')
        .innerJoin('credentials', 'credentials.user_id', 'users.id')
        .where('users.upn_key', 'in', upnKeys)
        .where('users.deleted_at', 'is', null)
        .select([
          'users.id as userId',
          'users.object_id as objectId',
          'users.user_principal_name as userPrincipalName',
          'users.upn_key as upnKey',
          'credentials.salt',
          'credentials.iterations',
          'credentials.hash',
        ])
        .execute(),
    );
    return new Map(rows.map((row) => [row.upnKey, row]));
  }

  /**
   * High risk by leaked credentials, and its detection. @returns whether it is news: not where the password has changed
   * in the meantime, nor where the same was found before. `record` writes about it in the same transaction.
   */
  async markLeaked({ userId, hash }: Candidate, record: (within: Queries) => Promise<void>): Promise<boolean> {
    const now = this.#now().getTime();
    return this.#database.transaction(async (queries) => {
      const current = await queries
        .selectFrom('credentials')
        .where('user_id', '=', userId)
        .select('hash')
        .$if(this.#database.dialect === 'postgres', (query) => query.forUpdate())
        .executeTakeFirst();
      if (current === undefined || !Buffer.from(current.hash).equals(hash)) return false;
      const risk = {
        user_id: userId,
        risk_level: 'high',
        risk_state: 'atRisk',
        risk_detail: NO_DETAIL,
        updated_at: now,
      };
      const marked = await queries
        .insertInto('risky_users')
        .values(risk)
        .onConflict((conflict) =>
          conflict
            .column('user_id')
            .doUpdateSet(risk)
            // Not one whom an administrator has confirmed, nor one who is at high risk already.
            .where((where) =>
              where.or([
                where('risky_users.risk_level', '!=', 'high'),
                where('risky_users.risk_state', 'not in', ['atRisk', 'confirmedCompromised']),
              ]),
            ),
        )
        .returning('user_id')
        .executeTakeFirst();
      if (marked === undefined) return false;
      const event = { event_id: randomUUID(), user_id: userId, type: 'leakedCredentials', level: 'high' };
      await queries
        .insertInto('risk_events')
        .values({ ...event, detected_at: now })
        .execute();
      await record(queries);
      return true;
    });
  }
}
