/** bind, alter_context, auth3 out; bind_ack, alter_context_resp, bind_nak in (C706 12.6.4; MS-RPCE 2.2.2). */

import { guidFromText, guidToText } from '../dtyp/guid.js';
import { NdrReader } from '../ndr/ndr-reader.js';
import { NdrWriter } from '../ndr/ndr-writer.js';
import {
  decodeAuthVerifier,
  FRAG_SIZE,
  MUST_RECV_FRAG_SIZE,
  PduFlag,
  type PduHeader,
  PduType,
  setLengths,
  writeHeader,
  writeSecTrailer,
} from './pdu.js';
import type { SecurityContext } from './security-context.js';

export interface Syntax {
  readonly uuid: string;
  readonly major: number;
  readonly minor: number;
}

/** The NDR 2.0 transfer syntax. */
export const NDR: Syntax = { uuid: '8a885d04-1ceb-11c9-9fe8-08002b104860', major: 2, minor: 0 };
/** p_cont_id of our only presentation context. */
export const PRESENTATION_CONTEXT_ID = 0;

const ALL = PduFlag.firstFrag | PduFlag.lastFrag;

/** A bind or alter_context PDU that proposes `abstract` over NDR, with a security token when there is a context. */
export function encodeBind(
  type: typeof PduType.bind | typeof PduType.alterContext,
  callId: number,
  abstract: Syntax,
  associationGroup: number,
  auth?: { readonly security: SecurityContext; readonly token: Uint8Array },
): Uint8Array {
  const writer = new NdrWriter();
  const flags = type === PduType.bind ? ALL | PduFlag.concurrentMultiplexing : ALL;
  writeHeader(writer, type, flags | (auth === undefined ? 0 : PduFlag.supportHeaderSign), callId);
  writer.u16(FRAG_SIZE).u16(FRAG_SIZE).u32(associationGroup);
  // p_context_elem: one context with one transfer syntax.
  writer.u8(1).zeros(3).u16(PRESENTATION_CONTEXT_ID).u8(1).zeros(1);
  for (const { uuid, major, minor } of [abstract, NDR]) {
    writer.guid(guidFromText(uuid)).u16(major).u16(minor);
  }
  return withToken(writer, auth);
}

/** rpc_auth_3 (MS-RPCE 2.2.2.5): the third leg that nobody answers. */
export function encodeAuth3(callId: number, auth: { security: SecurityContext; token: Uint8Array }): Uint8Array {
  const writer = writeHeader(new NdrWriter(), PduType.auth3, ALL, callId);
  // Four bytes of padding that may hold anything.
  writer.zeros(4);
  return withToken(writer, auth);
}

function withToken(
  writer: NdrWriter,
  auth: { readonly security: SecurityContext; readonly token: Uint8Array } | undefined,
): Uint8Array {
  if (auth !== undefined) {
    // Everything up to here is a multiple of 4; the trailer of these PDUs needs no more.
    writeSecTrailer(writer, 0, 4, auth.security).raw(auth.token);
  }
  const pdu = writer.finish();
  setLengths(pdu, auth?.token.length ?? 0);
  return pdu;
}

export interface BindAck {
  /** The largest fragment that the server takes from us. */
  readonly maxSend: number;
  readonly associationGroup: number;
  /** p_result of our presentation context: 0 acceptance, 1 user rejection, 2 provider rejection. */
  readonly result: number;
  readonly reason: number;
  readonly headerSigning: boolean;
  /** Several calls may be under way at the same time. */
  readonly multiplexed: boolean;
  /** A view; undefined when the server has nothing to say. */
  readonly token: Uint8Array | undefined;
}

/**
 * A whole bind_ack or alter_context_resp.
 * @throws ProtocolError when it is malformed or answers other than one presentation context over NDR.
 */
export function decodeBindAck(pdu: Uint8Array, header: PduHeader, security: SecurityContext | undefined): BindAck {
  const reader = new NdrReader(pdu, header.type === PduType.bindAck ? 'bind_ack' : 'alter_context_resp', 16);
  reader.u16();
  const maxSend = reader.u16();
  if (maxSend < MUST_RECV_FRAG_SIZE) {
    throw reader.fail('malformed', `max_recv_frag is ${maxSend}, the least allowed is ${MUST_RECV_FRAG_SIZE}`);
  }
  const associationGroup = reader.u32();
  // sec_addr: the port's name, which a client over TCP has no use for.
  reader.view(reader.u16());
  reader.align(4);
  const results = reader.u8();
  reader.view(3);
  if (results !== 1) {
    throw reader.fail('malformed', `n_results is ${results}, one presentation context was proposed`);
  }
  const result = reader.u16();
  const reason = reader.u16();
  const uuid = guidToText(reader.guid());
  const version = reader.u32();
  if (result === 0 && (uuid !== NDR.uuid || version !== NDR.major)) {
    throw reader.fail('malformed', `transfer syntax ${uuid} v${version} accepted, NDR v2 was proposed`);
  }
  const token = security === undefined ? undefined : decodeAuthVerifier(pdu, header, security)?.authValue;
  return {
    maxSend,
    associationGroup,
    result,
    reason,
    headerSigning: (header.flags & PduFlag.supportHeaderSign) !== 0,
    multiplexed: (header.flags & PduFlag.concurrentMultiplexing) !== 0,
    token,
  };
}

/** provider_reject_reason of a whole bind_nak. The versions behind it interest nobody who speaks only one. */
export function decodeBindNak(pdu: Uint8Array): number {
  return new NdrReader(pdu, 'bind_nak', 16).u16();
}
