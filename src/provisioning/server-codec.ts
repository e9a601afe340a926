/** The service's side of the provisioning wire: requests decoded, replies and faults encoded (SOAP 1.2 in MC-NBFX). */

import { NbfxWriter } from '../protocol/nbfx/writer.js';
import { detailName, type ProvisioningFault, writeFault } from './faults.js';
import {
  CHANGE_NAMESPACE,
  isOperationName,
  type OperationName,
  operation,
  type RequestBodies,
  type Results,
} from './operations.js';
import { actionOf, closeEnvelope, type MessageHeader, openEnvelope, writeEnvelope } from './soap.js';

export type { ProvisioningFault } from './faults.js';
export { MAX_BATCH_ITEMS, type OperationName, type RequestBodies, type Results } from './operations.js';
export { CONTENT_TYPE, MAX_MESSAGE_BYTES, type MessageHeader, type SyncToken } from './soap.js';

/** A request of one of the operations, told apart by `operation`. */
export type KnownRequest = {
  [Name in OperationName]: {
    readonly operation: Name;
    readonly header: MessageHeader;
    readonly body: RequestBodies[Name];
  };
}[OperationName];

/** An operation that this codec does not know: its body was not read. */
export interface UnknownRequest {
  readonly operation: undefined;
  readonly name: string;
  readonly header: MessageHeader;
}

export type ProvisioningRequest = KnownRequest | UnknownRequest;

/** A request whose header was read and whose body was not: check the token first, then call `body`, once. */
export interface OpenedRequest {
  readonly header: MessageHeader;
  /** The Body's element, of a known operation or not. */
  readonly name: string;
  /** @throws ProtocolError when the body is malformed or too large. */
  body(): ProvisioningRequest;
}

/** Reads the header only. @throws ProtocolError */
export function openRequest(bytes: Uint8Array): OpenedRequest {
  const envelope = openEnvelope(bytes);
  const { header, reader } = envelope;
  if (!envelope.hasContent) {
    throw reader.error('soap-structure', 'Body', 'no operation');
  }
  const name = reader.localName;
  const known = reader.namespace === CHANGE_NAMESPACE && isOperationName(name) ? name : undefined;
  return {
    header,
    name,
    body() {
      if (known === undefined) {
        return { operation: undefined, name, header };
      }
      const body = operation(known).request.read(reader);
      closeEnvelope(envelope);
      return { operation: known, header, body } as KnownRequest;
    },
  };
}

/** Reads the whole request. @throws ProtocolError */
export function decodeRequest(bytes: Uint8Array): ProvisioningRequest {
  return openRequest(bytes).body();
}

/** The reply, to be sent with status 200. */
export function encodeResponse<Name extends OperationName>(
  request: { readonly operation: Name; readonly header: Pick<MessageHeader, 'messageId'> },
  result: Results[Name],
): Buffer {
  const { name, result: type } = operation<Name>(request.operation);
  const writer = new NbfxWriter(4096);
  writeEnvelope(writer, { action: actionOf(name, 'Response'), relatesTo: request.header.messageId }, () => {
    writer.startElement('', `${name}Response`);
    writer.xmlns('', CHANGE_NAMESPACE);
    if (type !== undefined) {
      writer.startElement('', `${name}Result`);
      type.write(writer, result);
      writer.endElement();
    }
    writer.endElement();
  });
  return writer.finish();
}

/** The fault, to be sent with status 500. `request` as far as it could be read gives RelatesTo and the action. */
export function encodeFault(
  fault: ProvisioningFault,
  request?: { readonly header: Pick<MessageHeader, 'messageId' | 'action'> },
): Buffer {
  const writer = new NbfxWriter(1024);
  const base = request?.header.action.startsWith(actionOf('')) === true ? request.header.action : actionOf('Unknown');
  const header = { action: `${base}${detailName(fault)}Fault`, relatesTo: request?.header.messageId ?? '' };
  writeEnvelope(writer, header, () => writeFault(writer, fault));
  return writer.finish();
}
