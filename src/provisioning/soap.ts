/** The envelope of the provisioning service: SOAP 1.2 with WS-Addressing 1.0 and the SyncToken header block. */

import { NbfxReader } from '../protocol/nbfx/reader.js';
import { type NbfxWriter, prepare } from '../protocol/nbfx/writer.js';
import { boolean, defaulted, record, text, XSI_NAMESPACE } from './contract-types.js';
import { CHANGE_NAMESPACE } from './operations.js';

/** The Content-Type of requests, replies and faults. */
export const CONTENT_TYPE = 'application/soap+msbin1';
/** No request or reply is larger, whatever the tenant allows. */
export const MAX_MESSAGE_BYTES = 32 * 2 ** 20;

export const SOAP_NAMESPACE = 'http://www.w3.org/2003/05/soap-envelope';
const ADDRESSING_NAMESPACE = 'http://www.w3.org/2005/08/addressing';
const ANONYMOUS = 'http://www.w3.org/2005/08/addressing/anonymous';
const SYNC_TOKEN_NAMESPACE = 'urn:microsoft.online.administrativeservice';

/** The SyncToken header block. Absent children are empty strings and false. */
export interface SyncToken {
  readonly applicationId: string;
  readonly bearerToken: string;
  readonly clientVersion: string;
  readonly dirSyncBuildNumber: string;
  readonly fimBuildNumber: string;
  readonly isInstalledOnDC: boolean;
  readonly issueDateTime: string;
  readonly languageId: string;
  readonly liveToken: string;
  readonly protocolVersion: string;
  readonly richCoexistenceEnabled: boolean;
  readonly trackingId: string;
}

/** The header blocks that either side looks at; absent ones are empty strings. */
export interface MessageHeader {
  /** The Action's URI. */
  readonly action: string;
  /** `urn:uuid:…` */
  readonly messageId: string;
  readonly relatesTo: string;
  readonly to: string;
  readonly syncToken: SyncToken | undefined;
}

const syncTokenType = record<SyncToken>('SyncToken', {
  applicationId: defaulted('w', 'ApplicationId', text, ''),
  bearerToken: defaulted('w', 'BearerToken', text, ''),
  clientVersion: defaulted('w', 'ClientVersion', text, ''),
  dirSyncBuildNumber: defaulted('w', 'DirSyncBuildNumber', text, ''),
  fimBuildNumber: defaulted('w', 'FIMBuildNumber', text, ''),
  isInstalledOnDC: defaulted('w', 'IsInstalledOnDC', boolean, false),
  issueDateTime: defaulted('w', 'IssueDateTime', text, ''),
  languageId: defaulted('w', 'LanguageId', text, ''),
  liveToken: defaulted('w', 'LiveToken', text, ''),
  protocolVersion: defaulted('w', 'ProtocolVersion', text, ''),
  richCoexistenceEnabled: defaulted('w', 'RichCoexistenceEnabled', boolean, false),
  trackingId: defaulted('w', 'TrackingId', text, ''),
});

function startMustUnderstand(writer: NbfxWriter, localName: string): void {
  writer.startElement('a', localName);
  writer.startAttribute('s', 'mustUnderstand');
  writer.integer(1);
  writer.endAttribute();
}

/** Envelope and Header open, and Action begun. */
const head = prepare((writer) => {
  writer.startElement('s', 'Envelope');
  writer.xmlns('s', SOAP_NAMESPACE);
  writer.xmlns('a', ADDRESSING_NAMESPACE);
  writer.startElement('s', 'Header');
  startMustUnderstand(writer, 'Action');
});
const startSyncToken = prepare((writer) => {
  writer.startElement('', 'SyncToken');
  writer.attribute('s', 'role', SYNC_TOKEN_NAMESPACE);
  writer.xmlns('', SYNC_TOKEN_NAMESPACE);
  writer.xmlns('i', XSI_NAMESPACE);
  writer.xmlns('w', CHANGE_NAMESPACE);
});
const replyTo = prepare((writer) => {
  writer.startElement('a', 'ReplyTo');
  writer.startElement('a', 'Address');
  writer.dictionaryText(ANONYMOUS);
  writer.endElement();
  writer.endElement();
});

/** The URI of an operation's request, reply (`suffix` Response) or fault. */
export function actionOf(operationName: string, suffix = ''): string {
  return `${CHANGE_NAMESPACE}/IProvisioningWebService/${operationName}${suffix}`;
}

/** Writes the envelope; `body` writes the Body's content. */
export function writeEnvelope(
  writer: NbfxWriter,
  header: Partial<MessageHeader> & { action: string },
  body: () => void,
): void {
  writer.startPrepared(head, 3);
  writer.text(header.action);
  writer.endElement();
  if (header.syncToken !== undefined) {
    writer.startPrepared(startSyncToken);
    syncTokenType.write(writer, header.syncToken);
    writer.endElement();
  }
  if (header.relatesTo !== undefined && header.relatesTo !== '') {
    writer.startElement('a', 'RelatesTo');
    writer.uniqueId(header.relatesTo);
    writer.endElement();
  }
  if (header.messageId !== undefined && header.messageId !== '') {
    writer.startElement('a', 'MessageID');
    writer.uniqueId(header.messageId);
    writer.endElement();
    writer.prepared(replyTo);
  }
  if (header.to !== undefined && header.to !== '') {
    startMustUnderstand(writer, 'To');
    writer.text(header.to);
    writer.endElement();
  }
  writer.endElement();
  writer.startElement('s', 'Body');
  body();
  writer.endElement();
  writer.endElement();
}

/** An envelope whose header was read: the reader stands on the start of the Body's first element, if it has one. */
export interface OpenEnvelope {
  readonly header: MessageHeader;
  readonly reader: NbfxReader;
  readonly hasContent: boolean;
}

/** @throws ProtocolError */
export function openEnvelope(bytes: Uint8Array): OpenEnvelope {
  const reader = new NbfxReader(bytes, { maxBytes: MAX_MESSAGE_BYTES });
  reader.root();
  if (!isSoap(reader, 'Envelope')) {
    throw reader.error('soap-structure', 'Envelope', 'the root is not a SOAP 1.2 Envelope');
  }
  let header: MessageHeader = { action: '', messageId: '', relatesTo: '', to: '', syncToken: undefined };
  let child = reader.nextChild();
  if (child && isSoap(reader, 'Header')) {
    header = readHeader(reader);
    child = reader.nextChild();
  }
  if (!child || !isSoap(reader, 'Body')) {
    throw reader.error('soap-structure', 'Envelope', 'expected a Body');
  }
  return { header, reader, hasContent: reader.nextChild() };
}

/** Asks that the Body ends, and with it Envelope and message. @throws ProtocolError */
export function closeEnvelope({ reader, hasContent }: OpenEnvelope): void {
  if ((hasContent && reader.nextChild()) || reader.nextChild()) {
    throw reader.error('soap-structure', 'Body', 'more than one element');
  }
  reader.finish();
}

function isSoap(reader: NbfxReader, localName: string): boolean {
  return reader.localName === localName && reader.namespace === SOAP_NAMESPACE;
}

function readHeader(reader: NbfxReader): MessageHeader {
  const header = { action: '', messageId: '', relatesTo: '', to: '', syncToken: undefined as SyncToken | undefined };
  const names = { Action: 'action', MessageID: 'messageId', RelatesTo: 'relatesTo', To: 'to' } as const;
  const seen = new Set<string>();
  while (reader.nextChild()) {
    const { localName, namespace } = reader;
    const isAddressing = namespace === ADDRESSING_NAMESPACE && Object.hasOwn(names, localName);
    const isSyncToken = namespace === SYNC_TOKEN_NAMESPACE && localName === 'SyncToken';
    if (!isAddressing && !isSyncToken) {
      reader.skip();
      continue;
    }
    if (seen.has(localName)) {
      throw reader.error('soap-structure', 'Header', `${localName} stands twice`);
    }
    seen.add(localName);
    if (isSyncToken) {
      header.syncToken = syncTokenType.read(reader);
    } else {
      header[names[localName as keyof typeof names]] = reader.readText().trim();
    }
  }
  return header;
}
