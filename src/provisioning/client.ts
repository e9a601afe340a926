/** The agent's side of the provisioning wire: SOAP 1.2 in MC-NBFX over HTTPS. */

import { randomUUID } from 'node:crypto';
import type { Dispatcher } from 'undici';
import { PhsyncError } from '../hasher/errors.js';
import { encodeRequest, type Reply } from './client-codec.js';
import { type HttpReply, type HttpSettings, openDispatcher, type ProxySettings, post, retryAfterMs } from './http.js';
import type { OperationName, RequestBodies, Results } from './operations.js';
import { faultError, readReply, redirectTarget, TOKEN_SUBCODES } from './reply.js';
import { CONTENT_TYPE, MAX_MESSAGE_BYTES } from './soap.js';
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
  /** The file that `ca` was read from, for errors. */
  readonly caFile?: string | undefined;
  readonly proxy?: ProxySettings | undefined;
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
  /** Milliseconds since 1970, default Date.now. */
  readonly now?: () => number;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/**
 * Every method rejects with a PhsyncError: `provisioning-fault` (facts faultCode, faultSubcode, errorCode, trackingId,
 * serverName), `provisioning-busy` (81, HTTP 429 and 503; fact retryAfterMs where the service named it),
 * `provisioning-unavailable` (HTTP 500, 502, 504 without a fault), `provisioning-not-activated` (90), `provisioning-access-denied`,
 * `provisioning-unreachable`, `provisioning-proxy`, `provisioning-timeout`, `provisioning-tls`,
 * `provisioning-redirect`, `provisioning-bad-reply`, `provisioning-aborted`. What the token function throws passes
 * through. All operations may be sent again: the service ends up with the same.
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
  /** Ends the client's own connections; calls under way reject with `provisioning-aborted`. */
  close(): Promise<void>;
}

/** AAD Connect's application id, which the service knows. */
const APPLICATION_ID = '1651564e-7ce4-4d99-88be-0a65050d8dc3';
const CLIENT_VERSION = '8.0';
const BUILD = '2.4.21.0';
const MAX_REDIRECTS = 3;
const DEFAULT_TIMEOUT_MS = 100_000;

/** @throws TypeError, RangeError for wrong options */
export function createProvisioningClient(options: ProvisioningClientOptions): ProvisioningClient {
  return new Client(options);
}

class Client implements ProvisioningClient {
  readonly #options: ProvisioningClientOptions;
  readonly #ownAgent: Dispatcher | undefined;
  readonly #settings: HttpSettings;
  readonly #configuredUrl: URL;
  #url: URL;

  constructor(options: ProvisioningClientOptions) {
    const url = new URL(options.url);
    if (url.protocol !== 'https:' && url.protocol !== 'http:') {
      throw new RangeError(`the provisioning url must begin with https:, not ${url.protocol}`);
    }
    this.#options = options;
    this.#configuredUrl = url;
    this.#url = url;
    this.#ownAgent = options.dispatcher === undefined ? openDispatcher(options.ca, options.proxy) : undefined;
    this.#settings = {
      dispatcher: options.dispatcher ?? this.#ownAgent!,
      codePrefix: 'provisioning',
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      caFile: options.caFile,
      proxy: options.proxy && new URL(options.proxy.url).host,
      maxReplyBytes: Math.min(options.maxReplyBytes ?? MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES),
    };
  }

  get url(): string {
    return this.#url.href;
  }

  getCompanyConfiguration(options?: CallOptions): Promise<CompanyConfiguration> {
    return this.#call('GetCompanyConfiguration', { includeLicenseInformation: false }, options);
  }

  async provisionAzureADSyncObjects(
    objects: readonly AzureADSyncObject[],
    options?: CallOptions,
  ): Promise<readonly AzureADSyncObjectResult[]> {
    const { results } = await this.#call('ProvisionAzureADSyncObjects', { objects }, options);
    const source = objects.map(({ propertyValues }) => propertyValues.get('SourceAnchor'));
    const cloud = (i: number) => objects[i]!.propertyValues.get('CloudAnchor');
    return inOrderOf(source, cloud, results, 'ProvisionAzureADSyncObjects');
  }

  async provisionCredentials(
    items: readonly SyncCredentialsChangeItem[],
    options?: CallOptions,
  ): Promise<readonly SyncCredentialsChangeResult[]> {
    const { results } = await this.#call('ProvisionCredentials', { items }, options);
    const source = items.map(({ sourceAnchor }) => sourceAnchor);
    return inOrderOf(source, (i) => items[i]!.cloudAnchor, results, 'ProvisionCredentials');
  }

  async setCompanyDirsyncFeatures(features: number, options?: CallOptions): Promise<void> {
    await this.#call('SetCompanyDirsyncFeatures', { dirsyncFeatures: features }, options);
  }

  getWindowsCredentialsSyncConfig(options?: CallOptions): Promise<WindowsCredentialsSyncConfig> {
    return this.#call('GetWindowsCredentialsSyncConfig', {}, options);
  }

  async finalizeExport(totalExported: number, successfulExportCount: number, options?: CallOptions): Promise<void> {
    await this.#call('FinalizeExport', { totalExported, successfulExportCount }, options);
  }

  async close(): Promise<void> {
    await this.#ownAgent?.destroy();
  }

  /** One operation, over redirects and one token refresh. */
  async #call<Name extends OperationName>(
    name: Name,
    body: RequestBodies[Name],
    { signal }: CallOptions = {},
  ): Promise<Results[Name]> {
    const { token } = this.#options;
    let bearerToken = await token(false);
    let refreshed = false;
    let redirects = 0;
    for (;;) {
      const url = this.#url;
      const { reply, retryAfter } = await this.#exchange(name, body, url, bearerToken, signal);
      if (reply.fault === undefined) {
        return reply.result;
      }
      const { fault } = reply;
      if (fault.redirectUrl !== '') {
        if (++redirects > MAX_REDIRECTS) {
          this.#url = this.#configuredUrl;
          throw new PhsyncError('provisioning-redirect', `${url.host} redirects more than ${MAX_REDIRECTS} times`, {
            facts: { operation: name, url: url.href, redirects },
          });
        }
        this.#url = redirectTarget(url, fault.redirectUrl);
      } else if (!refreshed && TOKEN_SUBCODES.has(fault.subcode)) {
        refreshed = true;
        const refused = bearerToken;
        // Another call may have fetched a new one meanwhile: one refresh for all of them.
        bearerToken = await token(false);
        if (bearerToken === refused) bearerToken = await token(true);
      } else {
        throw faultError(name, url, fault, retryAfter);
      }
    }
  }

  async #exchange<Name extends OperationName>(
    name: Name,
    body: RequestBodies[Name],
    url: URL,
    bearerToken: string,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly reply: Reply<Name>; readonly retryAfter: number | undefined }> {
    const { applicationId = APPLICATION_ID, clientVersion = CLIENT_VERSION, build = BUILD, tenantId } = this.#options;
    const id = (this.#options.uuid ?? randomUUID)();
    const message = encodeRequest(name, body, {
      messageId: `urn:uuid:${id}`,
      to: url.href,
      syncToken: {
        applicationId,
        bearerToken,
        clientVersion,
        dirSyncBuildNumber: build,
        fimBuildNumber: build,
        isInstalledOnDC: false,
        issueDateTime: '0001-01-01T00:00:00',
        languageId: 'en-US',
        liveToken: '',
        protocolVersion: '2.0',
        richCoexistenceEnabled: false,
        trackingId: id,
      },
    });
    const headers = {
      'content-type': CONTENT_TYPE,
      'user-agent': '',
      'client-request-id': id,
      'x-ms-aadmsods-appid': applicationId,
      'x-ms-aadmsods-apiaction': name,
      'x-ms-aadmsods-clientversion': clientVersion,
      'x-ms-aadmsods-dirsyncbuildnumber': build,
      'x-ms-aadmsods-fimbuildnumber': build,
      ...(tenantId === undefined ? {} : { 'x-ms-aadmsods-tenantid': tenantId }),
    };
    let reply: HttpReply;
    try {
      reply = await post(this.#settings, url, headers, message, signal);
    } catch (error) {
      // The address redirected to may be gone: the next call asks the configured one again.
      this.#url = this.#configuredUrl;
      throw error;
    }
    const now = (this.#options.now ?? Date.now)();
    return { reply: readReply(name, url, reply, now), retryAfter: retryAfterMs(reply.retryAfter, now) };
  }
}

/** Results by the anchors of what was sent. @throws PhsyncError `provisioning-bad-reply` unless they match one to one */
function inOrderOf<R extends { readonly sourceAnchor: string | undefined; readonly cloudAnchor: string | undefined }>(
  sourceAnchors: readonly unknown[],
  cloudAnchorOf: (i: number) => unknown,
  results: readonly R[],
  name: OperationName,
): readonly R[] {
  const matches = (source: unknown, i: number) =>
    typeof source === 'string' ? results[i]!.sourceAnchor === source : results[i]!.cloudAnchor === cloudAnchorOf(i);
  if (results.length === sourceAnchors.length && sourceAnchors.every(matches)) {
    return results;
  }
  const bySource = new Map<unknown, R>(results.map((result) => [result.sourceAnchor, result]));
  const byCloud = new Map<unknown, R>(results.map((result) => [result.cloudAnchor, result]));
  const ordered = sourceAnchors.map((source, i) =>
    typeof source === 'string' ? bySource.get(source) : byCloud.get(cloudAnchorOf(i)),
  );
  if (results.length !== sourceAnchors.length || ordered.includes(undefined)) {
    throw new PhsyncError('provisioning-bad-reply', `${name}: the results do not match what was sent`, {
      facts: { operation: name, sent: sourceAnchors.length, results: results.length },
    });
  }
  return ordered as R[];
}
