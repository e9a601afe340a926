/** `/directory/onPremisesSynchronization`: the company's features and the accidental deletion prevention. */

import { z } from 'zod';
import { dirSyncFeatureNames } from '../../../provisioning/types.js';
import {
  type CompanyFeatures,
  changeCompanyFeatures,
  readCompanyFeatures,
  warningOf,
} from '../../policies/company-features.js';
import type { Queries } from '../../store/database.js';
import { badRequest, notFound } from '../error.js';
import { entityReply } from '../odata/page.js';
import { collectionOf, flag, guid, Resource, text } from '../odata/resource.js';
import { delegatedOnly } from '../permissions.js';
import { type GraphCall, noContent, route, warned } from '../route.js';
import { flagsOf, type SynchronizationFlag, synchronizationFlags, withFlags } from './synchronization-features.js';

const WRITE = 'OnPremDirectorySynchronization.ReadWrite.All';
const read = delegatedOnly('OnPremDirectorySynchronization.Read.All', WRITE);
const write = delegatedOnly(WRITE);

const PREVENTION = ['disabled', 'enabledForCount', 'enabledForPercentage'] as const;

const flags = () =>
  Object.fromEntries(synchronizationFlags.map((name) => [name, flag.optional()])) as Record<
    SynchronizationFlag,
    z.ZodOptional<z.ZodBoolean>
  >;

const synchronization = new Resource<CompanyFeatures & { readonly tenantId: string }>(
  'onPremisesDirectorySynchronization',
  {
    id: { of: ({ tenantId }) => tenantId, schema: guid },
    configuration: {
      of: ({ deletion_prevention, deletion_threshold }) => ({
        accidentalDeletionPrevention: {
          synchronizationPreventionType: deletion_prevention,
          alertThreshold: deletion_threshold,
        },
      }),
      schema: z.object({
        accidentalDeletionPrevention: z.object({ synchronizationPreventionType: text, alertThreshold: z.int() }),
      }),
    },
    features: { of: flagsOf, schema: z.object(flags()) },
  },
);

const changes = z
  .strictObject({
    // Read-only; clients send it along.
    id: z.string().optional(),
    configuration: z
      .strictObject({
        accidentalDeletionPrevention: z
          .strictObject({
            synchronizationPreventionType: z.enum(PREVENTION).optional(),
            alertThreshold: z.int().min(0).max(0x7fff_ffff).optional(),
          })
          .optional(),
      })
      .optional(),
    features: z.strictObject(flags()).optional(),
  })
  .meta({ id: 'onPremisesDirectorySynchronizationChanges' });

type Changes = z.output<typeof changes>;

const one = { properties: synchronization.names, type: synchronization.type };
const FRAGMENT = 'directory/onPremisesSynchronization';

export const synchronizationRoutes = [
  route({
    method: 'GET',
    path: '/directory/onPremisesSynchronization',
    operationId: 'onPremisesSynchronization.list',
    tag: 'directory',
    summary: "The tenant's one object of it, in a collection.",
    permissions: read,
    query: one,
    reply: { status: 200, description: 'A collection of one.', schema: collectionOf(synchronization.schema) },
    async handle(call) {
      const row = await call.services.database.run((queries) => readCompanyFeatures(queries));
      return { status: 200, body: { '@odata.context': call.contextUrl(FRAGMENT), value: [toJson(call, row)] } };
    },
  }),
  route({
    method: 'GET',
    path: '/directory/onPremisesSynchronization/{id}',
    operationId: 'onPremisesSynchronization.get',
    tag: 'directory',
    summary: 'Features and configuration of directory synchronization; the id is the tenant id.',
    permissions: read,
    query: one,
    reply: { status: 200, description: 'The object.', schema: synchronization.schema },
    async handle(call) {
      checkId(call);
      const row = await call.services.database.run((queries) => readCompanyFeatures(queries));
      return entityReply(call, FRAGMENT, toJson(call, row));
    },
  }),
  route<Changes>({
    method: 'PATCH',
    path: '/directory/onPremisesSynchronization/{id}',
    operationId: 'onPremisesSynchronization.update',
    tag: 'directory',
    summary:
      'Switches features on and off. Forced password changes without write-back are answered with a Warning header.',
    permissions: write,
    body: changes,
    reply: { status: 204, description: 'Changed.' },
    async handle(call) {
      checkId(call);
      const { services } = call;
      const { before, after } = await services.database.transaction((queries) => change(call, queries));
      const dirsyncFeatures = after.dirsync_features;
      const features = { dirsyncFeatures, features: dirSyncFeatureNames(dirsyncFeatures) };
      services.log.info(features, 'company features set');
      const warning = warningOf(before, after);
      if (warning === undefined) return noContent;
      services.log.warn(features, warning);
      return warned(warning);
    },
  }),
];

const toJson = ({ services, query }: GraphCall<unknown>, row: CompanyFeatures) =>
  synchronization.toJson({ ...row, tenantId: services.context.store.tenantId }, query.select);

function checkId({ params, services }: GraphCall<unknown>): void {
  if (params.id!.toLowerCase() !== services.context.store.tenantId) throw notFound(params.id!);
}

type Changed = Awaited<ReturnType<typeof changeCompanyFeatures>>;

async function change(call: GraphCall<Changes>, queries: Queries): Promise<Changed> {
  const { services, body, actor, correlationId } = call;
  const prevention = body.configuration?.accidentalDeletionPrevention;
  const { before, after } = await changeCompanyFeatures(queries, services.database.dialect, {
    now: services.now(),
    change: (stored) => ({
      ...withFlags(stored, body.features ?? {}),
      deletion_prevention: prevention?.synchronizationPreventionType ?? stored.deletion_prevention,
      deletion_threshold: prevention?.alertThreshold ?? stored.deletion_threshold,
    }),
  });
  if (after.deletion_prevention === 'enabledForPercentage' && after.deletion_threshold > 100) {
    throw badRequest("Invalid value specified for property 'alertThreshold': expected at most 100 percent.");
  }
  await services.audit.record(
    {
      actor,
      activity: 'Set DirSync feature',
      category: 'DirectoryManagement',
      target: { kind: 'Directory', id: services.context.store.tenantId },
      result: 'success',
      details: differences(before, after),
      correlationId,
    },
    queries,
  );
  return { before, after };
}

function differences(
  before: CompanyFeatures,
  after: CompanyFeatures,
): Readonly<Record<string, { old: unknown; new: unknown }>> {
  const facts = (row: CompanyFeatures) => ({
    ...flagsOf(row),
    synchronizationPreventionType: row.deletion_prevention,
    alertThreshold: row.deletion_threshold,
  });
  const was: Readonly<Record<string, unknown>> = facts(before);
  const is: Readonly<Record<string, unknown>> = facts(after);
  const changed = Object.keys(is).filter((name) => was[name] !== is[name]);
  return Object.fromEntries(changed.map((name) => [name, { old: was[name], new: is[name] }]));
}
