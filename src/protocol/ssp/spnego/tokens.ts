/** NegTokenInit out, NegTokenResp out and in (RFC 4178 4.2). */

import { ProtocolError } from '../../errors.js';
import { decodeElement, decodeOid, decodeOnly, encodeElement, encodeOid, Tag } from './der.js';

const SPNEGO_OID = '1.3.6.1.5.5.2';
const MAX_TOKEN_SIZE = 65_535;

export const NegState = { acceptCompleted: 0, acceptIncomplete: 1, reject: 2, requestMic: 3 } as const;

/** MechTypeList, best first: these very bytes are what mechListMIC signs. */
export function encodeMechTypes(oids: readonly string[]): Uint8Array {
  return encodeElement(Tag.sequence, ...oids.map(encodeOid));
}

/** The initiator's first token, in its GSS-API frame, with the best mechanism's own first token. */
export function encodeNegTokenInit(mechTypes: Uint8Array, mechToken: Uint8Array): Uint8Array {
  const body = encodeElement(
    Tag.sequence,
    encodeElement(Tag.context(0), mechTypes),
    encodeElement(Tag.context(2), encodeElement(Tag.octetString, mechToken)),
  );
  return encodeElement(Tag.application0, encodeOid(SPNEGO_OID), encodeElement(Tag.context(0), body));
}

/** The initiator's later tokens: negState and supportedMech are the acceptor's to say. */
export function encodeNegTokenResp(
  responseToken: Uint8Array | undefined,
  mechListMIC: Uint8Array | undefined,
): Uint8Array {
  const fields: Uint8Array[] = [];
  if (responseToken !== undefined) {
    fields.push(encodeElement(Tag.context(2), encodeElement(Tag.octetString, responseToken)));
  }
  if (mechListMIC !== undefined) {
    fields.push(encodeElement(Tag.context(3), encodeElement(Tag.octetString, mechListMIC)));
  }
  return encodeElement(Tag.context(1), encodeElement(Tag.sequence, ...fields));
}

export interface NegTokenResp {
  readonly negState: number | undefined;
  readonly supportedMech: string | undefined;
  /** Views. */
  readonly responseToken: Uint8Array | undefined;
  readonly mechListMIC: Uint8Array | undefined;
}

/** @throws ProtocolError when it is no NegTokenResp, or its fields are unknown, doubled or out of order. */
export function decodeNegTokenResp(token: Uint8Array): NegTokenResp {
  const structure = 'NegTokenResp';
  if (token.length > MAX_TOKEN_SIZE) {
    throw new ProtocolError('limit', `${structure}: ${token.length} bytes, at most ${MAX_TOKEN_SIZE} taken`, {
      structure,
    });
  }
  const sequence = decodeOnly(decodeOnly(token, Tag.context(1), structure), Tag.sequence, structure);
  const fields: (Uint8Array | undefined)[] = [undefined, undefined, undefined, undefined];
  let expected = 0;
  for (let at = 0; at < sequence.length; ) {
    const element = decodeElement(sequence, at, structure);
    const index = element.tag - Tag.context(0);
    if (index < expected || index >= fields.length) {
      throw new ProtocolError(
        'malformed',
        `${structure} at offset ${at}: tag 0x${element.tag.toString(16)} has no place`,
        {
          structure,
          offset: at,
        },
      );
    }
    fields[index] = element.content;
    expected = index + 1;
    at = element.next;
  }
  const [negState, supportedMech, responseToken, mechListMIC] = fields;
  const octets = (field: Uint8Array | undefined, name: string) =>
    field === undefined ? undefined : decodeOnly(field, Tag.octetString, `${structure}.${name}`);
  return {
    negState: negState === undefined ? undefined : decodeNegState(negState),
    supportedMech:
      supportedMech === undefined
        ? undefined
        : decodeOid(decodeOnly(supportedMech, Tag.oid, `${structure}.supportedMech`), structure),
    responseToken: octets(responseToken, 'responseToken'),
    mechListMIC: octets(mechListMIC, 'mechListMIC'),
  };
}

function decodeNegState(field: Uint8Array): number {
  const structure = 'NegTokenResp.negState';
  const content = decodeOnly(field, Tag.enumerated, structure);
  if (content.length !== 1 || content[0]! > NegState.requestMic) {
    throw new ProtocolError('malformed', `${structure}: ${content.length} bytes or an unknown state`, { structure });
  }
  return content[0]!;
}
