/** The agent's side of the provisioning wire: SOAP 1.2 in MC-NBFX over HTTPS. */

import type { Dispatcher } from 'undici';
import type {
  AzureADSyncObject,
  AzureADSyncObjectResult,
  CompanyConfiguration,
  SyncCredentialsChangeItem,
  SyncCredentialsChangeResult,
  WindowsCredentialsSyncConfig,
} from './types.js';

export interface ProvisioningClientOptions {
  /** `https://host/provisioningservice.svc`; `http:` only where the caller means it (tests on loopback). */
  readonly url: string;
  /** Takes the place of the client's own connections (then `ca` is not used). */
  readonly dispatcher?: Dispatcher;
  /** PEM certificates to trust in place of the system's. */
  readonly ca?: string | Buffer;
  /** The bearer token; `forceRefresh` after the service refused the last one. */
  readonly token: (forceRefresh: boolean) => Promise<string>;
  /** DirSyncBuildNumber and FIMBuildNumber. The service refuses old ones with time. */
  readonly build?: string;
  readonly applicationId?: string;
  readonly clientVersion?: string;
  readonly tenantId?: string;
  /** For one HTTP exchange; default 100 s. */
  readonly timeoutMs?: number;
  /** Largest reply body taken; default 32 MiB. */
  readonly maxReplyBytes?: number;
  /** A new message id, default crypto.randomUUID. */
  readonly uuid?: () => string;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/**
 * Every method rejects with a PhsyncError: `provisioning-fault` (facts errorCode, trackingId, serverName),
 * `provisioning-busy` (81; try again later), `provisioning-not-activated` (90), `provisioning-access-denied`,
 * `provisioning-unreachable`, `provisioning-timeout`, `provisioning-tls`, `provisioning-redirect`,
 * `provisioning-bad-reply`, `provisioning-aborted`. What the token function throws passes through.
 */
export interface ProvisioningClient {
  /** Where requests go now: the address given, or the one that the service redirected to. */
  readonly url: string;
  getCompanyConfiguration(options?: CallOptions): Promise<CompanyConfiguration>;
  /** One result an object, in order. */
  provisionAzureADSyncObjects(
    objects: readonly AzureADSyncObject[],
    options?: CallOptions,
  ): Promise<readonly AzureADSyncObjectResult[]>;
  /** One result an item, in order. */
  provisionCredentials(
    items: readonly SyncCredentialsChangeItem[],
    options?: CallOptions,
  ): Promise<readonly SyncCredentialsChangeResult[]>;
  /** The whole bit set: read it first, then change bits. */
  setCompanyDirsyncFeatures(features: number, options?: CallOptions): Promise<void>;
  getWindowsCredentialsSyncConfig(options?: CallOptions): Promise<WindowsCredentialsSyncConfig>;
  finalizeExport(totalExported: number, successfulExportCount: number, options?: CallOptions): Promise<void>;
  /** Closes the client's own connections. */
  close(): Promise<void>;
}

export declare function createProvisioningClient(options: ProvisioningClientOptions): ProvisioningClient;
