/** `/domains`: how each domain's users sign in, and how long their passwords are good for. */

import type { Selectable } from 'kysely';
import { z } from 'zod';
import { NEVER_EXPIRES } from '../../policies/domains.js';
import type { Queries } from '../../store/database.js';
import type { DomainsTable } from '../../store/tables.js';
import { badRequest, notFound } from '../error.js';
import { entityReply } from '../odata/page.js';
import { collectionOf, flag, Resource, text, textOrNull } from '../odata/resource.js';
import type { Permissions } from '../permissions.js';
import { type GraphCall, noContent, route } from '../route.js';

const READ = ['Domain.Read.All', 'Domain.ReadWrite.All', 'Directory.Read.All', 'Directory.ReadWrite.All'] as const;
const read: Permissions = { delegated: READ, application: READ };
const write: Permissions = {
  delegated: ['Domain.ReadWrite.All', 'Directory.AccessAsUser.All'],
  application: ['Domain.ReadWrite.All'],
};

/** Of a period that ends, in Entra. */
const [LEAST_DAYS, MOST_DAYS] = [14, 730];

type DomainRow = Selectable<DomainsTable>;

const domain = new Resource<DomainRow>('domain', {
  id: { of: ({ name }) => name, schema: text },
  authenticationType: { of: (row) => row.authentication_type, schema: z.enum(['Managed', 'Federated']) },
  availabilityStatus: { of: () => null, schema: textOrNull },
  isAdminManaged: { of: () => true, schema: flag },
  isDefault: { of: (row) => row.is_default === 1, schema: flag },
  isInitial: { of: () => false, schema: flag },
  isRoot: { of: () => true, schema: flag },
  isVerified: { of: () => true, schema: flag },
  supportedServices: { of: () => [], schema: z.array(z.string()) },
  passwordValidityPeriodInDays: { of: (row) => row.password_validity_days, schema: z.int().nullable() },
  passwordNotificationWindowInDays: { of: (row) => row.password_notification_days, schema: z.int().nullable() },
  state: { of: () => null, schema: textOrNull },
  // phsync's own: where a federated domain's users sign in, and whether they may sign in here all the same.
  federationUrl: { of: (row) => row.federation_url, schema: textOrNull, onSelect: true },
  passwordHashFallback: { of: (row) => row.password_hash_fallback === 1, schema: flag, onSelect: true },
});

const days = z.int().refine((value) => value === NEVER_EXPIRES || (value >= LEAST_DAYS && value <= MOST_DAYS), {
  error: `expected ${LEAST_DAYS} to ${MOST_DAYS}, or ${NEVER_EXPIRES} for never`,
});

const changes = z
  .strictObject({
    isDefault: z.literal(true, 'expected true: another domain becomes the default one instead').optional(),
    passwordValidityPeriodInDays: days.nullable().optional(),
    passwordNotificationWindowInDays: z.int().min(1).max(30).nullable().optional(),
    authenticationType: z.enum(['Managed', 'Federated']).optional(),
    federationUrl: z
      .url({ protocol: /^https$/, error: 'expected an https URL' })
      .max(2048)
      .optional(),
    passwordHashFallback: z.boolean().optional(),
  })
  .meta({ id: 'domainChanges' });

type Changes = z.output<typeof changes>;

const one = { properties: domain.names, type: domain.type };

export const domainRoutes = [
  route({
    method: 'GET',
    path: '/domains',
    operationId: 'domain.list',
    tag: 'domains',
    summary: "The tenant's domains.",
    permissions: read,
    query: one,
    reply: { status: 200, description: 'All domains.', schema: collectionOf(domain.schema) },
    async handle(call) {
      const rows = await call.services.database.run((queries) =>
        queries.selectFrom('domains').selectAll().orderBy('name').execute(),
      );
      const value = rows.map((row) => domain.toJson(row, call.query.select));
      return { status: 200, body: { '@odata.context': call.contextUrl('domains'), value } };
    },
  }),
  route({
    method: 'GET',
    path: '/domains/{id}',
    operationId: 'domain.get',
    tag: 'domains',
    summary: 'A domain, by its name.',
    permissions: read,
    query: one,
    reply: { status: 200, description: 'The domain.', schema: domain.schema },
    async handle(call) {
      const row = await call.services.database.run((queries) => find(queries, call.params.id!));
      return entityReply(call, 'domains', domain.toJson(row, call.query.select));
    },
  }),
  route<Changes>({
    method: 'PATCH',
    path: '/domains/{id}',
    operationId: 'domain.update',
    tag: 'domains',
    summary: 'The password policy of a managed domain, the default domain, and whether users sign in by federation.',
    permissions: write,
    body: changes,
    reply: { status: 204, description: 'Changed.' },
    async handle(call) {
      await call.services.database.transaction((queries) => change(call, queries));
      call.services.realms.refresh();
      return noContent;
    },
  }),
];

/** @throws GraphError 404 */
async function find(queries: Queries, name: string): Promise<DomainRow> {
  const row = await queries.selectFrom('domains').selectAll().where('name', '=', name.toLowerCase()).executeTakeFirst();
  if (row === undefined) throw notFound(name);
  return row;
}

async function change(call: GraphCall<Changes>, queries: Queries): Promise<void> {
  const { body, params, services, actor, correlationId } = call;
  if (services.database.dialect === 'postgres') {
    await queries.selectFrom('domains').select('name').orderBy('name').forUpdate().execute();
  }
  const before = await find(queries, params.id!);
  const after: DomainRow = {
    ...before,
    authentication_type: body.authenticationType ?? before.authentication_type,
    federation_url: body.federationUrl ?? before.federation_url,
    password_hash_fallback: Number(body.passwordHashFallback ?? before.password_hash_fallback === 1),
    is_default: body.isDefault === true ? 1 : before.is_default,
    password_validity_days: chosen(body.passwordValidityPeriodInDays, before.password_validity_days),
    password_notification_days: chosen(body.passwordNotificationWindowInDays, before.password_notification_days),
  };
  check(body, after);
  if (after.is_default !== before.is_default) await queries.updateTable('domains').set({ is_default: 0 }).execute();
  await queries.updateTable('domains').set(after).where('name', '=', before.name).execute();
  const select = Object.keys(body);
  const [was, is] = [domain.toJson(before, select), domain.toJson(after, select)];
  await services.audit.record(
    {
      actor,
      activity: body.authenticationType === undefined ? 'Update domain' : 'Set domain authentication',
      category: 'DirectoryManagement',
      target: { kind: 'Domain', id: before.name, name: before.name },
      result: 'success',
      details: Object.fromEntries(select.map((name) => [name, { old: was[name], new: is[name] }])),
      correlationId,
    },
    queries,
  );
}

const chosen = (changed: number | null | undefined, before: number | null) =>
  changed === undefined ? before : changed;

/** What a federated domain cannot have; `after` is what the request would make of it. */
function check(body: Changes, { name, authentication_type, federation_url }: DomainRow): void {
  if (authentication_type === 'Managed') return;
  const policy = (['passwordValidityPeriodInDays', 'passwordNotificationWindowInDays'] as const).filter(
    (property) => body[property] !== undefined,
  );
  if (policy.length > 0) {
    throw badRequest(
      `${policy.join(' and ')} cannot be updated: ${name} is a federated domain, whose passwords are not under a policy here.`,
    );
  }
  if (body.isDefault === true) {
    throw badRequest(`isDefault cannot be updated: ${name} is a federated domain, which cannot be the default one.`);
  }
  if (federation_url === null) {
    throw badRequest(
      "A value is required for property 'federationUrl': a federated domain's users must be sent there.",
    );
  }
}
