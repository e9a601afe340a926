/** `/groups` with their members: as much as staged rollout needs. */

import { randomUUID } from 'node:crypto';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { AuditEntry } from '../../audit/types.js';
import type { Queries, TenantDatabase } from '../../store/database.js';
import type { GroupsTable } from '../../store/tables.js';
import { badRequest, notFound, unsupportedQuery } from '../error.js';
import type { Condition, FilterTable } from '../odata/filter.js';
import { entityReply, iso, LIST_TOP, pageOf, startOf } from '../odata/page.js';
import { type ReferenceBody, referenceBody, referencedId } from '../odata/reference.js';
import { collectionOf, flag, guid, Resource, text, textOrNull, time } from '../odata/resource.js';
import { both } from '../permissions.js';
import { type GraphCall, noContent, route } from '../route.js';
import { user } from '../users/user.js';
import { selectUsers, userIdOf } from '../users/user-store.js';

const DIRECTORY = ['Directory.Read.All', 'Directory.ReadWrite.All'] as const;
const read = both('GroupMember.Read.All', 'Group.Read.All', 'Group.ReadWrite.All', ...DIRECTORY);
const write = both('Group.ReadWrite.All', 'Directory.ReadWrite.All');
const writeMembers = both('GroupMember.ReadWrite.All', 'Group.ReadWrite.All', 'Directory.ReadWrite.All');

/** Of a group that staged rollout applies to (its documentation's limits). */
export const MOST_MEMBERS_IN_ROLLOUT = 50_000;

export type GroupRow = Selectable<GroupsTable>;

export const group = new Resource<GroupRow>('group', {
  id: { of: (row) => row.group_id, schema: guid },
  displayName: { of: (row) => row.display_name, schema: text },
  description: { of: (row) => row.description, schema: textOrNull },
  createdDateTime: { of: (row) => iso(row.created_at), schema: time },
  groupTypes: { of: () => [], schema: z.array(z.string()) },
  mailEnabled: { of: () => false, schema: flag },
  securityEnabled: { of: () => true, schema: flag },
});

const line = (most: number) =>
  z
    .string()
    .max(most)
    .refine((value) => !value.includes('\0'), 'a NUL character is not allowed');
const newGroup = z
  .strictObject({
    displayName: line(256).min(1),
    description: line(1024).nullable().optional(),
    mailEnabled: z.literal(false, 'expected false: the tenant has security groups alone').default(false),
    // Graph demands it; the tenant has no mailboxes and does not keep it.
    mailNickname: line(64).optional(),
    securityEnabled: z.literal(true, 'expected true: the tenant has security groups alone').default(true),
    groupTypes: z.array(z.never('dynamic and Microsoft 365 groups are not offered')).default([]),
  })
  .meta({ id: 'newGroup' });
const groupChanges = z
  .strictObject({ displayName: line(256).min(1).optional(), description: line(1024).nullable().optional() })
  .meta({ id: 'groupChanges' });

const one = { properties: group.names, type: group.type };
const groupFilters: FilterTable = { displayName: { type: 'string', operators: ['eq', 'startswith'] } };
const directoryObject = user.schema;

export const groupRoutes = [
  route({
    method: 'GET',
    path: '/groups',
    operationId: 'group.list',
    tag: 'groups',
    summary: 'Groups, in the order of their ids.',
    permissions: read,
    query: { ...one, filter: groupFilters, top: LIST_TOP },
    reply: { status: 200, description: 'A page of groups.', schema: collectionOf(group.schema) },
    async handle(call) {
      const { conditions, select, top } = call.query;
      const start = await startOf(call);
      const rows = await call.services.database.aside((queries) => {
        const groups = filterGroups(queries.selectFrom('groups').selectAll(), conditions);
        const from = start === undefined ? groups : groups.where('group_id', '>', String(start[0]));
        return from
          .orderBy('group_id')
          .limit(top + 1)
          .execute();
      });
      return pageOf(call, 'groups', rows, {
        positionOf: (row) => [row.group_id],
        toResource: (row) => group.toJson(row, select),
      });
    },
  }),
  route<z.output<typeof newGroup>>({
    method: 'POST',
    path: '/groups',
    operationId: 'group.create',
    tag: 'groups',
    summary: 'A security group.',
    permissions: write,
    body: newGroup,
    reply: { status: 201, description: 'The group.', schema: group.schema },
    async handle(call) {
      const { services, body } = call;
      const row: GroupRow = {
        group_id: randomUUID(),
        display_name: body.displayName,
        description: body.description ?? null,
        created_at: services.now().getTime(),
      };
      await services.database.transaction(async (queries) => {
        await queries.insertInto('groups').values(row).execute();
        await record(call, queries, 'Add group', row, { displayName: { new: row.display_name } });
      });
      return entityReply(call, 'groups', group.toJson(row, undefined), 201);
    },
  }),
  route({
    method: 'GET',
    path: '/groups/{id}',
    operationId: 'group.get',
    tag: 'groups',
    summary: 'A group.',
    permissions: read,
    query: one,
    reply: { status: 200, description: 'The group.', schema: group.schema },
    async handle(call) {
      const row = await call.services.database.run((queries) => findGroup(queries, call.params.id!));
      return entityReply(call, 'groups', group.toJson(row, call.query.select));
    },
  }),
  route<z.output<typeof groupChanges>>({
    method: 'PATCH',
    path: '/groups/{id}',
    operationId: 'group.update',
    tag: 'groups',
    summary: "Changes a group's name or description.",
    permissions: write,
    body: groupChanges,
    reply: { status: 204, description: 'Changed.' },
    async handle(call) {
      const { displayName, description } = call.body;
      await call.services.database.transaction(async (queries) => {
        const before = await findGroup(queries, call.params.id!);
        const after = {
          display_name: displayName ?? before.display_name,
          description: description === undefined ? before.description : description,
        };
        await queries.updateTable('groups').set(after).where('group_id', '=', before.group_id).execute();
        await record(call, queries, 'Update group', before, {
          displayName: { old: before.display_name, new: after.display_name },
          description: { old: before.description, new: after.description },
        });
      });
      return noContent;
    },
  }),
  route({
    method: 'DELETE',
    path: '/groups/{id}',
    operationId: 'group.delete',
    tag: 'groups',
    summary: 'Deletes a group; staged rollout no longer applies to its members.',
    permissions: write,
    reply: { status: 204, description: 'Deleted.' },
    async handle(call) {
      await call.services.database.transaction(async (queries) => {
        const row = await findGroup(queries, call.params.id!);
        await queries.deleteFrom('groups').where('group_id', '=', row.group_id).execute();
        await record(call, queries, 'Delete group', row, {});
      });
      return noContent;
    },
  }),
  route({
    method: 'GET',
    path: '/groups/{id}/members',
    operationId: 'group.members.list',
    tag: 'groups',
    summary: "A group's members, in the order in which the users were made.",
    permissions: read,
    query: { properties: user.names, type: user.type, top: LIST_TOP },
    reply: { status: 200, description: 'A page of users.', schema: collectionOf(directoryObject) },
    async handle(call) {
      const { select, top } = call.query;
      const start = await startOf(call);
      const rows = await call.services.database.aside(async (queries) => {
        const { group_id } = await findGroup(queries, call.params.id!);
        return selectUsers(queries)
          .innerJoin('group_members', 'group_members.user_id', 'users.id')
          .where('group_members.group_id', '=', group_id)
          .where('group_members.user_id', '>', Number(start?.[0] ?? 0))
          .orderBy('group_members.user_id')
          .limit(top + 1)
          .execute();
      });
      return pageOf(call, 'directoryObjects', rows, {
        positionOf: (row) => [row.id],
        toResource: (row) => ({ '@odata.type': '#microsoft.graph.user', ...user.toJson(row, select) }),
      });
    },
  }),
  route({
    method: 'GET',
    path: '/groups/{id}/members/$count',
    operationId: 'group.members.count',
    tag: 'groups',
    summary: 'How many members a group has; with the header ConsistencyLevel: eventual.',
    permissions: read,
    reply: { status: 200, description: 'A number, as text.' },
    async handle({ services, params, eventual }) {
      if (!eventual) throw unsupportedQuery("$count needs the header 'ConsistencyLevel: eventual'.");
      const count = await services.database.aside(async (queries) =>
        countMembers(queries, (await findGroup(queries, params.id!)).group_id),
      );
      return { status: 200, body: String(count) };
    },
  }),
  route<ReferenceBody>({
    method: 'POST',
    path: '/groups/{id}/members/$ref',
    operationId: 'group.members.add',
    tag: 'groups',
    summary: 'Adds a user to a group.',
    permissions: writeMembers,
    body: referenceBody,
    reply: { status: 204, description: 'Added.' },
    async handle(call) {
      const { services, params, body } = call;
      const objectId = referencedId(body);
      await services.database.transaction(async (queries) => {
        const row = await lockGroup(queries, params.id!, services.database.dialect);
        const userId = await userIdOf(queries, objectId);
        // A group in a group, or what is no object: neither is a user.
        if (userId === undefined) throw notFound(objectId);
        await checkRoom(queries, row.group_id);
        const added = await queries
          .insertInto('group_members')
          .values({ group_id: row.group_id, user_id: userId })
          .onConflict((anyOf) => anyOf.doNothing())
          .returning('user_id')
          .executeTakeFirst();
        if (added === undefined) {
          throw badRequest("One or more added object references already exist for the property: 'members'.");
        }
        await record(call, queries, 'Add member to group', row, { member: { new: objectId } });
      });
      return noContent;
    },
  }),
  route({
    method: 'DELETE',
    path: '/groups/{id}/members/{memberId}/$ref',
    operationId: 'group.members.remove',
    tag: 'groups',
    summary: 'Takes a user out of a group.',
    permissions: writeMembers,
    reply: { status: 204, description: 'Removed.' },
    async handle(call) {
      const { services, params } = call;
      await services.database.transaction(async (queries) => {
        const row = await findGroup(queries, params.id!);
        const userId = await userIdOf(queries, params.memberId!);
        const removed = await queries
          .deleteFrom('group_members')
          .where('group_id', '=', row.group_id)
          .where('user_id', '=', userId ?? -1)
          .returning('user_id')
          .executeTakeFirst();
        if (removed === undefined) throw notFound(params.memberId!);
        await record(call, queries, 'Remove member from group', row, { member: { old: params.memberId } });
      });
      return noContent;
    },
  }),
];

/** @throws GraphError 404 */
async function findGroup(queries: Queries, id: string): Promise<GroupRow> {
  const row = await queries
    .selectFrom('groups')
    .selectAll()
    .where('group_id', '=', id.toLowerCase())
    .executeTakeFirst();
  if (row === undefined) throw notFound(id);
  return row;
}

/** Who counts members holds the group until the transaction ends. @throws GraphError 404 */
export async function lockGroup(queries: Queries, id: string, dialect: TenantDatabase['dialect']): Promise<GroupRow> {
  if (dialect === 'postgres') {
    await queries
      .selectFrom('groups')
      .select('group_id')
      .where('group_id', '=', id.toLowerCase())
      .forUpdate()
      .execute();
  }
  return findGroup(queries, id);
}

export async function countMembers(queries: Queries, groupId: string): Promise<number> {
  const { count } = await queries
    .selectFrom('group_members')
    .innerJoin('users', 'users.id', 'group_members.user_id')
    .where('group_members.group_id', '=', groupId)
    .where('users.deleted_at', 'is', null)
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** @throws GraphError 400 where staged rollout applies to the group and it is full. */
async function checkRoom(queries: Queries, groupId: string): Promise<void> {
  const inRollout = await queries
    .selectFrom('rollout_groups')
    .select('policy_id')
    .where('group_id', '=', groupId)
    .executeTakeFirst();
  if (inRollout !== undefined && (await countMembers(queries, groupId)) >= MOST_MEMBERS_IN_ROLLOUT) {
    throw badRequest(`A group of staged rollout has at most ${MOST_MEMBERS_IN_ROLLOUT} members.`);
  }
}

function filterGroups<Q extends { where: unknown }>(query: Q, conditions: readonly Condition[]): Q {
  type Filterable = { where(column: 'display_name', operator: '=' | '>=' | '<=', value: string): Filterable };
  let filtered = query as unknown as Filterable;
  for (const { operator, values } of conditions) {
    const value = String(values[0]);
    if (operator === 'eq') filtered = filtered.where('display_name', '=', value);
    else filtered = filtered.where('display_name', '>=', value).where('display_name', '<=', `${value}\u{10ffff}`);
  }
  return filtered as unknown as Q;
}

async function record(
  { services, actor, correlationId }: GraphCall<unknown>,
  queries: Queries,
  activity: string,
  { group_id, display_name }: GroupRow,
  details: NonNullable<AuditEntry['details']>,
): Promise<void> {
  await services.audit.record(
    {
      actor,
      activity,
      category: 'GroupManagement',
      target: { kind: 'Group', id: group_id, name: display_name },
      result: 'success',
      details,
      correlationId,
    },
    queries,
  );
}
