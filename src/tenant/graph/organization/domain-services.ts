/**
 * `/providers/Microsoft.AAD/domainServices`: the managed domain's resource in the shape of Azure Resource Manager's
 * (api-version 2021-03-01), for people who administer it; certificates are phsync's own.
 */

import { z } from 'zod';
import { PhsyncError } from '../../../hasher/errors.js';
import { securitySettingsSchema } from '../../../provisioning/domain-services-feed.js';
import { parseThumbprint } from '../../domain-services/certificate.js';
import { type Act, DomainServices, type DomainServicesView } from '../../domain-services/service.js';
import { badRequest, GraphError, notFound } from '../error.js';
import { text, time } from '../odata/resource.js';
import { delegatedOnly } from '../permissions.js';
import { type GraphCall, type GraphReply, noContent, route } from '../route.js';

const TYPE = 'Microsoft.AAD/DomainServices';
const PATH = '/providers/Microsoft.AAD/domainServices';
const ONE = `${PATH}/{name}`;
const WRITE = 'DomainServices.ReadWrite.All';
// Whoever says which certificate credentials are sealed to says who can read them: that is for people, as with features.
const read = delegatedOnly('DomainServices.Read.All', WRITE);
const write = delegatedOnly(WRITE);

const certificateSchema = z.object({
  thumbprint: text,
  subject: text,
  keyBits: z.int(),
  notAfter: time,
  addedDateTime: time,
  isNewest: z.boolean(),
  users: z.int(),
  deletedUsers: z.int(),
  userPrincipalNames: z.array(text),
});
const resourceSchema = z
  .object({
    id: text,
    name: text,
    type: z.literal(TYPE),
    properties: z.object({
      tenantId: text,
      domainName: text,
      provisioningState: z.literal('Succeeded'),
      domainSecuritySettings: securitySettingsSchema,
      secretEncryptionCertificates: z.array(certificateSchema),
      users: z.int(),
      deletedUsers: z.int(),
      warnings: z.array(text),
    }),
  })
  .meta({ id: 'domainServices' });

const settings = securitySettingsSchema.partial().strict();
// In DER's base64 or as PEM; a chain's worth of text.
const certificate = z.string().min(1).max(32_768);
const newResource = z
  .object({
    properties: z
      .object({
        domainName: z.string().optional(),
        domainSecuritySettings: settings.optional(),
        secretEncryptionCertificate: certificate.optional(),
      })
      .default({}),
  })
  .meta({ id: 'newDomainServices' });
const changes = z
  .object({ properties: z.object({ domainSecuritySettings: settings }) })
  .meta({ id: 'domainServicesChanges' });
const added = z.strictObject({ certificate, force: z.boolean().default(false) }).meta({ id: 'addCertificate' });
const removed = z
  .strictObject({ thumbprint: z.string().max(128), force: z.boolean().default(false) })
  .meta({ id: 'removeCertificate' });

const replyOfOne = { status: 200, description: 'The resource.', schema: resourceSchema } as const;

export const domainServicesRoutes = [
  route({
    method: 'GET',
    path: PATH,
    operationId: 'domainServices.list',
    tag: 'domainServices',
    summary: 'The managed domain, in a collection of one; of none where Domain Services are not enabled.',
    permissions: read,
    reply: { status: 200, description: 'At most one.', schema: z.object({ value: z.array(resourceSchema) }) },
    async handle(call) {
      const view = await serviceOf(call).show();
      return { status: 200, body: { value: view?.enabled ? [toJson(call, view)] : [] } };
    },
  }),
  route({
    method: 'GET',
    path: ONE,
    operationId: 'domainServices.get',
    tag: 'domainServices',
    summary: 'The managed domain, by its DNS name.',
    permissions: read,
    reply: replyOfOne,
    handle: async (call) => one(call, await enabled(call)),
  }),
  route<z.output<typeof newResource>>({
    method: 'PUT',
    path: ONE,
    operationId: 'domainServices.createOrUpdate',
    tag: 'domainServices',
    summary:
      'Enables Domain Services: agents send NT hashes and Kerberos keys from then on, sealed to the certificate. The first time a certificate must be given.',
    permissions: write,
    body: newResource,
    reply: replyOfOne,
    async handle(call) {
      const { domainName, domainSecuritySettings, secretEncryptionCertificate } = call.body.properties;
      const name = call.params.name!;
      if (domainName !== undefined && domainName.toLowerCase() !== name.toLowerCase()) {
        throw badRequest("Property 'properties/domainName' is not the name in the address.");
      }
      const bytes = secretEncryptionCertificate === undefined ? undefined : bytesOf(secretEncryptionCertificate);
      const request = { domainName: name, certificate: bytes, settings: domainSecuritySettings };
      return one(call, await attempt(serviceOf(call).enable(request, actOf(call))));
    },
  }),
  route<z.output<typeof changes>>({
    method: 'PATCH',
    path: ONE,
    operationId: 'domainServices.update',
    tag: 'domainServices',
    summary:
      "Changes domainSecuritySettings. NT hashes that are stored stay until each user's next change or a full synchronization.",
    permissions: write,
    body: changes,
    reply: replyOfOne,
    async handle(call) {
      await enabled(call);
      return one(call, await attempt(serviceOf(call).set(call.body.properties.domainSecuritySettings, actOf(call))));
    },
  }),
  route({
    method: 'DELETE',
    path: ONE,
    operationId: 'domainServices.delete',
    tag: 'domainServices',
    summary: 'Disables Domain Services, and deletes the credentials that are stored for them.',
    permissions: write,
    reply: { status: 204, description: 'Disabled.' },
    async handle(call) {
      await enabled(call);
      await attempt(serviceOf(call).disable(actOf(call)));
      return noContent;
    },
  }),
  route<z.output<typeof added>>({
    method: 'POST',
    path: `${ONE}/addCertificate`,
    operationId: 'domainServices.addCertificate',
    tag: 'domainServices',
    summary:
      'Adds the certificate that agents seal to from their next cycle on; those before stay listed. One that is not valid now by force only.',
    permissions: write,
    body: added,
    reply: replyOfOne,
    async handle(call) {
      await enabled(call);
      const { certificate: given, force } = call.body;
      return one(call, await attempt(serviceOf(call).addCertificate(bytesOf(given), actOf(call), { force })));
    },
  }),
  route<z.output<typeof removed>>({
    method: 'POST',
    path: `${ONE}/removeCertificate`,
    operationId: 'domainServices.removeCertificate',
    tag: 'domainServices',
    summary: 'Removes a certificate; where stored credentials are sealed to it, by force only.',
    permissions: write,
    body: removed,
    reply: replyOfOne,
    async handle(call) {
      await enabled(call);
      const { thumbprint: hex, force } = call.body;
      const thumbprint = parseThumbprint(hex);
      if (thumbprint === undefined) {
        throw badRequest("Invalid value specified for property 'thumbprint': expected 40 hexadecimal digits.");
      }
      return one(call, await attempt(serviceOf(call).removeCertificate(thumbprint, { force }, actOf(call))));
    },
  }),
];

function serviceOf({ services }: GraphCall<unknown>): DomainServices {
  const { database, audit, now, context } = services;
  return new DomainServices({ database, audit, now, tenantId: context.store.tenantId });
}

const actOf = ({ actor, correlationId }: GraphCall<unknown>): Act => ({ actor, correlationId });

/** @throws GraphError 404 */
async function enabled(call: GraphCall<unknown>): Promise<DomainServicesView> {
  const view = await serviceOf(call).show();
  const name = call.params.name!;
  if (view?.enabled !== true || view.domainName !== name.toLowerCase()) throw notFound(name);
  return view;
}

const REFUSALS: Readonly<Record<string, readonly [status: number, code: string]>> = {
  'ad-auth-info-certificate': [400, 'Request_BadRequest'],
  'domain-services-name': [400, 'Request_BadRequest'],
  'domain-services-no-certificate': [400, 'Request_BadRequest'],
  'domain-services-own-domain': [400, 'Request_BadRequest'],
  'domain-services-renamed': [409, 'Conflict'],
  'domain-services-certificate-needed': [409, 'Conflict'],
  'domain-services-last-certificate': [409, 'Conflict'],
  'domain-services-off': [404, 'Request_ResourceNotFound'],
  'domain-services-unknown-certificate': [404, 'Request_ResourceNotFound'],
};

async function attempt<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const refusal = error instanceof PhsyncError ? REFUSALS[error.code] : undefined;
    if (refusal === undefined) throw error;
    throw new GraphError(...refusal, `${(error as Error).message}.`);
  }
}

const bytesOf = (given: string): Buffer => Buffer.from(given, given.startsWith('-----BEGIN') ? 'latin1' : 'base64');

const one = (call: GraphCall<unknown>, view: DomainServicesView): GraphReply => ({
  status: 200,
  body: toJson(call, view),
});

function toJson({ services }: GraphCall<unknown>, view: DomainServicesView): z.output<typeof resourceSchema> {
  const { domainName, securitySettings, certificates, users, deletedUsers, warnings } = view;
  return {
    id: `${PATH}/${domainName}`,
    name: domainName,
    type: TYPE,
    properties: {
      tenantId: services.context.store.tenantId,
      domainName,
      provisioningState: 'Succeeded',
      domainSecuritySettings: securitySettings,
      secretEncryptionCertificates: certificates.map(({ notAfter, added: at, userPrincipalNames, ...rest }) => ({
        ...rest,
        userPrincipalNames: [...userPrincipalNames],
        notAfter: notAfter.toISOString(),
        addedDateTime: at.toISOString(),
      })),
      users,
      deletedUsers,
      warnings: [...warnings],
    },
  };
}
