/** What each operation of IProvisioningWebService does in this tenant. */

import type { RequestBodies, Results } from '../../provisioning/operations.js';
import type { KnownRequest } from '../../provisioning/server-codec.js';
import {
  type AzureADSyncObjectResult,
  type CompanyConfiguration,
  DirSyncFeature,
  dirSyncFeatureNames,
  ProvisioningErrorCode,
} from '../../provisioning/types.js';
import { createAuditLog } from '../audit/audit-log.js';
import type { TenantContext } from '../context.js';
import { windowsCredentialsSyncConfig } from '../domain-services/sync-config.js';
import {
  type CompanyFeatures,
  changeCompanyFeatures,
  readCompanyFeatures,
  warningOf,
} from '../policies/company-features.js';
import type { UserChange } from '../store/changes.js';
import { provisionCredentials } from './credentials.js';
import { limits } from './limits.js';
import { toObjectResult, toUserChange } from './objects.js';
import { AgentGuard } from './own-users.js';

/** A new tenant's features. */
export const INITIAL_FEATURES = DirSyncFeature.PasswordHashSync;
const MAX_FEATURES = 0x7fff_ffff;
/** Of a batch's users that belong to another agent: an agent may bring them again and again. */
const CLAIMS_LOGGED = 10;

/** An operation that is refused as a whole: the AdminWebServiceFault's code and words. */
export class OperationFault extends Error {
  override readonly name = 'OperationFault';

  constructor(
    readonly sender: boolean,
    readonly errorCode: string | number,
    message: string,
  ) {
    super(message);
  }
}

/** The result, and how many items were taken and refused, for the log. */
export interface Executed<Result> {
  readonly result: Result;
  readonly items?: number;
  readonly refused?: number;
}

/** `actor` is the agent's client id. @throws OperationFault, and what the store throws. */
export function execute(
  request: KnownRequest,
  context: TenantContext,
  actor: string,
): Promise<Executed<Results[keyof Results]>> {
  switch (request.operation) {
    case 'GetCompanyConfiguration':
      return getCompanyConfiguration(context);
    case 'SetCompanyDirsyncFeatures':
      return setCompanyDirsyncFeatures(request.body, context, actor);
    case 'ProvisionAzureADSyncObjects':
      return provisionObjects(request.body, context, actor);
    case 'ProvisionCredentials':
      return provisionAllCredentials(request.body, context, actor);
    case 'GetWindowsCredentialsSyncConfig':
      return getWindowsCredentialsSyncConfig(context);
    case 'FinalizeExport': {
      const { totalExported, successfulExportCount } = request.body;
      return Promise.resolve({
        result: undefined,
        items: totalExported,
        refused: totalExported - successfulExportCount,
      });
    }
  }
}

async function getCompanyConfiguration(context: TenantContext): Promise<Executed<CompanyConfiguration>> {
  const features = await context.store.database.run((queries) => readCompanyFeatures(queries));
  const dirSyncFeatures = features.dirsync_features;
  return {
    result: {
      tenantId: context.store.tenantId,
      displayName: context.displayName,
      dirSyncFeatures,
      isDirSyncing: true,
      isPasswordSyncing: (dirSyncFeatures & DirSyncFeature.PasswordHashSync) !== 0,
      allowedFeatures: 'None',
      dirSyncConfiguration: {
        anchorAttribute: undefined,
        applicationVersion: undefined,
        clientVersion: undefined,
        isTrackingChanges: false,
        preventAccidentalDeletion: toDeletionPrevention(features),
      },
      maxLinksSupportedAcrossBatchInProvision2: 0,
      synchronizationInterval: 'PT30M',
      limits,
    },
  };
}

async function getWindowsCredentialsSyncConfig({
  store,
}: TenantContext): Promise<Executed<Results['GetWindowsCredentialsSyncConfig']>> {
  return { result: await store.database.run(windowsCredentialsSyncConfig) };
}

/** Graph's words to the wire's. */
function toDeletionPrevention({ deletion_prevention, deletion_threshold }: CompanyFeatures) {
  return {
    deletionPrevention: `${deletion_prevention[0]!.toUpperCase()}${deletion_prevention.slice(1)}`,
    thresholdCount: deletion_prevention === 'enabledForCount' ? deletion_threshold : 0,
    thresholdPercentage: deletion_prevention === 'enabledForPercentage' ? deletion_threshold : 0,
  };
}

async function setCompanyDirsyncFeatures(
  { dirsyncFeatures }: RequestBodies['SetCompanyDirsyncFeatures'],
  { store, log, now }: TenantContext,
  actor: string,
): Promise<Executed<undefined>> {
  if (!Number.isInteger(dirsyncFeatures) || dirsyncFeatures < 0 || dirsyncFeatures > MAX_FEATURES) {
    throw new OperationFault(true, 'InvalidParameter', `dirsyncFeatures: expected 0 to ${MAX_FEATURES}`);
  }
  const { database } = store;
  const audit = createAuditLog(database, now);
  const warning = await database.transaction(async (queries) => {
    const { before, after } = await changeCompanyFeatures(queries, database.dialect, {
      now: now(),
      change: (stored) => ({ ...stored, dirsync_features: dirsyncFeatures }),
    });
    // An agent says it at every start.
    if (before.dirsync_features === dirsyncFeatures) return undefined;
    await audit.record(
      {
        actor: { kind: 'app', id: actor },
        activity: 'Set DirSync feature',
        category: 'DirectoryManagement',
        target: { kind: 'Directory', id: store.tenantId },
        result: 'success',
        details: {
          dirSyncFeatures: {
            old: dirSyncFeatureNames(before.dirsync_features),
            new: dirSyncFeatureNames(dirsyncFeatures),
          },
        },
      },
      queries,
    );
    return warningOf(before, after);
  });
  const features = { dirsyncFeatures, features: dirSyncFeatureNames(dirsyncFeatures) };
  log.info(features, 'company features set');
  if (warning !== undefined) log.warn(features, warning);
  return { result: undefined };
}

async function provisionObjects(
  { objects }: RequestBodies['ProvisionAzureADSyncObjects'],
  { store, domains, agents, log }: TenantContext,
  actor: string,
): Promise<Executed<Results['ProvisionAzureADSyncObjects']>> {
  checkBatch('SyncObjects', objects.length, limits.objectsPerBatch);
  const own = agents.of(actor);
  const guard = agents.areApart ? new AgentGuard(agents, actor) : undefined;
  const converted = objects.map((object) => toUserChange(object, domains, own));
  const changes = converted.filter((change): change is UserChange => 'kind' in change);
  const outcomes = (await store.applyUsers(changes, guard)).values();
  let refused = 0;
  const results = converted.map((change): AzureADSyncObjectResult => {
    const result =
      'kind' in change
        ? toObjectResult(change.sourceAnchor, outcomes.next().value!, () => guard?.wordsOf(change) ?? '')
        : change;
    if (result.resultCode !== 'Success') refused++;
    return result;
  });
  const claims = guard?.claims() ?? [];
  if (claims.length > 0) {
    log.warn(
      { clientId: actor, claims: claims.length, users: claims.slice(0, CLAIMS_LOGGED) },
      'an agent brought users that are of other domains or belong to another agent: they were refused',
    );
  }
  return { result: { results }, items: objects.length, refused };
}

async function provisionAllCredentials(
  { items }: RequestBodies['ProvisionCredentials'],
  { store, now, agents }: TenantContext,
  actor: string,
): Promise<Executed<Results['ProvisionCredentials']>> {
  checkBatch('RequestItems', items.length, limits.credentialsPerBatch);
  const features = await store.dirSyncFeatures();
  if ((features & DirSyncFeature.PasswordHashSync) === 0) {
    throw new OperationFault(
      true,
      ProvisioningErrorCode.passwordSyncNotActivated,
      'Password synchronization is not activated for this company.',
    );
  }
  const disableExpiration = (features & DirSyncFeature.EnforceCloudPasswordPolicyForPasswordSyncedUsers) === 0;
  const guard = agents.areApart ? new AgentGuard(agents, actor) : undefined;
  const results = await provisionCredentials(items, store, { disableExpiration, actor, guard }, now());
  return { result: { results }, items: items.length, refused: results.filter(({ result }) => result !== 0).length };
}

function checkBatch(name: string, length: number, most: number): void {
  if (length > most)
    throw new OperationFault(true, 'BatchTooLarge', `${name}: ${length} items, at most ${most} are taken`);
}
