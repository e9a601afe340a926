/** A tenant with Domain Services for tests: the service on its store, an agent on its wire, blobs sealed by the agent's own code. */

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  legacyPlaintext,
  newSealedKey,
  recipientOf,
  sealAdAuthInfo,
  supplementalPlaintext,
} from '#src/provisioning/ad-auth-info.js';
import { createProvisioningClient, type ProvisioningClient } from '#src/provisioning/client.js';
import {
  DOMAIN_SERVICES_FEED_PATH,
  DOMAIN_SERVICES_SCOPE,
  type FeedChange,
  type FeedPage,
  feedPageSchema,
} from '#src/provisioning/domain-services-feed.js';
import type { SyncCredentialsChangeItem } from '#src/provisioning/types.js';
import { createAuditLog } from '#src/tenant/audit/audit-log.js';
import { DomainServices } from '#src/tenant/domain-services/service.js';
import type { WindowsCredentials } from '#src/tenant/store/changes.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import { credentialText, type TestTenant, vectors } from '../harness.js';

export const ADMIN = { actor: { kind: 'user', id: 'root' } } as const;

export const serviceOf = ({ database, tenantId }: TenantStore, now: () => Date = () => new Date()) =>
  new DomainServices({ database, tenantId, audit: createAuditLog(database, now), now });

/** Both blobs of one user's one change: a random NT hash, and random bytes in the place of Kerberos keys. */
export function sealed(certificate: Uint8Array): { readonly legacy: Buffer; readonly supplemental: Buffer } {
  const recipient = recipientOf(certificate);
  const key = newSealedKey(recipient);
  return {
    legacy: sealAdAuthInfo(legacyPlaintext(randomBytes(16)), recipient, key),
    supplemental: sealAdAuthInfo(supplementalPlaintext(randomBytes(700)), recipient, key),
  };
}

/** As the store is given them. */
export function windowsOf(thumbprint: Uint8Array, blobs: Partial<ReturnType<typeof sealed>>): WindowsCredentials {
  const blob = (bytes: Buffer | undefined) =>
    bytes === undefined ? null : { bytes, digest: createHash('sha256').update(bytes).digest() };
  return { thumbprint, legacy: blob(blobs.legacy), supplemental: blob(blobs.supplemental) };
}

export const item = (
  sourceAnchor: string,
  changeDate: Date | string,
  blobs?: Partial<ReturnType<typeof sealed>>,
): SyncCredentialsChangeItem => ({
  changeDate: new Date(changeDate),
  cloudAnchor: undefined,
  credentialData: credentialText(vectors[0]!),
  forcePasswordChangeOnLogon: false,
  sourceAnchor,
  windowsLegacyCredentials: blobs?.legacy?.toString('base64'),
  windowsSupplementalCredentials: blobs?.supplemental?.toString('base64'),
});

export const clientOf = (tenant: TestTenant): ProvisioningClient =>
  createProvisioningClient({
    url: tenant.provisioningUrl,
    ca: readFileSync(tenant.caPath!),
    token: () => tenant.agentToken(),
  });

export async function provision(client: ProvisioningClient, anchors: readonly string[], more: object = {}) {
  return client.provisionAzureADSyncObjects(
    anchors.map((anchor) => ({
      syncObjectType: 'User',
      syncOperation: 'Set',
      propertyValues: new Map(
        Object.entries({ SourceAnchor: anchor, userPrincipalName: `${anchor}@phs.test`, displayName: anchor, ...more }),
      ),
    })),
  );
}

/** What is stored of a user. */
export const storedOf = async ({ database }: TenantStore, anchor: string) =>
  database.run((queries) =>
    queries
      .selectFrom('windows_credentials')
      .innerJoin('users', 'users.id', 'windows_credentials.user_id')
      .select(['legacy', 'supplemental', 'change_date', 'thumbprint'])
      .where('source_anchor', '=', anchor)
      .executeTakeFirst(),
  );

export const READER = { clientId: 'managed-domain', secret: 'of the managed domain alone' } as const;
/** For startTestTenant(). */
export const withReader = {
  config: {
    domainServices: { clients: [{ clientId: READER.clientId, clientSecret: { env: 'READER_SECRET' } }] },
    applications: [
      { clientId: 'app' },
      { clientId: 'reports', clientSecret: { env: 'READER_SECRET' }, permissions: ['User.Read.All'] },
    ],
  },
  env: { READER_SECRET: READER.secret },
};

export async function readerToken(tenant: TestTenant, form: Readonly<Record<string, string>> = {}): Promise<string> {
  const { json, status } = await tenant.token({
    grant_type: 'client_credentials',
    client_id: READER.clientId,
    client_secret: READER.secret,
    scope: DOMAIN_SERVICES_SCOPE,
    ...form,
  });
  if (status !== 200) throw new Error(JSON.stringify(json));
  return json.access_token;
}

/** A reader over HTTPS. */
export async function readerOf(tenant: TestTenant) {
  const token = await readerToken(tenant);
  const get = (query: Readonly<Record<string, string | number>> = {}) => {
    const options = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) options.set(name, String(value));
    return tenant.get(`${DOMAIN_SERVICES_FEED_PATH}?${options}`, { headers: { authorization: `Bearer ${token}` } });
  };
  const page = async (query: Readonly<Record<string, string | number>> = {}): Promise<FeedPage> => {
    const { status, json, text } = await get(query);
    if (status !== 200) throw new Error(`${status} ${text}`);
    // Every answer, against the contract, to the letter.
    return feedPageSchema.parse(json);
  };
  /** All pages behind the cookie. */
  const all = async (cookie?: string, limit = 500) => {
    const value: FeedChange[] = [];
    let next: FeedPage | undefined;
    let pages = 0;
    do {
      const place: string | undefined = next?.cookie ?? cookie;
      next = await page({ limit, ...(place === undefined ? {} : { cookie: place }) });
      value.push(...next.value);
      pages++;
    } while (next.more);
    return { value, cookie: next.cookie, pages };
  };
  return { get, page, all, token };
}
