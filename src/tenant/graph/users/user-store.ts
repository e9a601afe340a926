/** Users as Graph reads and writes them. Every list goes along an index, however many users there are. */

import { type SelectQueryBuilder, sql } from 'kysely';
import type { Queries } from '../../store/database.js';
import { userPrincipalNameKey } from '../../store/store.js';
import type { Tables } from '../../store/tables.js';
import { badRequest } from '../error.js';
import type { Condition, FilterTable } from '../odata/filter.js';
import type { Position } from '../odata/skip-tokens.js';
import type { UserRow } from './user.js';

export const userFilters: FilterTable = {
  id: { type: 'string', operators: ['eq', 'in'] },
  userPrincipalName: { type: 'string', operators: ['eq', 'in', 'startswith'] },
  onPremisesImmutableId: { type: 'string', operators: ['eq', 'in'] },
  accountEnabled: { type: 'boolean', operators: ['eq'] },
  onPremisesSyncEnabled: { type: 'boolean', operators: ['eq'] },
};

const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Behind every text that begins with given letters, in the order of bytes. */
const LAST = '\u{10ffff}';

export type UserOrder = 'id' | 'userPrincipalName';

/** Names are found along users_upn, everything else in the order in which users were made. */
export function orderOf(conditions: readonly Condition[], orderBy: string | undefined): UserOrder {
  const byName = conditions.some(({ path, operator }) => path === 'userPrincipalName' && operator === 'startswith');
  return byName || orderBy === 'userPrincipalName' ? 'userPrincipalName' : 'id';
}

export const positionOf = (order: UserOrder) => (row: UserRow) => (order === 'id' ? [row.id] : [row.upn_key]);

/** Users of the directory, not deleted ones, with when their password changed: looked up row by row, which no planner joins otherwise. */
export const selectUsers = (queries: Queries) =>
  queries
    .selectFrom('users')
    .selectAll('users')
    .select(({ selectFrom }) =>
      selectFrom('credentials')
        .whereRef('credentials.user_id', '=', 'users.id')
        .select('credentials.changed_at')
        .as('password_changed_at'),
    )
    .where('users.deleted_at', 'is', null);

/** `limit` rows behind `start`. */
export function selectPage(
  queries: Queries,
  conditions: readonly Condition[],
  { order, start, limit }: { order: UserOrder; start: Position | undefined; limit: number },
) {
  const users = filterUsers(selectUsers(queries), conditions);
  const from =
    order === 'id'
      ? users.where('users.id', '>', Number(start?.[0] ?? 0)).orderBy('users.id')
      : users.where('users.upn_key', '>', String(start?.[0] ?? '')).orderBy('users.upn_key');
  return from.limit(limit);
}

/** Rows of `selectPage`, as they follow one another; names by their bytes, as the databases have them. */
export const compareUsers = (order: UserOrder) => (a: UserRow, b: UserRow) =>
  order === 'id' ? a.id - b.id : Buffer.compare(Buffer.from(a.upn_key), Buffer.from(b.upn_key));

/** `alternatives`: at least one; who fits several counts once. */
export async function countUsers(queries: Queries, alternatives: readonly (readonly Condition[])[]): Promise<number> {
  const [first, ...others] = alternatives.map((conditions) =>
    filterUsers(queries.selectFrom('users').where('users.deleted_at', 'is', null), conditions).select('users.id'),
  );
  const ids = others.reduce((all, more) => all.union(more), first!);
  const { count } = await queries
    .selectFrom(ids.as('ids'))
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

export function filterUsers<O>(query: SelectQueryBuilder<Tables, 'users', O>, conditions: readonly Condition[]) {
  let filtered = query;
  for (const { path, operator, values } of conditions) {
    const texts = values as readonly string[];
    switch (path) {
      case 'id':
        filtered = filtered.where(
          'users.object_id',
          'in',
          texts.map((id) => id.toLowerCase()),
        );
        break;
      case 'onPremisesImmutableId':
        filtered = filtered.where('users.source_anchor', 'in', texts);
        break;
      case 'userPrincipalName':
        if (operator === 'startswith') {
          const from = userPrincipalNameKey(texts[0]!);
          filtered = filtered.where('users.upn_key', '>=', from).where('users.upn_key', '<=', from + LAST);
        } else filtered = filtered.where('users.upn_key', 'in', texts.map(userPrincipalNameKey));
        break;
      case 'accountEnabled':
        filtered = filtered.where('users.account_enabled', '=', values[0] === true ? 1 : 0);
        break;
      case 'onPremisesSyncEnabled':
        // Nearly all are: SQLite would go along the index of anchors, from one end of the table to the other for each.
        filtered =
          values[0] === true
            ? filtered.where(sql<boolean>`(users.source_anchor IS NOT NULL) = true`)
            : filtered.where('users.source_anchor', 'is', null);
        break;
    }
  }
  return filtered;
}

/** By object id or user principal name. */
export async function findUser(queries: Queries, idOrName: string): Promise<UserRow | undefined> {
  const users = selectUsers(queries);
  const found = GUID.test(idOrName)
    ? users.where('users.object_id', '=', idOrName.toLowerCase())
    : users.where('users.upn_key', '=', userPrincipalNameKey(idOrName));
  return found.executeTakeFirst();
}

/** `users.id` by object id. */
export async function userIdOf(queries: Queries, objectId: string): Promise<number | undefined> {
  const row = await queries
    .selectFrom('users')
    .where('object_id', '=', objectId.toLowerCase())
    .where('deleted_at', 'is', null)
    .select('id')
    .executeTakeFirst();
  return row?.id;
}

const UPN = /^[^@\s]+@[^@\s]+$/u;

export interface DomainFacts {
  readonly name: string;
  readonly isFederated: boolean;
}

/** The domain of a name that a user is to have. @throws GraphError 400 where it is none of the tenant's. */
export async function domainForName(queries: Queries, userPrincipalName: string): Promise<DomainFacts> {
  const domain = UPN.test(userPrincipalName) ? await domainOf(queries, userPrincipalName) : undefined;
  if (domain === undefined) {
    throw badRequest(
      "Invalid value specified for property 'userPrincipalName': the domain portion of the userPrincipalName property " +
        'is invalid. You must use one of the verified domain names in your organization.',
    );
  }
  return domain;
}

export async function domainOf(queries: Queries, userPrincipalName: string): Promise<DomainFacts | undefined> {
  const name = userPrincipalName.slice(userPrincipalName.lastIndexOf('@') + 1).toLowerCase();
  const row = await queries
    .selectFrom('domains')
    .where('name', '=', name)
    .select('authentication_type')
    .executeTakeFirst();
  return row === undefined ? undefined : { name, isFederated: row.authentication_type === 'Federated' };
}

export async function isNameTaken(queries: Queries, userPrincipalName: string): Promise<boolean> {
  const row = await queries
    .selectFrom('users')
    .where('upn_key', '=', userPrincipalNameKey(userPrincipalName))
    .where('deleted_at', 'is', null)
    .select('id')
    .executeTakeFirst();
  return row !== undefined;
}

/** Whether a write failed since another row has the name: PostgreSQL's 23505, SQLite's SQLITE_CONSTRAINT_UNIQUE. */
export function isUniqueViolation(error: unknown): boolean {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
  const code = cause !== undefined && 'code' in cause ? String(cause.code) : '';
  return code === '23505' || code.startsWith('SQLITE_CONSTRAINT_UNIQUE');
}
