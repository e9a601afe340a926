/** SOAP 1.2 faults of the provisioning service: AdminWebServiceFault and BindingRedirectionFault, both ways. */

import { type NbfxReader, NodeType } from '../protocol/nbfx/reader.js';
import type { NbfxWriter } from '../protocol/nbfx/writer.js';
import { CHANGE_NAMESPACE } from './operations.js';
import { SOAP_NAMESPACE } from './soap.js';

const WSSE_NAMESPACE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd';

export type ProvisioningFault =
  | {
      /** Sender: the request was at fault; Receiver: the service was. */
      readonly code: 'Sender' | 'Receiver';
      /** e.g. `InvalidSecurityToken`, which makes the client ask for a fresh token once. */
      readonly subcode?: string;
      readonly reason: string;
      /** AdminWebServiceFault/ErrorCode: a number as in ProvisioningErrorCode, or a name such as `AccessDenied`. */
      readonly errorCode: string | number;
      readonly errorDescription: string;
      readonly trackingId: string;
      readonly serverName: string;
    }
  | { readonly redirectUrl: string };

/** A fault as read: what was absent is an empty string. */
export interface ReceivedFault {
  readonly code: string;
  readonly subcode: string;
  readonly reason: string;
  readonly errorCode: string;
  readonly errorDescription: string;
  readonly trackingId: string;
  readonly serverName: string;
  readonly redirectUrl: string;
}

export function detailName(fault: ProvisioningFault): string {
  return 'redirectUrl' in fault ? 'BindingRedirectionFault' : 'AdminWebServiceFault';
}

/** The Body's content. */
export function writeFault(writer: NbfxWriter, fault: ProvisioningFault): void {
  const redirect = 'redirectUrl' in fault;
  writer.startElement('s', 'Fault');
  writer.startElement('s', 'Code');
  writer.startElement('s', 'Value');
  writer.text(`s:${redirect ? 'Sender' : fault.code}`);
  writer.endElement();
  if (!redirect && fault.subcode !== undefined) {
    writer.startElement('s', 'Subcode');
    writer.startElement('s', 'Value');
    writer.xmlns('o', WSSE_NAMESPACE);
    writer.text(`o:${fault.subcode}`);
    writer.endElement();
    writer.endElement();
  }
  writer.endElement();
  writer.startElement('s', 'Reason');
  writer.startElement('s', 'Text');
  writer.attribute('xml', 'lang', 'en-US');
  writer.text(redirect ? 'The request has to be sent to another address.' : fault.reason);
  writer.endElement();
  writer.endElement();
  writer.startElement('s', 'Detail');
  writer.startElement('', detailName(fault));
  writer.xmlns('', CHANGE_NAMESPACE);
  const members: readonly (readonly [string, string])[] = redirect
    ? [['Url', fault.redirectUrl]]
    : [
        ['ErrorCode', String(fault.errorCode)],
        ['ErrorDescription', fault.errorDescription],
        ['ServerName', fault.serverName],
        ['TrackingId', fault.trackingId],
      ];
  for (const [name, value] of members) {
    writer.startElement('', name);
    writer.text(value);
    writer.endElement();
  }
  writer.endElement();
  writer.endElement();
  writer.endElement();
}

/** One of which nothing is known. */
export const NO_FAULT: ReceivedFault = {
  code: '',
  subcode: '',
  reason: '',
  errorCode: '',
  errorDescription: '',
  trackingId: '',
  serverName: '',
  redirectUrl: '',
};

/** The start of `s:Fault` was read; its end is passed. @throws ProtocolError */
export function readFault(reader: NbfxReader): ReceivedFault {
  const fault = { ...NO_FAULT };
  while (reader.nextChild()) {
    if (reader.namespace !== SOAP_NAMESPACE) {
      reader.skip();
    } else if (reader.localName === 'Code') {
      const codes: string[] = [];
      readCodes(reader, codes);
      [fault.code = '', fault.subcode = ''] = codes;
    } else if (reader.localName === 'Reason') {
      while (reader.nextChild()) {
        const text = reader.readText();
        fault.reason ||= text;
      }
    } else if (reader.localName === 'Detail') {
      readDetail(reader, fault);
    } else {
      reader.skip();
    }
  }
  return fault;
}

/** Code/Value, then the Values of nested Subcodes: their local names. The reader limits the depth. */
function readCodes(reader: NbfxReader, codes: string[]): void {
  while (reader.nextChild()) {
    if (reader.localName === 'Value') {
      codes.push(reader.readText().trim().replace(/^.*:/s, ''));
    } else if (reader.localName === 'Subcode') {
      readCodes(reader, codes);
    } else {
      reader.skip();
    }
  }
}

const DETAIL_MEMBERS: ReadonlyMap<string, keyof ReceivedFault> = new Map([
  ['ErrorCode', 'errorCode'],
  ['ErrorDescription', 'errorDescription'],
  ['TrackingId', 'trackingId'],
  ['ServerName', 'serverName'],
  ['Url', 'redirectUrl'],
]);

/** The contract of the details is not published, so members are found by local name wherever they stand. */
function readDetail(reader: NbfxReader, fault: Record<keyof ReceivedFault, string>): void {
  const outside = reader.depth - 1;
  const path: string[] = [];
  while (reader.depth > outside) {
    const node = reader.next();
    if (node === NodeType.start) {
      path.push(reader.localName);
    } else if (node === NodeType.end) {
      path.pop();
    } else {
      const name = path.at(-1) ?? '';
      const member = DETAIL_MEMBERS.get(name);
      if (member !== undefined && (name !== 'Url' || path.includes('BindingRedirectionFault'))) {
        fault[member] += reader.currentText();
      }
    }
  }
}
