/** `/organization`: the tenant itself. */

import { z } from 'zod';
import { newestSynchronized } from '../../store/credential-history.js';
import { badRequest, notFound } from '../error.js';
import { entityReply, isoOrNull } from '../odata/page.js';
import { collectionOf, flagOrNull, guid, Resource, text, timeOrNull } from '../odata/resource.js';
import { both, type Permissions } from '../permissions.js';
import { type GraphCall, noContent, route } from '../route.js';

const READ = ['Organization.Read.All', 'Organization.ReadWrite.All', 'Directory.Read.All', 'Directory.ReadWrite.All'];
const read: Permissions = { delegated: ['User.Read', ...READ], application: READ };
const write = both('Organization.ReadWrite.All');

interface OrganizationRow {
  readonly tenantId: string;
  readonly displayName: string;
  readonly lastPasswordSync: number | null;
  readonly domains: readonly {
    readonly name: string;
    readonly is_default: number;
    readonly authentication_type: string;
  }[];
}

const verifiedDomain = z.object({
  name: text,
  type: text,
  isDefault: z.boolean(),
  isInitial: z.boolean(),
  capabilities: text,
});

const organization = new Resource<OrganizationRow>('organization', {
  id: { of: ({ tenantId }) => tenantId, schema: guid },
  displayName: { of: ({ displayName }) => displayName, schema: text },
  tenantType: { of: () => 'AAD', schema: text },
  verifiedDomains: {
    of: ({ domains }) =>
      domains.map(({ name, is_default, authentication_type }) => ({
        name,
        type: authentication_type,
        isDefault: is_default === 1,
        isInitial: false,
        capabilities: '',
      })),
    schema: z.array(verifiedDomain),
  },
  // The provisioning service is always there.
  onPremisesSyncEnabled: { of: () => true, schema: flagOrNull },
  onPremisesLastPasswordSyncDateTime: { of: (row) => isoOrNull(row.lastPasswordSync), schema: timeOrNull },
});

const changes = z.strictObject({ onPremisesSyncEnabled: z.boolean().optional() }).meta({ id: 'organizationChanges' });

const one = { properties: organization.names, type: organization.type };

export const organizationRoutes = [
  route({
    method: 'GET',
    path: '/organization',
    operationId: 'organization.list',
    tag: 'organization',
    summary: 'The tenant, in a collection of one.',
    permissions: read,
    query: one,
    reply: { status: 200, description: 'A collection of one.', schema: collectionOf(organization.schema) },
    async handle(call) {
      const value = [organization.toJson(await load(call), call.query.select)];
      return { status: 200, body: { '@odata.context': call.contextUrl('organization'), value } };
    },
  }),
  route({
    method: 'GET',
    path: '/organization/{id}',
    operationId: 'organization.get',
    tag: 'organization',
    summary: 'The tenant, by its id.',
    permissions: read,
    query: one,
    reply: { status: 200, description: 'The tenant.', schema: organization.schema },
    async handle(call) {
      checkId(call);
      return entityReply(call, 'organization', organization.toJson(await load(call), call.query.select));
    },
  }),
  route<z.output<typeof changes>>({
    method: 'PATCH',
    path: '/organization/{id}',
    operationId: 'organization.update',
    tag: 'organization',
    summary: 'Switching directory synchronization off is refused, with what to do instead.',
    permissions: write,
    body: changes,
    reply: { status: 204, description: 'It is so already.' },
    async handle(call) {
      checkId(call);
      if (call.body.onPremisesSyncEnabled !== false) return noContent;
      throw badRequest(
        'onPremisesSyncEnabled cannot be updated: directory synchronization is always on here. ' +
          'Password hash synchronization is passwordSyncEnabled of directory/onPremisesSynchronization.',
      );
    },
  }),
];

function checkId({ params, services }: GraphCall<unknown>): void {
  if (params.id!.toLowerCase() !== services.context.store.tenantId) throw notFound(params.id!);
}

function load({ services }: GraphCall<unknown>): Promise<OrganizationRow> {
  const { context, database } = services;
  return database.run(async (queries) => {
    const { display_name } = await queries.selectFrom('tenant').select('display_name').executeTakeFirstOrThrow();
    const newest = await newestSynchronized(queries);
    const domains = await queries
      .selectFrom('domains')
      .select(['name', 'is_default', 'authentication_type'])
      .orderBy('name')
      .execute();
    return {
      tenantId: context.store.tenantId,
      displayName: display_name ?? context.displayName,
      lastPasswordSync: newest?.at ?? null,
      domains,
    };
  });
}
