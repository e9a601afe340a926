/** The service's side of the provisioning wire: requests decoded, replies and faults encoded (SOAP 1.2 in MC-NBFX). */

import type { OperationName, RequestBodies, Results } from './operations.js';

/** The SyncToken header block. Absent children are empty strings. */
export interface SyncToken {
  readonly applicationId: string;
  readonly bearerToken: string;
  readonly clientVersion: string;
  readonly dirSyncBuildNumber: string;
  readonly fimBuildNumber: string;
  readonly languageId: string;
  readonly protocolVersion: string;
  readonly trackingId: string;
  readonly isInstalledOnDC: boolean;
  readonly richCoexistenceEnabled: boolean;
}

export interface RequestHeader {
  /** The Action's URI. */
  readonly action: string;
  /** `urn:uuid:…`; empty where the client sent none. */
  readonly messageId: string;
  readonly to: string;
  readonly syncToken: SyncToken | undefined;
}

/** A request of one of the operations, told apart by `operation`. */
export type KnownRequest = {
  [Name in OperationName]: {
    readonly operation: Name;
    readonly header: RequestHeader;
    readonly body: RequestBodies[Name];
  };
}[OperationName];

/** An operation that this codec does not know: its body was not read. */
export interface UnknownRequest {
  readonly operation: undefined;
  readonly name: string;
  readonly header: RequestHeader;
}

export type ProvisioningRequest = KnownRequest | UnknownRequest;

/** A request whose header was read and whose body was not: check the token first, then `body()`. */
export interface OpenedRequest {
  readonly header: RequestHeader;
  /** @throws ProtocolError when the body is malformed or too large. */
  body(): ProvisioningRequest;
}

export type ProvisioningFault =
  | {
      /** Sender: the request was at fault; Receiver: the service was. */
      readonly code: 'Sender' | 'Receiver';
      /** e.g. `InvalidSecurityToken`: makes the client ask for a fresh token once. */
      readonly subcode?: string;
      readonly reason: string;
      /** AdminWebServiceFault/ErrorCode: a number as in ProvisioningErrorCode, or a name such as `AccessDenied`. */
      readonly errorCode: string | number;
      readonly errorDescription: string;
      readonly trackingId: string;
      readonly serverName: string;
    }
  | { readonly redirectUrl: string };

/** The Content-Type of requests, replies and faults. Faults travel with HTTP status 500. */
export const CONTENT_TYPE = 'application/soap+msbin1';

/** No request or reply is larger, whatever the tenant allows. */
export const MAX_MESSAGE_BYTES = 32 * 2 ** 20;
/** No batch holds more items, whatever the tenant allows. */
export const MAX_BATCH_ITEMS = 10_000;

/** Reads the header only. @throws ProtocolError */
export declare function openRequest(bytes: Uint8Array): OpenedRequest;
/** Reads the whole request. @throws ProtocolError */
export declare function decodeRequest(bytes: Uint8Array): ProvisioningRequest;
export declare function encodeResponse<Name extends OperationName>(
  request: { readonly operation: Name; readonly header: RequestHeader },
  result: Results[Name],
): Buffer;
/** `request` gives RelatesTo and the operation's name where the request could be read that far. */
export declare function encodeFault(fault: ProvisioningFault, request?: ProvisioningRequest | OpenedRequest): Buffer;
