/** `/auditLogs/directoryAudits`: every administrative act, newest first. */

import { type Selectable, sql } from 'kysely';
import { z } from 'zod';
import type { Queries } from '../../store/database.js';
import type { AuditEventsTable } from '../../store/tables.js';
import { notFound } from '../error.js';
import { mergePages } from '../odata/alternatives.js';
import type { Condition, FilterTable } from '../odata/filter.js';
import { entityReply, iso, LIST_TOP, pageOf, startOf } from '../odata/page.js';
import { collectionOf, Resource, text, textOrNull, time } from '../odata/resource.js';
import { type GraphServices, route } from '../route.js';
import { newestFirst, readLogs } from './sign-ins.js';

/** Beside it the names that who did it has now: a user's also after the deletion, until the row is dropped. */
interface AuditRow extends Selectable<AuditEventsTable> {
  readonly display_name: string | null;
  readonly user_principal_name: string | null;
}
/** An application has its name from the configuration. */
interface NamedAuditRow extends AuditRow {
  readonly applicationName: string;
}

const identity = z.object({ id: textOrNull, displayName: textOrNull, userPrincipalName: textOrNull });
const appIdentity = z.object({ appId: textOrNull, displayName: textOrNull });
const modifiedProperty = z.object({ displayName: text, oldValue: textOrNull, newValue: textOrNull });

const directoryAudit = new Resource<NamedAuditRow>('directoryAudit', {
  id: { of: (row) => row.audit_id, schema: text },
  activityDateTime: { of: (row) => iso(row.at), schema: time },
  activityDisplayName: { of: (row) => row.activity, schema: text },
  category: { of: (row) => row.category, schema: text },
  correlationId: { of: (row) => row.correlation_id, schema: textOrNull },
  result: { of: (row) => row.result, schema: text },
  resultReason: { of: (row) => row.reason ?? '', schema: text },
  loggedByService: { of: () => 'Core Directory', schema: text },
  operationType: { of: ({ activity }) => activity.split(' ', 1)[0], schema: text },
  initiatedBy: {
    of: ({ actor_kind, actor_id: id, display_name: displayName, user_principal_name: userPrincipalName, ...row }) => ({
      user: actor_kind === 'user' ? { id, displayName, userPrincipalName } : null,
      app: actor_kind === 'user' ? null : { appId: id, displayName: row.applicationName },
    }),
    schema: z.object({ user: identity.nullable(), app: appIdentity.nullable() }),
  },
  targetResources: {
    of: (row) => [
      {
        id: row.target_id,
        displayName: row.target_kind === 'User' ? null : row.target_name,
        userPrincipalName: row.target_kind === 'User' ? row.target_name : null,
        type: row.target_kind,
        modifiedProperties: modifiedProperties(row.details),
      },
    ],
    schema: z.array(
      z.object({
        id: text,
        displayName: textOrNull,
        userPrincipalName: textOrNull,
        type: text,
        modifiedProperties: z.array(modifiedProperty),
      }),
    ),
  },
  additionalDetails: { of: () => [], schema: z.array(z.object({ key: text, value: text })) },
});

/** Details are `{ name: { old, new } }`, or `{ name: value }`; values as JSON text, as Graph has them. */
function modifiedProperties(details: string): object[] {
  const json = (value: unknown) => (value === undefined ? null : JSON.stringify(value));
  return Object.entries(JSON.parse(details) as Readonly<Record<string, unknown>>).map(([displayName, value]) => {
    const isChange = typeof value === 'object' && value !== null && ('old' in value || 'new' in value);
    const { old: oldValue, new: newValue } = (isChange ? value : { new: value }) as { old?: unknown; new?: unknown };
    return { displayName, oldValue: json(oldValue), newValue: json(newValue) };
  });
}

const filters: FilterTable = {
  activityDateTime: { type: 'dateTime', operators: ['ge', 'gt', 'le', 'lt'] },
  activityDisplayName: { type: 'string', operators: ['eq'] },
  category: { type: 'string', operators: ['eq'] },
  correlationId: { type: 'string', operators: ['eq'] },
  result: { type: 'string', operators: ['eq'] },
  'initiatedBy/user/id': { type: 'string', operators: ['eq'] },
  'initiatedBy/app/appId': { type: 'string', operators: ['eq'] },
  'targetResources/any/id': { type: 'string', operators: ['eq'] },
};

const one = { properties: directoryAudit.names, type: directoryAudit.type };
const FRAGMENT = 'auditLogs/directoryAudits';
const tag = 'auditLogs';

export const directoryAuditRoutes = [
  route({
    method: 'GET',
    path: '/auditLogs/directoryAudits',
    operationId: 'directoryAudit.list',
    tag,
    summary: 'Administrative acts, newest first.',
    permissions: readLogs,
    query: { ...one, filter: filters, or: true, top: LIST_TOP, orderBy: ['activityDateTime desc'] },
    reply: { status: 200, description: 'A page of the audit log.', schema: collectionOf(directoryAudit.schema) },
    async handle(call) {
      const { alternatives, top, select } = call.query;
      const start = await startOf(call);
      const limit = top + 1;
      const rows = await call.services.database.aside((queries) =>
        mergePages(alternatives, (conditions) => selectAudits(queries, conditions, { start, limit }).execute(), {
          compare: newestFirst,
          limit,
        }),
      );
      return pageOf(call, FRAGMENT, rows, {
        positionOf: (row) => [row.at, row.id],
        toResource: (row) => directoryAudit.toJson(named(row, call.services), select),
      });
    },
  }),
  route({
    method: 'GET',
    path: '/auditLogs/directoryAudits/{id}',
    operationId: 'directoryAudit.get',
    tag,
    summary: 'An administrative act.',
    permissions: readLogs,
    query: one,
    reply: { status: 200, description: 'The entry.', schema: directoryAudit.schema },
    async handle(call) {
      const id = call.params.id!;
      const row = await call.services.database.run((queries) =>
        withNames(queries).where('audit_id', '=', id.toLowerCase()).executeTakeFirst(),
      );
      if (row === undefined) throw notFound(id);
      return entityReply(call, FRAGMENT, directoryAudit.toJson(named(row, call.services), call.query.select));
    },
  }),
];

const named = (row: AuditRow, { applicationName }: GraphServices): NamedAuditRow => ({
  ...row,
  applicationName: applicationName(row.actor_id) ?? row.actor_id,
});

const withNames = (queries: Queries) =>
  queries
    .selectFrom('audit_events')
    .selectAll('audit_events')
    .select(({ selectFrom }) => {
      const name = (column: 'display_name' | 'user_principal_name') =>
        selectFrom('users').whereRef('users.object_id', '=', 'audit_events.actor_id').select(column).as(column);
      return [name('display_name'), name('user_principal_name')];
    });

const COMPARISON = { eq: '=', ge: '>=', gt: '>', le: '<=', lt: '<' } as const;
const columns = {
  activityDisplayName: 'activity',
  category: 'category',
  correlationId: 'correlation_id',
  result: 'result',
  'targetResources/any/id': 'target_id',
} as const;

/** `limit` rows behind `start`, along audit_events_at. */
export function selectAudits(
  queries: Queries,
  conditions: readonly Condition[],
  { start, limit }: { start: readonly (string | number)[] | undefined; limit: number },
) {
  let query = withNames(queries);
  for (const { path, operator, values } of conditions) {
    const [value] = values;
    if (path === 'activityDateTime') {
      query = query.where('at', COMPARISON[operator as keyof typeof COMPARISON], (value as Date).getTime());
    } else if (path === 'initiatedBy/user/id' || path === 'initiatedBy/app/appId') {
      const kind = path === 'initiatedBy/user/id' ? 'user' : 'app';
      query = query.where('actor_kind', '=', kind).where('actor_id', '=', String(value));
    } else query = query.where(columns[path as keyof typeof columns], '=', String(value));
  }
  if (start !== undefined) query = query.where(sql<boolean>`(at, id) < (${start[0]}, ${start[1]})`);
  return query.orderBy('at', 'desc').orderBy('id', 'desc').limit(limit);
}
