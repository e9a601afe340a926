/** Gives users of one agent to another (`agents[].domains`): one of them anew, or all as they are. */

import { setImmediate as breathe } from 'node:timers/promises';
import { sql } from 'kysely';
import { PhsyncError } from '../../hasher/errors.js';
import { createAuditLog } from '../audit/audit-log.js';
import type { Queries, TenantDatabase } from '../store/database.js';
import { BATCH_LOCK } from '../store/postgres-users.js';
import { timeOrderedId } from '../store/time-ordered-id.js';

/** Of `users.id` in one statement, so that the tenant goes on beside it. */
const SLICE = 2000;
const ACTOR = { kind: 'system', id: 'phsync tenant hand-over' } as const;

export interface Receiver {
  readonly clientId: string;
  /** One that it may act for. */
  readonly domain: string;
}

export interface HandedOver {
  readonly userPrincipalName: string;
  readonly objectId: string;
  /** Client id; null: nobody's in particular. */
  readonly formerOwner: string | null;
  /** It is the agent's already: nothing was done. */
  readonly isItsOwn: boolean;
}

/**
 * The user with this anchor is deleted with all it had, and the anchor waits for its new owner, whose next change makes
 * another user, with another object id. @throws PhsyncError `user-unknown`.
 */
export async function handOverUser(
  database: TenantDatabase,
  sourceAnchor: string,
  { clientId, domain }: Receiver,
  now: () => Date,
): Promise<HandedOver> {
  const audit = createAuditLog(database, now);
  return database.transaction(async (queries) => {
    await lockBatches(queries, database.dialect);
    const found = sourceAnchor.includes('\0') ? undefined : await findByAnchor(queries, sourceAnchor);
    if (found === undefined) {
      throw new PhsyncError('user-unknown', `--anchor: no user of this tenant has the source anchor ${sourceAnchor}`, {
        facts: { sourceAnchor },
      });
    }
    const { id, owner: formerOwner, user_principal_name: userPrincipalName, object_id: objectId } = found;
    const isItsOwn = formerOwner === clientId;
    if (isItsOwn) return { userPrincipalName, objectId, formerOwner, isItsOwn };
    const at = now().getTime();
    await queries.deleteFrom('credentials').where('user_id', '=', id).execute();
    await queries.deleteFrom('windows_credentials').where('user_id', '=', id).execute();
    await queries
      .updateTable('users')
      .set({ source_anchor: null, owner: null, deleted_at: found.deleted_at ?? at, updated_at: at })
      .where('id', '=', id)
      .execute();
    // Keeps the anchor for its new owner, in a domain of whom no other agent may touch it. Its name nobody ever sees.
    const next = timeOrderedId(at);
    const name = `${next}@${domain}`;
    await queries
      .insertInto('users')
      .values({
        ...{ object_id: next, source_anchor: sourceAnchor, upn_key: name, user_principal_name: name },
        ...{ account_enabled: 1, owner: clientId, created_at: at, updated_at: at, deleted_at: at },
      })
      .execute();
    await audit.record(
      {
        actor: ACTOR,
        activity: 'Hand over user',
        category: 'UserManagement',
        target: { kind: 'User', id: objectId, name: userPrincipalName },
        result: 'success',
        details: { sourceAnchor, owner: { old: formerOwner, new: clientId } },
      },
      queries,
    );
    return { userPrincipalName, objectId, formerOwner, isItsOwn };
  });
}

/** No batch is written until the transaction ends. On SQLite it is the only writer anyway. */
async function lockBatches(queries: Queries, dialect: TenantDatabase['dialect']): Promise<void> {
  if (dialect === 'postgres') await sql`SELECT pg_advisory_xact_lock(${BATCH_LOCK})`.execute(queries);
}

const findByAnchor = (queries: Queries, sourceAnchor: string) =>
  queries
    .selectFrom('users')
    .select(['id', 'object_id', 'user_principal_name', 'owner', 'deleted_at'])
    .where('source_anchor', '=', sourceAnchor)
    .executeTakeFirst();

/** Every user of the agent is the other's from then on, with its password and object id. @returns how many. */
export async function handOverAll(database: TenantDatabase, of: string, to: string, now: () => Date): Promise<number> {
  const range = await database.run((queries) =>
    queries
      .selectFrom('users')
      .select(({ fn }) => [fn.min('id').as('first'), fn.max('id').as('last')])
      .executeTakeFirst(),
  );
  let users = 0;
  const last = Number(range?.last ?? -1);
  for (let from = Number(range?.first ?? 0); from <= last; from += SLICE) {
    users += await database.transaction(async (queries) => {
      await lockBatches(queries, database.dialect);
      const { numAffectedRows } = await sql`UPDATE users SET owner = ${to}
        WHERE id >= ${from} AND id < ${from + SLICE} AND owner = ${of}`.execute(queries);
      return Number(numAffectedRows ?? 0);
    });
    await breathe();
  }
  await createAuditLog(database, now).record({
    actor: ACTOR,
    activity: 'Hand over users of an agent',
    category: 'DirectoryManagement',
    target: { kind: 'Agent', id: of },
    result: 'success',
    details: { users, owner: { old: of, new: to } },
  });
  return users;
}
