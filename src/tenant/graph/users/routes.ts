/** `/users` and `/me`, to be read. Changes are in user-changes.ts. */

import type { TenantDatabase } from '../../store/database.js';
import { userPrincipalNameKey } from '../../store/store.js';
import { denied, notFound, unsupportedQuery } from '../error.js';
import { mergePages } from '../odata/alternatives.js';
import { entityReply, LIST_TOP, pageOf, startOf } from '../odata/page.js';
import { collectionOf } from '../odata/resource.js';
import { isPermitted, type Permissions } from '../permissions.js';
import { type GraphCall, type GraphReply, route } from '../route.js';
import { user } from './user.js';
import { countFound, findUsers, SEARCHED, type UserQuery, userQueries } from './user-search.js';
import { compareUsers, countUsers, findUser, orderOf, positionOf, userFilters } from './user-store.js';

const READ_ALL = ['User.Read.All', 'User.ReadWrite.All', 'Directory.Read.All', 'Directory.ReadWrite.All'] as const;
const SELF = ['User.Read', 'User.ReadWrite'] as const;

const readUsers: Permissions = {
  delegated: ['User.ReadBasic.All', ...READ_ALL],
  application: READ_ALL,
};
const readUser: Permissions = { delegated: [...SELF, ...readUsers.delegated], application: READ_ALL };
const readMe: Permissions = { delegated: [...SELF, ...READ_ALL], application: [] };
/** What User.ReadBasic.All shows of others. */
const BASIC: ReadonlySet<string> = new Set(['id', 'displayName', 'givenName', 'surname', 'mail', 'userPrincipalName']);

const one = { properties: user.names, type: user.type };

export const userReadRoutes = [
  route({
    method: 'GET',
    path: '/users',
    operationId: 'user.list',
    tag: 'users',
    summary:
      'Users, 100 or $top a page; in the order of their making, or of names with startswith(userPrincipalName, …).',
    permissions: readUsers,
    query: {
      ...one,
      filter: userFilters,
      or: true,
      search: SEARCHED,
      top: LIST_TOP,
      count: true,
      orderBy: ['userPrincipalName'],
    },
    reply: { status: 200, description: 'A page of users.', schema: collectionOf(user.schema) },
    async handle(call) {
      const { orderBy, select, top, count } = call.query;
      demandProperties(call, readAll);
      const searches = searchesOf(call);
      const order = orderOf(
        searches.flatMap(({ conditions }) => conditions),
        orderBy,
      );
      const start = await startOf(call);
      const { database } = call.services;
      const limit = top + 1;
      const rows = await mergePages(searches, (one) => findUsers(database, one, { order, start, limit }), {
        compare: compareUsers(order),
        limit,
      });
      return pageOf(call, 'users', rows, {
        positionOf: positionOf(order),
        toResource: (row) => user.toJson(row, select),
        count: count && call.eventual ? await countOf(database, searches) : undefined,
      });
    },
  }),
  route({
    method: 'GET',
    path: '/users/$count',
    operationId: 'user.count',
    tag: 'users',
    summary: 'How many users there are; with the header ConsistencyLevel: eventual.',
    permissions: readUsers,
    query: { filter: userFilters, or: true, search: SEARCHED },
    reply: { status: 200, description: 'A number, as text.' },
    async handle(call) {
      if (!call.eventual) throw unsupportedQuery("$count needs the header 'ConsistencyLevel: eventual'.");
      demandProperties(call, readAll);
      const count = await countOf(call.services.database, searchesOf(call));
      return { status: 200, body: String(count) };
    },
  }),
  route({
    method: 'GET',
    path: '/users/{id}',
    operationId: 'user.get',
    tag: 'users',
    summary: 'A user, by object id or user principal name.',
    permissions: readUser,
    query: one,
    reply: { status: 200, description: 'The user.', schema: user.schema },
    handle: (call) => getUser(call, call.params.id!),
  }),
  route({
    method: 'GET',
    path: '/me',
    operationId: 'me.get',
    tag: 'users',
    summary: 'The signed-in user.',
    permissions: readMe,
    query: one,
    reply: { status: 200, description: 'The user.', schema: user.schema },
    handle: (call) => getUser(call, call.caller.objectId ?? ''),
  }),
];

const readAll: Permissions = { delegated: READ_ALL, application: READ_ALL };
const readSelf: Permissions = { delegated: [...SELF, ...READ_ALL], application: READ_ALL };

async function getUser(call: GraphCall<unknown>, id: string): Promise<GraphReply> {
  const { caller, query } = call;
  const own = caller.objectId !== undefined && caller.objectId === id.toLowerCase();
  // Before looking: who may not see others learns nothing about which there are.
  if (!own && !isPermitted(caller, readUsers)) {
    const row = caller.objectId === undefined ? undefined : await find(call, caller.objectId);
    if (row === undefined || row.upn_key !== userPrincipalNameKey(id)) throw denied();
    return entityReply(call, 'users', user.toJson(row, query.select));
  }
  demandProperties(call, own ? readSelf : readAll);
  const row = await find(call, id);
  if (row === undefined) throw notFound(id);
  return entityReply(call, 'users', user.toJson(row, query.select));
}

/** @throws GraphError 400 */
function searchesOf({ query, eventual }: GraphCall<unknown>): readonly UserQuery[] {
  if (query.search !== undefined && !eventual) {
    throw unsupportedQuery("$search needs the header 'ConsistencyLevel: eventual'.");
  }
  return userQueries(query.alternatives, query.search);
}

const countOf = (database: TenantDatabase, searches: readonly UserQuery[]): Promise<number> =>
  searches.every(({ words }) => words.length === 0)
    ? database.aside((queries) =>
        countUsers(
          queries,
          searches.map(({ conditions }) => conditions),
        ),
      )
    : countFound(database, searches);

const find = (call: GraphCall<unknown>, id: string) => call.services.database.run((queries) => findUser(queries, id));

/** Who has no more than User.ReadBasic.All asks for basic properties alone. @throws GraphError 403 */
function demandProperties({ caller, query }: GraphCall<unknown>, full: Permissions): void {
  if (isPermitted(caller, full)) return;
  const filtered = query.alternatives.flat().map(({ path }) => path);
  if ([...(query.select ?? []), ...filtered].some((name) => !BASIC.has(name))) throw denied();
}
