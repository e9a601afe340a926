/** `/identityProtection`: users at risk, and what was detected. */

import { randomUUID } from 'node:crypto';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { Queries } from '../../store/database.js';
import type { RiskEventsTable, RiskyUsersTable } from '../../store/tables.js';
import { notFound } from '../error.js';
import type { Condition, FilterTable } from '../odata/filter.js';
import { entityReply, iso, LIST_TOP, pageOf, startOf } from '../odata/page.js';
import { collectionOf, flag, guid, Resource, text, textOrNull, time } from '../odata/resource.js';
import { both } from '../permissions.js';
import { type GraphCall, type GraphReply, noContent, route } from '../route.js';
import { userIdOf } from '../users/user-store.js';

const WRITE = 'IdentityRiskyUser.ReadWrite.All';
const read = both('IdentityRiskyUser.Read.All', WRITE);
const write = both(WRITE);
const readEvents = both('IdentityRiskEvent.Read.All', 'IdentityRiskEvent.ReadWrite.All');

/** Of dismiss and confirmCompromised, in Graph. */
const MOST_USERS = 60;

interface Owner {
  readonly object_id: string;
  readonly user_principal_name: string;
  readonly display_name: string | null;
}
type RiskyUserRow = Selectable<RiskyUsersTable> & Owner & { readonly deleted_at: number | null };
type RiskEventRow = Selectable<RiskEventsTable> & Owner & { readonly risk_state: string | null };

const riskyUser = new Resource<RiskyUserRow>('riskyUser', {
  id: { of: (row) => row.object_id, schema: guid },
  isDeleted: { of: (row) => row.deleted_at !== null, schema: flag },
  isProcessing: { of: () => false, schema: flag },
  riskLevel: { of: (row) => row.risk_level, schema: text },
  riskState: { of: (row) => row.risk_state, schema: text },
  riskDetail: { of: (row) => row.risk_detail, schema: text },
  riskLastUpdatedDateTime: { of: (row) => iso(row.updated_at), schema: time },
  userDisplayName: { of: (row) => row.display_name, schema: textOrNull },
  userPrincipalName: { of: (row) => row.user_principal_name, schema: text },
});

const riskDetection = new Resource<RiskEventRow>('riskDetection', {
  id: { of: (row) => row.event_id, schema: text },
  riskEventType: { of: (row) => row.type, schema: text },
  riskLevel: { of: (row) => row.level, schema: text },
  riskState: { of: (row) => row.risk_state ?? 'none', schema: text },
  detectionTimingType: { of: () => 'offline', schema: text },
  activity: { of: () => 'user', schema: text },
  detectedDateTime: { of: (row) => iso(row.detected_at), schema: time },
  activityDateTime: { of: (row) => iso(row.detected_at), schema: time },
  userId: { of: (row) => row.object_id, schema: guid },
  userDisplayName: { of: (row) => row.display_name, schema: textOrNull },
  userPrincipalName: { of: (row) => row.user_principal_name, schema: text },
});

const riskFilters: FilterTable = {
  riskLevel: { type: 'string', operators: ['eq'] },
  riskState: { type: 'string', operators: ['eq'] },
  riskLastUpdatedDateTime: { type: 'dateTime', operators: ['ge', 'gt', 'le', 'lt'] },
};
const eventFilters: FilterTable = {
  userId: { type: 'string', operators: ['eq'] },
  riskEventType: { type: 'string', operators: ['eq'] },
  riskLevel: { type: 'string', operators: ['eq'] },
  detectedDateTime: { type: 'dateTime', operators: ['ge', 'gt', 'le', 'lt'] },
};

const userIds = z.strictObject({ userIds: z.array(z.guid()).min(1).max(MOST_USERS) }).meta({ id: 'riskyUserIds' });
type UserIds = z.output<typeof userIds>;

const PATH = '/identityProtection/riskyUsers';
const FRAGMENT = 'identityProtection/riskyUsers';
const tag = 'identityProtection';
const one = { properties: riskyUser.names, type: riskyUser.type };

export const riskRoutes = [
  route({
    method: 'GET',
    path: PATH,
    operationId: 'riskyUser.list',
    tag,
    summary: 'Users who are or were at risk.',
    permissions: read,
    query: { ...one, filter: riskFilters, top: LIST_TOP },
    reply: { status: 200, description: 'A page of risky users.', schema: collectionOf(riskyUser.schema) },
    async handle(call) {
      const { conditions, top, select } = call.query;
      const start = await startOf(call);
      const rows = await call.services.database.aside((queries) =>
        filterRisk(selectRisky(queries), conditions)
          .where('risky_users.user_id', '>', Number(start?.[0] ?? 0))
          .orderBy('risky_users.user_id')
          .limit(top + 1)
          .execute(),
      );
      return pageOf(call, FRAGMENT, rows, {
        positionOf: (row) => [row.user_id],
        toResource: (row) => riskyUser.toJson(row, select),
      });
    },
  }),
  route({
    method: 'GET',
    path: `${PATH}/{id}`,
    operationId: 'riskyUser.get',
    tag,
    summary: 'A user who is or was at risk.',
    permissions: read,
    query: one,
    reply: { status: 200, description: 'The risky user.', schema: riskyUser.schema },
    async handle(call) {
      const id = call.params.id!;
      const row = await call.services.database.run((queries) =>
        selectRisky(queries).where('users.object_id', '=', id.toLowerCase()).executeTakeFirst(),
      );
      if (row === undefined) throw notFound(id);
      return entityReply(call, FRAGMENT, riskyUser.toJson(row, call.query.select));
    },
  }),
  route<UserIds>({
    method: 'POST',
    path: `${PATH}/dismiss`,
    operationId: 'riskyUser.dismiss',
    tag,
    summary: "Ends users' risk.",
    permissions: write,
    body: userIds,
    reply: { status: 204, description: 'Dismissed.' },
    handle: (call) =>
      setRisk(call, 'Dismiss user risk', {
        risk_level: 'none',
        risk_state: 'dismissed',
        risk_detail: 'adminDismissedAllRiskForUser',
      }),
  }),
  route<UserIds>({
    method: 'POST',
    path: `${PATH}/confirmCompromised`,
    operationId: 'riskyUser.confirmCompromised',
    tag,
    summary: 'Puts users at high risk.',
    permissions: write,
    body: userIds,
    reply: { status: 204, description: 'Confirmed.' },
    handle: (call) =>
      setRisk(call, 'Confirm user compromised', {
        risk_level: 'high',
        risk_state: 'confirmedCompromised',
        risk_detail: 'adminConfirmedUserCompromised',
      }),
  }),
  route({
    method: 'GET',
    path: '/identityProtection/riskDetections',
    operationId: 'riskDetection.list',
    tag,
    summary: 'What was detected, newest first.',
    permissions: readEvents,
    query: { properties: riskDetection.names, type: riskDetection.type, filter: eventFilters, top: LIST_TOP },
    reply: { status: 200, description: 'A page of detections.', schema: collectionOf(riskDetection.schema) },
    async handle(call) {
      const { conditions, top, select } = call.query;
      const start = await startOf(call);
      const rows = await call.services.database.aside(async (queries) => {
        const events = filterEvents(selectEvents(queries), conditions);
        const from = start === undefined ? events : events.where('risk_events.id', '<', Number(start[0]));
        return from
          .orderBy('risk_events.id', 'desc')
          .limit(top + 1)
          .execute();
      });
      return pageOf(call, 'identityProtection/riskDetections', rows, {
        positionOf: (row) => [row.id],
        toResource: (row) => riskDetection.toJson(row, select),
      });
    },
  }),
];

const OWNER = ['users.object_id', 'users.user_principal_name', 'users.display_name'] as const;

const selectRisky = (queries: Queries) =>
  queries
    .selectFrom('risky_users')
    .innerJoin('users', 'users.id', 'risky_users.user_id')
    .selectAll('risky_users')
    .select([...OWNER, 'users.deleted_at']);

const selectEvents = (queries: Queries) =>
  queries
    .selectFrom('risk_events')
    .innerJoin('users', 'users.id', 'risk_events.user_id')
    .leftJoin('risky_users', 'risky_users.user_id', 'risk_events.user_id')
    .selectAll('risk_events')
    .select([...OWNER, 'risky_users.risk_state']);

const COMPARISON = { eq: '=', ge: '>=', gt: '>', le: '<=', lt: '<' } as const;
type Compared = keyof typeof COMPARISON;

function filterRisk(query: ReturnType<typeof selectRisky>, conditions: readonly Condition[]) {
  for (const { path, operator, values } of conditions) {
    const [value] = values;
    if (path === 'riskLevel') query = query.where('risky_users.risk_level', '=', String(value));
    else if (path === 'riskState') query = query.where('risky_users.risk_state', '=', String(value));
    else query = query.where('risky_users.updated_at', COMPARISON[operator as Compared], (value as Date).getTime());
  }
  return query;
}

function filterEvents(query: ReturnType<typeof selectEvents>, conditions: readonly Condition[]) {
  for (const { path, operator, values } of conditions) {
    const [value] = values;
    if (path === 'userId') query = query.where('users.object_id', '=', String(value).toLowerCase());
    else if (path === 'riskEventType') query = query.where('risk_events.type', '=', String(value));
    else if (path === 'riskLevel') query = query.where('risk_events.level', '=', String(value));
    else query = query.where('risk_events.detected_at', COMPARISON[operator as Compared], (value as Date).getTime());
  }
  return query;
}

type Risk = Pick<RiskyUsersTable, 'risk_level' | 'risk_state' | 'risk_detail'>;

/** All of the users or, where one is not there, none. */
async function setRisk(call: GraphCall<UserIds>, activity: string, risk: Risk): Promise<GraphReply> {
  const { services, actor, correlationId, body } = call;
  const now = services.now().getTime();
  await services.database.transaction(async (queries) => {
    // In one order, so that two such requests cannot wait for each other.
    for (const objectId of [...new Set(body.userIds.map((id) => id.toLowerCase()))].sort()) {
      const userId = await userIdOf(queries, objectId);
      if (userId === undefined) throw notFound(objectId);
      const row = { ...risk, updated_at: now };
      await queries
        .insertInto('risky_users')
        .values({ user_id: userId, ...row })
        .onConflict((same) => same.column('user_id').doUpdateSet(row))
        .execute();
      if (risk.risk_state === 'confirmedCompromised') {
        const event = { event_id: randomUUID(), type: 'adminConfirmedUserCompromised', level: 'high' };
        await queries
          .insertInto('risk_events')
          .values({ ...event, user_id: userId, detected_at: now })
          .execute();
      }
      await services.audit.record(
        {
          actor,
          activity,
          category: 'Risk',
          target: { kind: 'User', id: objectId },
          result: 'success',
          details: { riskState: { new: risk.risk_state }, riskLevel: { new: risk.risk_level } },
          correlationId,
        },
        queries,
      );
    }
  });
  return noContent;
}
