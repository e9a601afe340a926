/** What the cycle needs of the tenant, in batches of the size that the tenant takes. */

import { PhsyncError } from '../hasher/errors.js';
import type { ProvisioningClient } from '../provisioning/client.js';
import {
  type AzureADSyncObject,
  type AzureADSyncObjectResult,
  type CompanyConfiguration,
  DirSyncFeature,
  type SyncCredentialsChangeItem,
  type SyncCredentialsChangeResult,
} from '../provisioning/types.js';

export type TenantClient = Pick<
  ProvisioningClient,
  'getCompanyConfiguration' | 'provisionAzureADSyncObjects' | 'provisionCredentials'
>;

/** What Microsoft's service takes at a time. */
const DEFAULT_BATCH = 50;
/** More than any page holds; what a tenant announces beyond it is not used. */
const MAX_BATCH = 10_000;
/** Batches of one page that are under way at the same time; their users differ, so their order does not matter. */
const PARALLEL_BATCHES = 4;

/** The tenant during one cycle. */
export interface Link {
  readonly company: CompanyConfiguration;
  /** One result an object, in order. Rejects with the client's PhsyncError: nothing is known of any of them then. */
  provisionObjects(objects: readonly AzureADSyncObject[]): Promise<AzureADSyncObjectResult[]>;
  provisionCredentials(items: readonly SyncCredentialsChangeItem[]): Promise<SyncCredentialsChangeResult[]>;
}

/**
 * Asks the tenant for its configuration and opens a link of the right batch sizes.
 * @throws PhsyncError `tenant-feature-off` where password hash synchronization is not enabled in the tenant.
 */
export async function openLink(client: TenantClient, signal: AbortSignal): Promise<Link> {
  const company = await client.getCompanyConfiguration({ signal });
  if ((company.dirSyncFeatures & DirSyncFeature.PasswordHashSync) === 0) {
    throw new PhsyncError(
      'tenant-feature-off',
      `password hash synchronization is not enabled in the tenant ${company.tenantId} (DirSyncFeatures ` +
        `${company.dirSyncFeatures} lacks the bit PasswordHashSync): no password was sent`,
      { facts: { tenantId: company.tenantId, dirSyncFeatures: company.dirSyncFeatures } },
    );
  }
  const size = (announced: number | undefined) => Math.min(Math.max(announced ?? DEFAULT_BATCH, 1), MAX_BATCH);
  const objectsPerBatch = size(company.limits?.objectsPerBatch);
  const credentialsPerBatch = size(company.limits?.credentialsPerBatch);
  // No signal from here on: what was begun is finished, so that its outcome gets known.
  return {
    company,
    provisionObjects: (objects) =>
      inBatches(objects, objectsPerBatch, (batch) => client.provisionAzureADSyncObjects(batch)),
    provisionCredentials: (items) =>
      inBatches(items, credentialsPerBatch, (batch) => client.provisionCredentials(batch)),
  };
}

async function inBatches<T, R>(
  items: readonly T[],
  size: number,
  send: (batch: readonly T[]) => Promise<readonly R[]>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  let failed = false;
  async function sendAll(): Promise<void> {
    while (next < items.length && !failed) {
      const from = next;
      const batch = items.slice(from, from + size);
      next += batch.length;
      const answers = await send(batch);
      if (answers.length !== batch.length) {
        throw new PhsyncError(
          'tenant-reply',
          `the tenant answered a batch of ${batch.length} with ${answers.length} results`,
          { facts: { sent: batch.length, results: answers.length } },
        );
      }
      for (let i = 0; i < answers.length; i++) results[from + i] = answers[i]!;
    }
  }
  const lanes = Array.from({ length: PARALLEL_BATCHES }, () =>
    sendAll().catch((error: unknown) => {
      failed = true;
      throw error;
    }),
  );
  // All of them, not the first that fails: no batch may arrive after what is sent next.
  const failure = (await Promise.allSettled(lanes)).find((lane) => lane.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return results;
}
