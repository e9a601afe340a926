/** Gives users of one agent to another (`agents[].domains`): one of them anew, or all as they are. */

import { setImmediate as breathe } from 'node:timers/promises';
import { sql } from 'kysely';
import { PhsyncError } from '../../hasher/errors.js';
import type { AgentDomains } from '../agent-domains.js';
import { createAuditLog } from '../audit/audit-log.js';
import type { Queries, TenantDatabase } from '../store/database.js';
import { BATCH_LOCK } from '../store/postgres-users.js';
import { timeOrderedId } from '../store/time-ordered-id.js';
import { domainsOf } from './own-users.js';

/** Of `users.id` in one statement, so that the tenant goes on beside it. */
const SLICE = 2000;
const ACTOR = { kind: 'system', id: 'phsync tenant hand-over' } as const;

export interface Receiver {
  readonly clientId: string;
  /** One that it may act for. */
  readonly domain: string;
}

export interface HandedOver {
  /** Null where the anchor was kept for its former owner, which had not brought a user with it yet. */
  readonly userPrincipalName: string | null;
  /** Null, too. */
  readonly objectId: string | null;
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
    const { id, owner: formerOwner } = found;
    const isItsOwn = formerOwner === clientId;
    const user = found.is_reserved
      ? { userPrincipalName: null, objectId: null }
      : { userPrincipalName: found.user_principal_name, objectId: found.object_id };
    if (isItsOwn) return { ...user, formerOwner, isItsOwn };
    const at = now().getTime();
    await queries.deleteFrom('credentials').where('user_id', '=', id).execute();
    await queries.deleteFrom('windows_credentials').where('user_id', '=', id).execute();
    await queries
      .updateTable('users')
      .set({ source_anchor: null, owner: null, deleted_at: found.deleted_at ?? at, updated_at: at })
      .where('id', '=', id)
      .execute();
    // Keeps the anchor for its new owner, in a domain of whom no other agent may touch it: see isReserved.
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
        target:
          user.objectId === null
            ? { kind: 'SourceAnchor', id: sourceAnchor }
            : { kind: 'User', id: user.objectId, name: user.userPrincipalName },
        result: 'success',
        details: { sourceAnchor, owner: { old: formerOwner, new: clientId } },
      },
      queries,
    );
    return { ...user, formerOwner, isItsOwn };
  });
}

/**
 * A row that keeps an anchor for an agent which has not brought it yet: nobody has seen its object id, which is its name,
 * too. In SQL, of `users`.
 */
const isReserved = sql<boolean>`(deleted_at IS NOT NULL AND user_principal_name LIKE object_id || '@%')`;

/** No batch is written until the transaction ends. On SQLite it is the only writer anyway. */
async function lockBatches(queries: Queries, dialect: TenantDatabase['dialect']): Promise<void> {
  if (dialect === 'postgres') await sql`SELECT pg_advisory_xact_lock(${BATCH_LOCK})`.execute(queries);
}

const findByAnchor = (queries: Queries, sourceAnchor: string) =>
  queries
    .selectFrom('users')
    .select(['id', 'object_id', 'user_principal_name', 'owner', 'deleted_at', isReserved.as('is_reserved')])
    .where('source_anchor', '=', sourceAnchor)
    .executeTakeFirst();

export interface AllHandedOver {
  /** With deleted ones. */
  readonly users: number;
  /** Source anchors that were kept for the agent, which had not brought them yet. */
  readonly reserved: number;
}

/**
 * Every user of the agent is the other's from then on, with its password and object id, and every anchor kept for it.
 * @throws PhsyncError `user-unknown`, and `agent-domains` where the other may not act for one of them: nothing is changed.
 */
export async function handOverAll(
  database: TenantDatabase,
  of: string,
  { clientId: to, domain }: Receiver,
  agents: AgentDomains,
  now: () => Date,
): Promise<AllHandedOver> {
  const range = await ownedBy(database, of);
  if (range === undefined) throw await nobodys(database, of);
  await checkDomains(database, of, to, agents);
  let users = 0;
  let reserved = 0;
  for (let from = range.first; from <= range.last; from += SLICE) {
    await database.transaction(async (queries) => {
      await lockBatches(queries, database.dialect);
      const slice = sql`id >= ${from} AND id < ${from + SLICE} AND owner = ${of}`;
      const name = sql`object_id || ${`@${domain}`}`;
      const kept = await sql`UPDATE users SET owner = ${to}, upn_key = ${name}, user_principal_name = ${name}
        WHERE ${slice} AND ${isReserved}`.execute(queries);
      const moved = await sql`UPDATE users SET owner = ${to} WHERE ${slice}`.execute(queries);
      reserved += Number(kept.numAffectedRows ?? 0);
      users += Number(moved.numAffectedRows ?? 0);
    });
    await breathe();
  }
  await createAuditLog(database, now).record({
    actor: ACTOR,
    activity: 'Hand over users of an agent',
    category: 'DirectoryManagement',
    target: { kind: 'Agent', id: of },
    result: 'success',
    details: { users, reserved, owner: { old: of, new: to } },
  });
  return { users, reserved };
}

/** `users.id` of the first and the last, deleted ones and kept anchors among them; undefined where there is none. */
async function ownedBy(database: TenantDatabase, of: string): Promise<{ first: number; last: number } | undefined> {
  const range = await database.run((queries) =>
    queries
      .selectFrom('users')
      .select(({ fn }) => [fn.min('id').as('first'), fn.max('id').as('last')])
      .where('owner', '=', of)
      .executeTakeFirstOrThrow(),
  );
  return range.first === null ? undefined : { first: Number(range.first), last: Number(range.last) };
}

async function nobodys(database: TenantDatabase, of: string): Promise<PhsyncError> {
  const rows = await database.run((queries) =>
    queries
      .selectFrom('users')
      .select(({ fn }) => ['owner', fn.countAll<number>().as('users')])
      .where('owner', 'is not', null)
      .where(sql<boolean>`NOT ${isReserved}`)
      .groupBy('owner')
      .orderBy('owner')
      .execute(),
  );
  const agents = rows.map(({ owner, users }) => `${owner} (${Number(users).toLocaleString('en-US')})`).join(', ');
  const others = agents === '' ? 'nor to another agent' : `agents with users: ${agents}`;
  return new PhsyncError('user-unknown', `--of: no user belongs to ${of}; ${others}`, { facts: { clientId: of } });
}

/** @throws PhsyncError `agent-domains`: a user would be written by neither of the two. */
async function checkDomains(database: TenantDatabase, of: string, to: string, agents: AgentDomains): Promise<void> {
  if (agents.of(to) === undefined) return;
  const foreign = new Set<string>();
  let users = 0;
  for (let from = 0; ; ) {
    const rows = await database.run((queries) =>
      queries
        .selectFrom('users')
        .select(['id', 'user_principal_name', 'dns_domain_name'])
        .where('owner', '=', of)
        .where('id', '>', from)
        .where(sql<boolean>`NOT ${isReserved}`)
        .orderBy('id')
        .limit(SLICE)
        .execute(),
    );
    for (const { user_principal_name: name, dns_domain_name: dns } of rows) {
      const domains = domainsOf(name, dns).filter((domain) => agents.foreign(to, [domain]) !== undefined);
      for (const domain of domains) foreign.add(domain);
      if (domains.length > 0) users++;
    }
    if (rows.length < SLICE) break;
    from = rows.at(-1)!.id;
  }
  if (users === 0) return;
  const domains = [...foreign].sort();
  throw new PhsyncError(
    'agent-domains',
    `--of: ${users === 1 ? `1 user of ${of} is` : `${users.toLocaleString('en-US')} users of ${of} are`} of ${domains.join(', ')}, for which ${to} ` +
      `may not act: give it ${domains.length === 1 ? 'that domain' : 'these domains'} too (agents[].domains, restart), ` +
      `hand over, and take ${domains.length === 1 ? 'it' : 'them'} away when ${to} has written ` +
      `${users === 1 ? 'the user' : 'them'}`,
    { facts: { from: of, to, users, domains: domains.join(' ') } },
  );
}
