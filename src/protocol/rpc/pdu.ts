/** Common header and sec_trailer of connection-oriented PDUs (C706 12.6.3.1; MS-RPCE 2.2.2.11). */

import { NdrReader } from '../ndr/ndr-reader.js';
import type { NdrWriter } from '../ndr/ndr-writer.js';
import type { SecurityContext } from './security-context.js';
import { AuthLevel } from './security-context.js';

export const PduType = {
  request: 0,
  response: 2,
  fault: 3,
  bind: 11,
  bindAck: 12,
  bindNak: 13,
  alterContext: 14,
  alterContextResp: 15,
  shutdown: 17,
  auth3: 16,
} as const;

export const PduFlag = {
  firstFrag: 0x01,
  lastFrag: 0x02,
  /** PFC_SUPPORT_HEADER_SIGN (MS-RPCE 2.2.2.3): in bind, bind_ack, alter_context and its response only. */
  supportHeaderSign: 0x04,
  /** PFC_CONC_MPX: asked for in bind, agreed to in bind_ack. */
  concurrentMultiplexing: 0x10,
  didNotExecute: 0x20,
} as const;

export const HEADER_SIZE = 16;
export const SEC_TRAILER_SIZE = 8;
/** Fragments as Windows and Samba speak them over TCP. */
export const FRAG_SIZE = 5840;
/** C706 12.6.3.1: every implementation must take fragments of this size. */
export const MUST_RECV_FRAG_SIZE = 1432;
/** MS-RPCE 2.2.2.11: stub data of protected PDUs is padded to 16. */
export const AUTH_PADDING = 16;
/** auth_context_id: one security context a connection, so any number will do. */
const AUTH_CONTEXT_ID = 1;
/** NDR's drep for little-endian integers, ASCII and IEEE floats. */
const DREP = 0x10;

export interface PduHeader {
  readonly type: number;
  readonly flags: number;
  readonly fragLength: number;
  readonly authLength: number;
  readonly callId: number;
}

/**
 * The common header at `offset`; 16 bytes must be there, the rest of the PDU need not.
 * @throws ProtocolError for another protocol version or data representation, or lengths that contradict each other.
 */
export function decodeHeader(bytes: Uint8Array, offset = 0): PduHeader {
  const reader = new NdrReader(bytes.subarray(offset, offset + HEADER_SIZE), 'rpcconn_common_hdr');
  const version = reader.u8();
  const minor = reader.u8();
  if (version !== 5 || minor > 1) {
    throw reader.fail('not-rpc', `version ${version}.${minor}, expected 5.0 or 5.1: is this a DCE/RPC port?`);
  }
  const type = reader.u8();
  const flags = reader.u8();
  const drep = reader.u8();
  const floats = reader.u8();
  reader.u16();
  if (drep !== DREP || floats !== 0) {
    throw reader.fail(
      'data-representation',
      `drep is ${hex(drep)} ${hex(floats)}, only little-endian, ASCII, IEEE (0x10 0x00) is spoken`,
    );
  }
  const fragLength = reader.u16();
  const authLength = reader.u16();
  const callId = reader.u32();
  const least = HEADER_SIZE + (authLength === 0 ? 0 : SEC_TRAILER_SIZE + authLength);
  if (fragLength < least) {
    throw reader.fail('malformed', `frag_length is ${fragLength}, with auth_length ${authLength} at least ${least}`);
  }
  return { type, flags, fragLength, authLength, callId };
}

/** Writes a header whose lengths are still zero; see `setLengths`. */
export function writeHeader(writer: NdrWriter, type: number, flags: number, callId: number): NdrWriter {
  return writer.u8(5).u8(0).u8(type).u8(flags).u8(DREP).zeros(3).u16(0).u16(0).u32(callId);
}

export function setLengths(pdu: Uint8Array, authLength: number): void {
  if (pdu.length > 0xffff) {
    throw new RangeError(`a PDU has at most 65535 bytes, this one would have ${pdu.length}: the token is too long`);
  }
  const view = new DataView(pdu.buffer, pdu.byteOffset, pdu.byteLength);
  view.setUint16(8, pdu.length, true);
  view.setUint16(10, authLength, true);
}

/** Pads what stands in `writer` from `stubStart` on, and writes the sec_trailer for packet privacy behind it. */
export function writeSecTrailer(
  writer: NdrWriter,
  stubStart: number,
  padding: number,
  security: SecurityContext,
): NdrWriter {
  const rest = (writer.length - stubStart) % padding;
  const padLength = rest === 0 ? 0 : padding - rest;
  writer.zeros(padLength);
  return writer.u8(security.authType).u8(AuthLevel.privacy).u8(padLength).u8(0).u32(AUTH_CONTEXT_ID);
}

export interface AuthVerifier {
  /** Where the sec_trailer begins: the end of the padded body. */
  readonly trailerOffset: number;
  readonly padLength: number;
  /** A view. */
  readonly authValue: Uint8Array;
}

/**
 * sec_trailer and auth_value at the end of a whole PDU; undefined when it has none.
 * @throws ProtocolError when it is of another type, level or context than `security`.
 */
export function decodeAuthVerifier(
  pdu: Uint8Array,
  header: PduHeader,
  security: SecurityContext,
): AuthVerifier | undefined {
  if (header.authLength === 0) {
    return undefined;
  }
  const trailerOffset = header.fragLength - header.authLength - SEC_TRAILER_SIZE;
  const reader = new NdrReader(pdu, 'sec_trailer', trailerOffset);
  const authType = reader.u8();
  const authLevel = reader.u8();
  const padLength = reader.u8();
  reader.u8();
  // The trailer need not be aligned for us: read where it stands.
  const id = reader.view(4);
  const contextId = (id[0]! | (id[1]! << 8) | (id[2]! << 16) | (id[3]! << 24)) >>> 0;
  if (authType !== security.authType || authLevel !== AuthLevel.privacy || contextId !== AUTH_CONTEXT_ID) {
    throw reader.fail(
      'malformed',
      `auth_type ${authType}, auth_level ${authLevel}, auth_context_id ${contextId}; ` +
        `expected ${security.authType}, ${AuthLevel.privacy}, ${AUTH_CONTEXT_ID}`,
    );
  }
  return { trailerOffset, padLength, authValue: reader.view(header.authLength) };
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}
