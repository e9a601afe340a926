/** The agent's side of the provisioning wire: SOAP 1.2 in MC-NBFX over HTTPS. */

import { randomUUID } from 'node:crypto';
import type { Agent, Dispatcher } from 'undici';
import { PhsyncError } from '../hasher/errors.js';
import { ProtocolError } from '../protocol/errors.js';
import { decodeReply, encodeRequest, type Reply } from './client-codec.js';
import type { ReceivedFault } from './faults.js';
import { createAgent, type HttpReply, type HttpSettings, post } from './http.js';
import type { OperationName, RequestBodies, Results } from './operations.js';
import { CONTENT_TYPE, MAX_MESSAGE_BYTES } from './soap.js';
import {
  type AzureADSyncObject,
  type AzureADSyncObjectResult,
  type CompanyConfiguration,
  ProvisioningErrorCode,
  type SyncCredentialsChangeItem,
  type SyncCredentialsChangeResult,
  type WindowsCredentialsSyncConfig,
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
  /** Ends the client's own connections; calls under way reject with `provisioning-aborted`. */
  close(): Promise<void>;
}

/** AAD Connect's application id, which the service knows. */
const APPLICATION_ID = '1651564e-7ce4-4d99-88be-0a65050d8dc3';
const CLIENT_VERSION = '8.0';
const BUILD = '2.4.21.0';
const MAX_REDIRECTS = 3;
const DEFAULT_TIMEOUT_MS = 100_000;
/** Fault subcodes of WS-Security that a fresh token may cure. */
const TOKEN_SUBCODES = new Set(['InvalidSecurityToken', 'FailedAuthentication', 'SecurityTokenUnavailable']);
const ACCESS_DENIED = /access\s?denied|access\b.{0,80}\bdenied/i;

/** @throws TypeError, RangeError for wrong options */
export function createProvisioningClient(options: ProvisioningClientOptions): ProvisioningClient {
  return new Client(options);
}

class Client implements ProvisioningClient {
  readonly #options: ProvisioningClientOptions;
  readonly #ownAgent: Agent | undefined;
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
    this.#ownAgent = options.dispatcher === undefined ? createAgent(options.ca) : undefined;
    this.#settings = {
      dispatcher: options.dispatcher ?? this.#ownAgent!,
      codePrefix: 'provisioning',
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      caFile: options.caFile,
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
    const anchors = objects.map(({ propertyValues }) => [
      propertyValues.get('SourceAnchor'),
      propertyValues.get('CloudAnchor'),
    ]);
    return inOrderOf(anchors, results, 'ProvisionAzureADSyncObjects');
  }

  async provisionCredentials(
    items: readonly SyncCredentialsChangeItem[],
    options?: CallOptions,
  ): Promise<readonly SyncCredentialsChangeResult[]> {
    const { results } = await this.#call('ProvisionCredentials', { items }, options);
    const anchors = items.map(({ sourceAnchor, cloudAnchor }) => [sourceAnchor, cloudAnchor]);
    return inOrderOf(anchors, results, 'ProvisionCredentials');
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
    let forceRefresh = false;
    let redirects = 0;
    for (;;) {
      const url = this.#url;
      const reply = await this.#exchange(name, body, url, await this.#options.token(forceRefresh), signal);
      if (reply.fault === undefined) {
        return reply.result;
      }
      const { fault } = reply;
      if (fault.redirectUrl !== '') {
        if (++redirects > MAX_REDIRECTS) {
          throw new PhsyncError('provisioning-redirect', `${url.host} redirects more than ${MAX_REDIRECTS} times`, {
            facts: { operation: name, url: url.href, redirects },
          });
        }
        this.#url = redirectTarget(url, fault.redirectUrl);
      } else if (!forceRefresh && TOKEN_SUBCODES.has(fault.subcode)) {
        forceRefresh = true;
      } else {
        throw faultError(name, url, fault);
      }
    }
  }

  async #exchange<Name extends OperationName>(
    name: Name,
    body: RequestBodies[Name],
    url: URL,
    bearerToken: string,
    signal: AbortSignal | undefined,
  ): Promise<Reply<Name>> {
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
    return readReply(name, url, reply);
  }
}

/** @throws PhsyncError `provisioning-bad-reply`, `provisioning-access-denied`, `provisioning-busy` */
function readReply<Name extends OperationName>(name: Name, url: URL, reply: HttpReply): Reply<Name> {
  const { status, contentType } = reply;
  const facts = { operation: name, url: url.href, status, contentType };
  if (contentType !== CONTENT_TYPE) {
    if (status === 401) {
      // Told as the fault that it stands for, so that a refused token is handled in one place.
      return { fault: { ...NO_FAULT, code: 'Sender', subcode: 'InvalidSecurityToken', reason: 'HTTP status 401' } };
    }
    if (status === 403) {
      throw new PhsyncError('provisioning-access-denied', `${url.host} refuses ${name} with HTTP status 403`, {
        facts,
      });
    }
    if (status === 429 || status === 503) {
      throw new PhsyncError('provisioning-busy', `${url.host} is busy (HTTP status ${status}); try again later`, {
        facts: { ...facts, retryable: true },
      });
    }
    throw new PhsyncError(
      'provisioning-bad-reply',
      `${url.href} answered ${name} with HTTP status ${status} and ${contentType === '' ? 'no content type' : contentType}, ` +
        `expected ${CONTENT_TYPE}: is it a provisioning service?`,
      { facts },
    );
  }
  let decoded: Reply<Name>;
  try {
    decoded = decodeReply(name, reply.body);
  } catch (error) {
    if (!(error instanceof ProtocolError)) {
      throw error;
    }
    throw new PhsyncError('provisioning-bad-reply', `${url.host} answered ${name} with ${error.message}`, {
      cause: error,
      facts,
    });
  }
  if (decoded.fault === undefined && status !== 200) {
    throw new PhsyncError('provisioning-bad-reply', `${url.host} answered ${name} with HTTP status ${status}`, {
      facts,
    });
  }
  return decoded;
}

const NO_FAULT: ReceivedFault = {
  code: '',
  subcode: '',
  reason: '',
  errorCode: '',
  errorDescription: '',
  trackingId: '',
  serverName: '',
  redirectUrl: '',
};

/** The bearer token goes to this address: never to a weaker scheme than before. */
function redirectTarget(from: URL, text: string): URL {
  const to = URL.canParse(text) ? new URL(text) : undefined;
  if (
    to === undefined ||
    (to.protocol !== 'https:' && to.protocol !== from.protocol) ||
    to.username !== '' ||
    to.password !== ''
  ) {
    throw new PhsyncError('provisioning-redirect', `${from.host} redirects to an address that is not taken`, {
      facts: { url: from.href, target: to === undefined ? text.slice(0, 200) : `${to.protocol}//${to.host}` },
    });
  }
  return to;
}

function faultError(name: OperationName, url: URL, fault: ReceivedFault): PhsyncError {
  const { errorCode, trackingId, serverName, subcode } = fault;
  const description = (fault.errorDescription || fault.reason || 'no reason given').slice(0, 1000);
  const facts = { operation: name, url: url.href, errorCode, trackingId, serverName };
  if (errorCode === String(ProvisioningErrorCode.directoryBusy)) {
    return new PhsyncError('provisioning-busy', `the directory is busy; try again later: ${description}`, {
      facts: { ...facts, retryable: true },
    });
  }
  if (errorCode === String(ProvisioningErrorCode.passwordSyncNotActivated)) {
    return new PhsyncError(
      'provisioning-not-activated',
      `password hash synchronization is not activated in the tenant: ${description}`,
      { facts },
    );
  }
  if (
    TOKEN_SUBCODES.has(subcode) ||
    ACCESS_DENIED.test(errorCode) ||
    ACCESS_DENIED.test(fault.errorDescription) ||
    ACCESS_DENIED.test(fault.reason)
  ) {
    return new PhsyncError('provisioning-access-denied', `${url.host} denies ${name}: ${description}`, { facts });
  }
  return new PhsyncError('provisioning-fault', `${url.host} answered ${name} with a fault: ${description}`, { facts });
}

/** Results by the anchors of what was sent. @throws PhsyncError `provisioning-bad-reply` unless they match one to one */
function inOrderOf<R extends { readonly sourceAnchor: string | undefined; readonly cloudAnchor: string | undefined }>(
  anchors: readonly (readonly unknown[])[],
  results: readonly R[],
  name: OperationName,
): readonly R[] {
  const matches = (result: R | undefined, [source, cloud]: readonly unknown[]) =>
    result !== undefined &&
    (typeof source === 'string' ? result.sourceAnchor === source : result.cloudAnchor === cloud);
  if (results.length === anchors.length && anchors.every((anchor, i) => matches(results[i], anchor))) {
    return results;
  }
  const bySource = new Map(results.map((result) => [result.sourceAnchor, result]));
  const byCloud = new Map(results.map((result) => [result.cloudAnchor, result]));
  const ordered = anchors.map(([source, cloud]) =>
    typeof source === 'string' ? bySource.get(source) : byCloud.get(cloud as string),
  );
  if (results.length !== anchors.length || ordered.includes(undefined)) {
    throw new PhsyncError('provisioning-bad-reply', `${name}: the results do not match what was sent`, {
      facts: { operation: name, sent: anchors.length, results: results.length },
    });
  }
  return ordered as R[];
}
