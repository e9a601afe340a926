/** The agent's side of the provisioning messages: requests encoded, replies decoded. */

import { NbfxWriter } from '../protocol/nbfx/writer.js';
import { type ReceivedFault, readFault } from './faults.js';
import { CHANGE_NAMESPACE, type OperationName, operation, type RequestBodies, type Results } from './operations.js';
import { actionOf, closeEnvelope, openEnvelope, SOAP_NAMESPACE, type SyncToken, writeEnvelope } from './soap.js';

export type Reply<Name extends OperationName> =
  | { readonly fault: ReceivedFault }
  | { readonly fault: undefined; readonly result: Results[Name] };

/** `messageId` is `urn:uuid:…`. @throws RangeError for a value that the wire cannot carry */
export function encodeRequest<Name extends OperationName>(
  name: Name,
  body: RequestBodies[Name],
  header: { readonly messageId: string; readonly to: string; readonly syncToken: SyncToken },
): Buffer {
  const writer = new NbfxWriter(16_384);
  writeEnvelope(writer, { ...header, action: actionOf(name) }, () => {
    writer.startElement('', name);
    writer.xmlns('', CHANGE_NAMESPACE);
    operation(name).request.write(writer, body);
    writer.endElement();
  });
  return writer.finish();
}

/** @throws ProtocolError when it is neither the operation's reply nor a fault */
export function decodeReply<Name extends OperationName>(name: Name, bytes: Uint8Array): Reply<Name> {
  const envelope = openEnvelope(bytes);
  const { reader } = envelope;
  if (!envelope.hasContent) {
    throw reader.error('soap-structure', 'Body', `expected ${name}Response, found nothing`);
  }
  if (reader.localName === 'Fault' && reader.namespace === SOAP_NAMESPACE) {
    const fault = readFault(reader);
    closeEnvelope(envelope);
    return { fault };
  }
  if (reader.localName !== `${name}Response` || reader.namespace !== CHANGE_NAMESPACE) {
    throw reader.error('soap-structure', 'Body', `expected ${name}Response`);
  }
  const { result: type } = operation<Name>(name);
  let result: Results[Name] | undefined;
  while (reader.nextChild()) {
    if (type !== undefined && reader.localName === `${name}Result`) {
      if (result !== undefined) {
        throw reader.error('soap-structure', `${name}Response`, `${name}Result stands twice`);
      }
      result = type.read(reader);
    } else {
      reader.skip();
    }
  }
  if (type !== undefined && result === undefined) {
    throw reader.error('soap-structure', `${name}Response`, `no ${name}Result`);
  }
  closeEnvelope(envelope);
  return { fault: undefined, result: result as Results[Name] };
}
