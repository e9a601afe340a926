/** `/auditLogs/signIns`: who signed in or tried to, newest first. */

import { type Selectable, sql } from 'kysely';
import { z } from 'zod';
import { describeAadsts, isAadstsCode } from '../../oidc/oauth-error.js';
import type { Queries } from '../../store/database.js';
import type { SignInsTable } from '../../store/tables.js';
import { notFound } from '../error.js';
import { mergePages } from '../odata/alternatives.js';
import type { Condition, FilterTable } from '../odata/filter.js';
import { entityReply, iso, LIST_TOP, pageOf, startOf } from '../odata/page.js';
import { collectionOf, flag, guid, Resource, text, textOrNull, time } from '../odata/resource.js';
import { both } from '../permissions.js';
import { route } from '../route.js';
import { findUser } from '../users/user-store.js';

/** The order of both logs. */
export const newestFirst = (a: LogPosition, b: LogPosition) => b.at - a.at || b.id - a.id;
interface LogPosition {
  readonly at: number;
  readonly id: number;
}

export const readLogs = both('AuditLog.Read.All');

type SignInRow = Selectable<SignInsTable> & { readonly display_name: string | null };

/** status.failureReason: what AADSTS says for the number, of a row's application. */
function failureReason({ error_code: code, client_id }: SignInRow): string {
  // As Entra has it for who signed in.
  if (code === 0) return 'Other.';
  if (!isAadstsCode(code)) return `AADSTS${code}`;
  const subject = code === 50034 ? 'organization' : client_id;
  return describeAadsts(code, subject).replace(/^AADSTS\d+: /, '');
}

const signIn = new Resource<SignInRow>('signIn', {
  id: { of: (row) => row.sign_in_id, schema: text },
  createdDateTime: { of: (row) => iso(row.at), schema: time },
  userDisplayName: { of: (row) => row.display_name, schema: textOrNull },
  userPrincipalName: { of: (row) => row.user_principal_name, schema: textOrNull },
  userId: { of: (row) => row.user_object_id, schema: guid.nullable() },
  appId: { of: (row) => row.client_id, schema: text },
  ipAddress: { of: (row) => row.address, schema: text },
  clientAppUsed: {
    of: ({ flow }) => (flow === 'browser' ? 'Browser' : 'Mobile Apps and Desktop clients'),
    schema: text,
  },
  correlationId: { of: (row) => row.correlation_id, schema: text },
  conditionalAccessStatus: { of: () => 'notApplied', schema: text },
  isInteractive: { of: ({ flow }) => flow !== 'refresh', schema: flag },
  status: {
    of: (row) => ({ errorCode: row.error_code, failureReason: failureReason(row), additionalDetails: null }),
    schema: z.object({ errorCode: z.int(), failureReason: text, additionalDetails: textOrNull }),
  },
  // phsync's own: which way, and whether from where the user had signed in before.
  flow: { of: ({ flow }) => flow, schema: text, onSelect: true },
  isFamiliarPlace: { of: ({ familiar }) => familiar === 1, schema: flag, onSelect: true },
});

const filters: FilterTable = {
  createdDateTime: { type: 'dateTime', operators: ['ge', 'gt', 'le', 'lt'] },
  userId: { type: 'string', operators: ['eq'] },
  userPrincipalName: { type: 'string', operators: ['eq'] },
  appId: { type: 'string', operators: ['eq'] },
  'status/errorCode': { type: 'number', operators: ['eq'] },
};

const one = { properties: signIn.names, type: signIn.type };
const FRAGMENT = 'auditLogs/signIns';
const tag = 'auditLogs';

export const signInRoutes = [
  route({
    method: 'GET',
    path: '/auditLogs/signIns',
    operationId: 'signIn.list',
    tag,
    summary: 'Sign-ins, newest first.',
    permissions: readLogs,
    query: { ...one, filter: filters, or: true, top: LIST_TOP, orderBy: ['createdDateTime desc'] },
    reply: { status: 200, description: 'A page of sign-ins.', schema: collectionOf(signIn.schema) },
    async handle(call) {
      const { alternatives, top, select } = call.query;
      const start = await startOf(call);
      const limit = top + 1;
      const rows = await call.services.database.aside((queries) =>
        mergePages(
          alternatives,
          async (conditions) =>
            selectSignIns(queries, await withUserIds(queries, conditions), { start, limit }).execute(),
          { compare: newestFirst, limit },
        ),
      );
      return pageOf(call, FRAGMENT, rows, {
        positionOf: (row) => [row.at, row.id],
        toResource: (row) => signIn.toJson(row, select),
      });
    },
  }),
  route({
    method: 'GET',
    path: '/auditLogs/signIns/{id}',
    operationId: 'signIn.get',
    tag,
    summary: 'A sign-in.',
    permissions: readLogs,
    query: one,
    reply: { status: 200, description: 'The sign-in.', schema: signIn.schema },
    async handle(call) {
      const id = call.params.id!;
      const row = await call.services.database.run((queries) =>
        withUsers(queries).where('sign_ins.sign_in_id', '=', id.toLowerCase()).executeTakeFirst(),
      );
      if (row === undefined) throw notFound(id);
      return entityReply(call, FRAGMENT, signIn.toJson(row, call.query.select));
    },
  }),
];

const withUsers = (queries: Queries) =>
  queries
    .selectFrom('sign_ins')
    .selectAll('sign_ins')
    .select(({ selectFrom }) =>
      selectFrom('users')
        .whereRef('users.object_id', '=', 'sign_ins.user_object_id')
        .select('users.display_name')
        .as('display_name'),
    );

/** A name is the user's who has it now, also for sign-ins under a former one; that no user has: nobody's. */
async function withUserIds(queries: Queries, conditions: readonly Condition[]): Promise<Condition[]> {
  return Promise.all(
    conditions.map(async (condition) => {
      if (condition.path !== 'userPrincipalName') return condition;
      const owner = await findUser(queries, String(condition.values[0]));
      return { path: 'userId', operator: 'eq', values: [owner?.object_id ?? ''] };
    }),
  );
}

const COMPARISON = { eq: '=', ge: '>=', gt: '>', le: '<=', lt: '<' } as const;

/** `limit` rows behind `start`, along sign_ins_at, or sign_ins_user where a user is named. */
export function selectSignIns(
  queries: Queries,
  conditions: readonly Condition[],
  { start, limit }: { start: readonly (string | number)[] | undefined; limit: number },
) {
  let query = withUsers(queries);
  for (const { path, operator, values } of conditions) {
    const [value] = values;
    const comparison = COMPARISON[operator as keyof typeof COMPARISON];
    if (path === 'createdDateTime') query = query.where('sign_ins.at', comparison, (value as Date).getTime());
    else if (path === 'userId') query = query.where('sign_ins.user_object_id', '=', String(value).toLowerCase());
    else if (path === 'appId') query = query.where('sign_ins.client_id', '=', String(value));
    else query = query.where('sign_ins.error_code', '=', Number(value));
  }
  if (start !== undefined) query = query.where(sql<boolean>`(sign_ins.at, sign_ins.id) < (${start[0]}, ${start[1]})`);
  return query.orderBy('sign_ins.at', 'desc').orderBy('sign_ins.id', 'desc').limit(limit);
}
