/** What the cycle needs of the tenant, in batches of the size that the tenant takes, and with patience. */

import { PhsyncError } from '../hasher/errors.js';
import type { CallOptions, ProvisioningClient } from '../provisioning/client.js';
import {
  type AzureADSyncObject,
  type AzureADSyncObjectResult,
  type CompanyConfiguration,
  CredentialResult,
  DirSyncFeature,
  type SyncCredentialsChangeItem,
  type SyncCredentialsChangeResult,
} from '../provisioning/types.js';
import { Batches } from './batches.js';
import { askDomainServices } from './domain-services/ask.js';
import { type DomainServicesOffer, type DomainServicesPolicy, VETOED } from './domain-services/offer.js';
import { type EventSink, noEvents } from './events/event.js';
import type { Patience } from './patience.js';
import { errorFields, reportRefusal, withAdvice } from './tenant-errors.js';

export type TenantClient = Pick<
  ProvisioningClient,
  | 'getCompanyConfiguration'
  | 'getWindowsCredentialsSyncConfig'
  | 'provisionAzureADSyncObjects'
  | 'provisionCredentials'
  | 'setCompanyDirsyncFeatures'
>;

/** What Microsoft's service takes at a time. */
const DEFAULT_BATCH = 50;
/** More than any page holds; what a tenant announces beyond it is not used. */
const MAX_BATCH = 10_000;
/** After these a call would end no better, and a timeout takes its time. */
const HOPELESS: ReadonlySet<string> = new Set([
  'provisioning-timeout',
  'provisioning-access-denied',
  'provisioning-not-activated',
  'token-timeout',
  'token-refused',
]);
/** A stop waits so long for the answers that are under way: then it is as if they had been lost. */
const GRACE_MS = 8000;
const ANY: DomainServicesPolicy = { send: 'auto', allowed: undefined };

/** The tenant during one cycle. */
export interface Link {
  readonly company: CompanyConfiguration;
  readonly domainServices: DomainServicesOffer;
  /** One result an object, in order. Rejects with the client's PhsyncError: nothing is known of any of them then. */
  provisionObjects(objects: readonly AzureADSyncObject[]): Promise<AzureADSyncObjectResult[]>;
  provisionCredentials(items: readonly SyncCredentialsChangeItem[]): Promise<SyncCredentialsChangeResult[]>;
  /** The same tenant for one of several connectors: with events of its own, and batches that fail on their own. */
  forConnector(events: EventSink): Link;
}

export interface LinkOptions {
  readonly events?: EventSink | undefined;
  /** Without it each call is made once. */
  readonly patience?: Patience | undefined;
  /** May the agent switch the tenant's feature on again where it finds it off? */
  readonly mayHeal?: ((tenantId: string) => boolean) | undefined;
  /** Undefined: whatever certificate the tenant names. */
  readonly domainServices?: DomainServicesPolicy | undefined;
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined;
}

/**
 * Asks the tenant for its configuration and opens a link of the right batch sizes.
 * @throws PhsyncError `tenant-feature-off` where password hash synchronization is not enabled in the tenant.
 */
export async function openLink(
  client: TenantClient,
  signal: AbortSignal,
  {
    events = noEvents,
    patience,
    mayHeal = () => false,
    domainServices: policy = ANY,
    now = Date.now,
  }: LinkOptions = {},
): Promise<Link> {
  /** The first call that was given up: the cycle ends, and others get one try, for what they can still settle. */
  let givenUp: PhsyncError | undefined;
  async function call<T>(work: (options: CallOptions) => Promise<T>, first = false): Promise<T> {
    if (givenUp !== undefined && HOPELESS.has(givenUp.code)) throw givenUp;
    const attempt = () => (first ? work({ signal }) : withGrace(signal, work));
    try {
      return await (patience === undefined || givenUp !== undefined
        ? attempt()
        : patience.call(attempt, { stop: signal, first }));
    } catch (error) {
      const told = withAdvice(error);
      // A fault may be about what was sent, which is for the sender of the batch to find out.
      if (!(told instanceof PhsyncError) || told.code === 'provisioning-fault') throw told;
      if (givenUp === undefined) reportRefusal(told, events);
      givenUp ??= told;
      throw told;
    }
  }

  let company = await call((options) => client.getCompanyConfiguration(options), true);
  if ((company.dirSyncFeatures & DirSyncFeature.PasswordHashSync) === 0 && mayHeal(company.tenantId)) {
    company = await heal(company, client, call, events);
  }
  if ((company.dirSyncFeatures & DirSyncFeature.PasswordHashSync) === 0) throw featureOff(company);
  // An answer that makes no sense is no sign of a tenant that is away: the calls after it are made as ever.
  const ask = () =>
    call(
      (options) =>
        client.getWindowsCredentialsSyncConfig(options).catch((error: unknown) => {
          if (error instanceof PhsyncError && error.code === 'provisioning-bad-reply') return error;
          throw error;
        }),
      true,
    );
  const domainServices = policy.send === 'never' ? VETOED : await askDomainServices(ask, policy, now);

  const size = (announced: number | undefined) => Math.min(Math.max(announced ?? DEFAULT_BATCH, 1), MAX_BATCH);
  const linkFor = (events: EventSink): Link => {
    const objects = new Batches<AzureADSyncObject, AzureADSyncObjectResult>({
      size: size(company.limits?.objectsPerBatch),
      send: (batch) => call((options) => client.provisionAzureADSyncObjects(batch, options)),
      refused: (_, { code, reason }) => ({
        resultCode: `fault-${code}`,
        resultErrorDescription: reason,
        cloudAnchor: undefined,
        sourceAnchor: undefined,
      }),
    });
    const credentials = new Batches<SyncCredentialsChangeItem, SyncCredentialsChangeResult>({
      size: size(company.limits?.credentialsPerBatch),
      async send(batch) {
        const count = batch.length;
        events.emit(650, { count });
        try {
          const results = await call((options) => client.provisionCredentials(batch, options));
          events.emit(651, { count, failed: results.filter(({ result }) => !isTaken(result)).length });
          return results;
        } catch (error) {
          events.emit(652, { count, ...errorFields(error) });
          throw error;
        }
      },
      refused: ({ cloudAnchor, sourceAnchor }, { reason }) => ({
        cloudAnchor,
        sourceAnchor,
        result: CredentialResult.refusedAlone,
        extendedErrorInformation: reason,
      }),
    });
    return {
      company,
      domainServices,
      provisionObjects: (items) => objects.send(items),
      provisionCredentials: (items) => credentials.send(items),
      forConnector: linkFor,
    };
  };
  return linkFor(events);
}

/** An older change than the tenant's is settled, too: the newer one is there. */
function isTaken(result: number): boolean {
  return result === CredentialResult.success || result === CredentialResult.olderChange;
}

type Call = <T>(work: (options: CallOptions) => Promise<T>, first?: boolean) => Promise<T>;

/** Entra Connect's self-healing: the company feature is on again, and nothing else of the bit set is touched. */
async function heal(
  company: CompanyConfiguration,
  client: TenantClient,
  call: Call,
  events: EventSink,
): Promise<CompanyConfiguration> {
  const { tenantId, dirSyncFeatures } = company;
  events.emit(660, { tenantId, dirSyncFeatures });
  const features = dirSyncFeatures | DirSyncFeature.PasswordHashSync;
  await call((options) => client.setCompanyDirsyncFeatures(features, options), true);
  const after = await call((options) => client.getCompanyConfiguration(options), true);
  const enabled = (after.dirSyncFeatures & DirSyncFeature.PasswordHashSync) !== 0;
  events.emit(661, { tenantId, dirSyncFeatures: after.dirSyncFeatures, enabled });
  return after;
}

function featureOff({ tenantId, dirSyncFeatures }: CompanyConfiguration): PhsyncError {
  return new PhsyncError(
    'tenant-feature-off',
    `password hash synchronization is not enabled in the tenant ${tenantId} (DirSyncFeatures ${dirSyncFeatures} lacks ` +
      'the bit PasswordHashSync): no password was sent. Enable it in the tenant; what changes until then is not lost',
    { facts: { tenantId, dirSyncFeatures } },
  );
}

/**
 * What was begun is finished after a stop, too, so that its outcome gets known; but a tenant that does not answer must
 * not keep the stop waiting.
 */
async function withGrace<T>(stop: AbortSignal, work: (options: CallOptions) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onStop = () => {
    timer = setTimeout(() => controller.abort(), GRACE_MS);
  };
  if (stop.aborted) onStop();
  else stop.addEventListener('abort', onStop, { once: true });
  try {
    return await work({ signal: controller.signal });
  } finally {
    stop.removeEventListener('abort', onStop);
    clearTimeout(timer);
  }
}
