/** request out, response and fault in, protected at packet privacy (C706 12.6.4.9; MS-RPCE 3.3.1.5.2.2). */

import { ProtocolError } from '../errors.js';
import { NdrReader } from '../ndr/ndr-reader.js';
import { NdrWriter } from '../ndr/ndr-writer.js';
import { PRESENTATION_CONTEXT_ID } from './bind-pdus.js';
import {
  AUTH_PADDING,
  decodeAuthVerifier,
  PduFlag,
  type PduHeader,
  PduType,
  SEC_TRAILER_SIZE,
  setLengths,
  writeHeader,
  writeSecTrailer,
} from './pdu.js';
import type { SecurityContext } from './security-context.js';

/** Header, alloc_hint, p_cont_id and opnum (or cancel_count). */
const CALL_HEADER_SIZE = 24;
/** A fault's status and reserved2 stand before its stub data. */
const FAULT_HEADER_SIZE = 32;

/** One request as fragments of at most `maxFrag` bytes, sealed one after another. */
export function* encodeRequest(
  callId: number,
  opnum: number,
  stub: Uint8Array,
  maxFrag: number,
  security: SecurityContext | undefined,
): Generator<Uint8Array> {
  const overhead = CALL_HEADER_SIZE + (security === undefined ? 0 : SEC_TRAILER_SIZE + security.signatureSize);
  // Only the last fragment may be other than a multiple of 8 (C706 12.6.3.4) or need padding.
  const most = (maxFrag - overhead) & -AUTH_PADDING;
  let at = 0;
  do {
    const size = Math.min(most, stub.length - at);
    const last = at + size === stub.length;
    const flags = (at === 0 ? PduFlag.firstFrag : 0) | (last ? PduFlag.lastFrag : 0);
    const writer = writeHeader(new NdrWriter(overhead + size + AUTH_PADDING), PduType.request, flags, callId);
    writer
      .u32(stub.length - at)
      .u16(PRESENTATION_CONTEXT_ID)
      .u16(opnum);
    writer.raw(stub.subarray(at, at + size));
    if (security === undefined) {
      const pdu = writer.finish();
      setLengths(pdu, 0);
      yield pdu;
    } else {
      writeSecTrailer(writer, CALL_HEADER_SIZE, AUTH_PADDING, security);
      const signedTo = writer.length;
      const pdu = writer.zeros(security.signatureSize).finish();
      // The signature covers the header, so its lengths must stand before it is made.
      setLengths(pdu, security.signatureSize);
      pdu.set(security.seal(pdu, CALL_HEADER_SIZE, signedTo - SEC_TRAILER_SIZE, signedTo), signedTo);
      yield pdu;
    }
    at += size;
  } while (at < stub.length);
}

/**
 * The clear stub data of a whole response fragment, decrypted in place: a view on `pdu`.
 * @throws ProtocolError `bad-signature`; `unprotected` when a security context stands and the fragment has no signature.
 */
export function openResponse(pdu: Uint8Array, header: PduHeader, security: SecurityContext | undefined): Uint8Array {
  if (header.fragLength < CALL_HEADER_SIZE) {
    throw new ProtocolError('truncated', `response: frag_length is ${header.fragLength}, its header has 24 bytes`, {
      structure: 'response',
      offset: 8,
    });
  }
  if (security === undefined) {
    return pdu.subarray(CALL_HEADER_SIZE, header.fragLength);
  }
  const stub = openBody(pdu, header, security, CALL_HEADER_SIZE);
  if (stub === undefined) {
    throw new ProtocolError(
      'unprotected',
      'response: a fragment without signature on a connection with packet privacy',
      {
        structure: 'sec_trailer',
      },
    );
  }
  return stub;
}

/** Decrypts `pdu[from …)` in place and cuts the padding off; undefined when the PDU carries no auth verifier. */
function openBody(pdu: Uint8Array, header: PduHeader, security: SecurityContext, from: number): Uint8Array | undefined {
  const verifier = decodeAuthVerifier(pdu, header, security);
  if (verifier === undefined) {
    return undefined;
  }
  const { trailerOffset, padLength, authValue } = verifier;
  if (trailerOffset - padLength < from) {
    throw new ProtocolError(
      'malformed',
      `sec_trailer: ${padLength} bytes of padding in ${trailerOffset - from} of stub`,
      {
        structure: 'sec_trailer',
        offset: trailerOffset,
      },
    );
  }
  security.unseal(pdu, from, trailerOffset, header.fragLength - header.authLength, authValue);
  return pdu.subarray(from, trailerOffset - padLength);
}

export interface Fault {
  readonly status: number;
  /** False when the fault carried a signature that does not fit: the streams are out of step from here on. */
  readonly inStep: boolean;
}

/** A whole fault PDU. Servers send it without signature as a rule; one that is there moves the cipher streams on. */
export function openFault(pdu: Uint8Array, header: PduHeader, security: SecurityContext | undefined): Fault {
  const reader = new NdrReader(pdu, 'fault', CALL_HEADER_SIZE);
  const status = reader.u32();
  if (security === undefined || !security.complete) {
    return { status, inStep: true };
  }
  try {
    openBody(pdu, header, security, FAULT_HEADER_SIZE);
    return { status, inStep: true };
  } catch (error) {
    if (error instanceof ProtocolError) {
      return { status, inStep: false };
    }
    throw error;
  }
}
