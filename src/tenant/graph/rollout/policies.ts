/** `/policies/featureRolloutPolicies`: staged rollout, the groups of federated users who sign in here already. */

import { randomUUID } from 'node:crypto';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { AuditEntry } from '../../audit/types.js';
import type { Queries, TenantDatabase } from '../../store/database.js';
import type { RolloutPoliciesTable } from '../../store/tables.js';
import { badRequest, conflict, notFound } from '../error.js';
import { entityReply } from '../odata/page.js';
import { type ReferenceBody, referenceBody, referencedId } from '../odata/reference.js';
import { collectionOf, flag, guid, Resource, text, textOrNull } from '../odata/resource.js';
import { delegatedOnly } from '../permissions.js';
import { type GraphCall, noContent, route } from '../route.js';
import { countMembers, group, lockGroup, MOST_MEMBERS_IN_ROLLOUT } from './groups.js';

const permissions = delegatedOnly('Directory.ReadWrite.All', 'Policy.ReadWrite.HybridAuthentication');

/** The limits that Entra documents for staged rollout. */
const MOST_GROUPS = 10;
const MOST_MEMBERS_AT_FIRST = 200;

const FEATURES = [
  'passthroughAuthentication',
  'seamlessSso',
  'passwordHashSync',
  'emailAsAlternateId',
  'certificateBasedAuthentication',
  'multiFactorAuthentication',
] as const;
/** A user cannot be in both. */
const EXCLUSIVE: readonly string[] = ['passwordHashSync', 'passthroughAuthentication'];

type PolicyRow = Selectable<RolloutPoliciesTable>;

const policy = new Resource<PolicyRow>('featureRolloutPolicy', {
  id: { of: (row) => row.policy_id, schema: guid },
  displayName: { of: (row) => row.display_name, schema: text },
  description: { of: (row) => row.description, schema: textOrNull },
  feature: { of: (row) => row.feature, schema: z.enum(FEATURES) },
  isEnabled: { of: (row) => row.is_enabled === 1, schema: flag },
  isAppliedToOrganization: { of: (row) => row.is_applied_to_organization === 1, schema: flag },
});

const line = (most: number) =>
  z
    .string()
    .max(most)
    .refine((value) => !value.includes('\0'), 'a NUL character is not allowed');
const newPolicy = z
  .strictObject({
    displayName: line(256).min(1),
    description: line(1024).nullable().optional(),
    feature: z.enum(FEATURES),
    isEnabled: z.boolean(),
    isAppliedToOrganization: z.boolean().default(false),
  })
  .meta({ id: 'newFeatureRolloutPolicy' });
const policyChanges = z
  .strictObject({
    displayName: line(256).min(1).optional(),
    description: line(1024).nullable().optional(),
    isEnabled: z.boolean().optional(),
    isAppliedToOrganization: z.boolean().optional(),
  })
  .meta({ id: 'featureRolloutPolicyChanges' });

const PATH = '/policies/featureRolloutPolicies';
const FRAGMENT = 'policies/featureRolloutPolicies';
const one = { properties: policy.names, type: policy.type };
const tag = 'policies';

export const rolloutRoutes = [
  route({
    method: 'GET',
    path: PATH,
    operationId: 'featureRolloutPolicy.list',
    tag,
    summary: 'All policies of staged rollout: one a feature.',
    permissions,
    query: one,
    reply: { status: 200, description: 'All policies.', schema: collectionOf(policy.schema) },
    async handle(call) {
      const rows = await call.services.database.run((queries) =>
        queries.selectFrom('rollout_policies').selectAll().orderBy('created_at').orderBy('policy_id').execute(),
      );
      const value = rows.map((row) => policy.toJson(row, call.query.select));
      return { status: 200, body: { '@odata.context': call.contextUrl(FRAGMENT), value } };
    },
  }),
  route<z.output<typeof newPolicy>>({
    method: 'POST',
    path: PATH,
    operationId: 'featureRolloutPolicy.create',
    tag,
    summary: 'Staged rollout of a feature. Only passwordHashSync has an effect on who signs in here.',
    permissions,
    body: newPolicy,
    reply: { status: 201, description: 'The policy.', schema: policy.schema },
    async handle(call) {
      const { services, body } = call;
      const row: PolicyRow = {
        policy_id: randomUUID(),
        display_name: body.displayName,
        description: body.description ?? null,
        feature: body.feature,
        is_enabled: Number(body.isEnabled),
        is_applied_to_organization: Number(body.isAppliedToOrganization),
        created_at: services.now().getTime(),
      };
      await services.database.transaction(async (queries) => {
        await lockTenant(queries, services.database.dialect);
        if (body.isEnabled) await checkExclusive(queries, row);
        const inserted = await queries
          .insertInto('rollout_policies')
          .values(row)
          .onConflict((anyOf) => anyOf.column('feature').doNothing())
          .returning('policy_id')
          .executeTakeFirst();
        if (inserted === undefined) throw conflict('feature');
        await record(call, queries, 'Add feature rollout policy', row, {
          feature: { new: row.feature },
          isEnabled: { new: body.isEnabled },
        });
      });
      services.realms.refresh();
      return entityReply(call, FRAGMENT, policy.toJson(row, undefined), 201);
    },
  }),
  route({
    method: 'GET',
    path: `${PATH}/{id}`,
    operationId: 'featureRolloutPolicy.get',
    tag,
    summary: 'A policy of staged rollout.',
    permissions,
    query: one,
    reply: { status: 200, description: 'The policy.', schema: policy.schema },
    async handle(call) {
      const row = await call.services.database.run((queries) => findPolicy(queries, call.params.id!));
      return entityReply(call, FRAGMENT, policy.toJson(row, call.query.select));
    },
  }),
  route<z.output<typeof policyChanges>>({
    method: 'PATCH',
    path: `${PATH}/{id}`,
    operationId: 'featureRolloutPolicy.update',
    tag,
    summary: 'Changes a policy, or switches it on or off.',
    permissions,
    body: policyChanges,
    reply: { status: 204, description: 'Changed.' },
    async handle(call) {
      const { services, body } = call;
      await services.database.transaction(async (queries) => {
        await lockTenant(queries, services.database.dialect);
        const before = await findPolicy(queries, call.params.id!);
        const after: PolicyRow = {
          ...before,
          display_name: body.displayName ?? before.display_name,
          description: body.description === undefined ? before.description : body.description,
          is_enabled: Number(body.isEnabled ?? before.is_enabled === 1),
          is_applied_to_organization: Number(body.isAppliedToOrganization ?? before.is_applied_to_organization === 1),
        };
        if (after.is_enabled === 1) await checkExclusive(queries, after);
        await queries.updateTable('rollout_policies').set(after).where('policy_id', '=', before.policy_id).execute();
        const names = Object.keys(body);
        const [was, is] = [policy.toJson(before, names), policy.toJson(after, names)];
        const details = Object.fromEntries(names.map((name) => [name, { old: was[name], new: is[name] }]));
        await record(call, queries, 'Update feature rollout policy', before, details);
      });
      services.realms.refresh();
      return noContent;
    },
  }),
  route({
    method: 'DELETE',
    path: `${PATH}/{id}`,
    operationId: 'featureRolloutPolicy.delete',
    tag,
    summary: "Ends a feature's staged rollout.",
    permissions,
    reply: { status: 204, description: 'Deleted.' },
    async handle(call) {
      await call.services.database.transaction(async (queries) => {
        const row = await findPolicy(queries, call.params.id!);
        await queries.deleteFrom('rollout_policies').where('policy_id', '=', row.policy_id).execute();
        await record(call, queries, 'Delete feature rollout policy', row, {});
      });
      call.services.realms.refresh();
      return noContent;
    },
  }),
  route({
    method: 'GET',
    path: `${PATH}/{id}/appliesTo`,
    operationId: 'featureRolloutPolicy.appliesTo.list',
    tag,
    summary: 'The groups that a policy applies to.',
    permissions,
    reply: { status: 200, description: 'At most ten groups.', schema: collectionOf(group.schema) },
    async handle(call) {
      const rows = await call.services.database.run(async (queries) => {
        const { policy_id } = await findPolicy(queries, call.params.id!);
        return queries
          .selectFrom('rollout_groups')
          .innerJoin('groups', 'groups.group_id', 'rollout_groups.group_id')
          .selectAll('groups')
          .where('policy_id', '=', policy_id)
          .orderBy('added_at')
          .orderBy('groups.group_id')
          .execute();
      });
      const value = rows.map((row) => ({ '@odata.type': '#microsoft.graph.group', ...group.toJson(row, undefined) }));
      return { status: 200, body: { '@odata.context': call.contextUrl('directoryObjects'), value } };
    },
  }),
  route<ReferenceBody>({
    method: 'POST',
    path: `${PATH}/{id}/appliesTo/$ref`,
    operationId: 'featureRolloutPolicy.appliesTo.add',
    tag,
    summary: 'Lets a policy apply to a group: ten groups a feature, at most 200 members when it is added.',
    permissions,
    body: referenceBody,
    reply: { status: 201, description: 'Added.', schema: z.object({ directoryObject: z.unknown() }) },
    async handle(call) {
      const groupId = referencedId(call.body);
      await call.services.database.transaction((queries) => addGroup(call, queries, groupId));
      return { status: 201, body: { directoryObject: { id: groupId, objectType: 'group' } } };
    },
  }),
  route({
    method: 'DELETE',
    path: `${PATH}/{id}/appliesTo/{groupId}/$ref`,
    operationId: 'featureRolloutPolicy.appliesTo.remove',
    tag,
    summary: 'Lets a policy no longer apply to a group.',
    permissions,
    reply: { status: 204, description: 'Removed.' },
    async handle(call) {
      const { services, params } = call;
      await services.database.transaction(async (queries) => {
        const row = await findPolicy(queries, params.id!);
        const removed = await queries
          .deleteFrom('rollout_groups')
          .where('policy_id', '=', row.policy_id)
          .where('group_id', '=', params.groupId!.toLowerCase())
          .returning('group_id')
          .executeTakeFirst();
        if (removed === undefined) throw notFound(params.groupId!);
        await record(call, queries, 'Remove group from feature rollout', row, { group: { old: removed.group_id } });
      });
      return noContent;
    },
  }),
];

async function addGroup(call: GraphCall<ReferenceBody>, queries: Queries, groupId: string): Promise<void> {
  const { services, params } = call;
  const { dialect } = services.database;
  await lockTenant(queries, dialect);
  const row = await findPolicy(queries, params.id!);
  const { display_name } = await lockGroup(queries, groupId, dialect);
  const there = await queries
    .selectFrom('rollout_groups')
    .select('group_id')
    .where('policy_id', '=', row.policy_id)
    .execute();
  if (there.some(({ group_id }) => group_id === groupId)) {
    throw badRequest("One or more added object references already exist for the property: 'appliesTo'.");
  }
  if (there.length >= MOST_GROUPS) throw badRequest(`A feature has at most ${MOST_GROUPS} groups in staged rollout.`);
  const members = await countMembers(queries, groupId);
  if (members > MOST_MEMBERS_AT_FIRST) {
    throw badRequest(
      `The group has ${members} members: at most ${MOST_MEMBERS_AT_FIRST} when it is added to staged rollout, ` +
        `and up to ${MOST_MEMBERS_IN_ROLLOUT} afterwards.`,
    );
  }
  await queries
    .insertInto('rollout_groups')
    .values({ policy_id: row.policy_id, group_id: groupId, added_at: services.now().getTime() })
    .execute();
  await record(call, queries, 'Add group to feature rollout', row, {
    group: { new: groupId },
    groupName: display_name,
  });
}

/** Policies are compared with one another: one change at a time. SQLite has one writer as it is. */
async function lockTenant(queries: Queries, dialect: TenantDatabase['dialect']): Promise<void> {
  if (dialect === 'postgres') await queries.selectFrom('tenant').select('id').forUpdate().execute();
}

async function checkExclusive(queries: Queries, { feature, policy_id }: PolicyRow): Promise<void> {
  if (!EXCLUSIVE.includes(feature)) return;
  const other = await queries
    .selectFrom('rollout_policies')
    .select('feature')
    .where('feature', 'in', EXCLUSIVE)
    .where('feature', '!=', feature)
    .where('policy_id', '!=', policy_id)
    .where('is_enabled', '=', 1)
    .executeTakeFirst();
  if (other !== undefined) {
    throw badRequest(
      `${feature} cannot be enabled: staged rollout of it together with ${other.feature} is not supported.`,
    );
  }
}

/** @throws GraphError 404 */
async function findPolicy(queries: Queries, id: string): Promise<PolicyRow> {
  const row = await queries
    .selectFrom('rollout_policies')
    .selectAll()
    .where('policy_id', '=', id.toLowerCase())
    .executeTakeFirst();
  if (row === undefined) throw notFound(id);
  return row;
}

async function record(
  { services, actor, correlationId }: GraphCall<unknown>,
  queries: Queries,
  activity: string,
  { policy_id, display_name }: PolicyRow,
  details: NonNullable<AuditEntry['details']>,
): Promise<void> {
  await services.audit.record(
    {
      actor,
      activity,
      category: 'Policy',
      target: { kind: 'Policy', id: policy_id, name: display_name },
      result: 'success',
      details,
      correlationId,
    },
    queries,
  );
}
