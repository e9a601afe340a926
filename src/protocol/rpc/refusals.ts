/** Answers that end a connection, or keep it from coming about, as errors (MS-RPCE 2.2.2.5; C706 12.6.3). */

import { ProtocolError } from '../errors.js';
import { type PduHeader, PduType } from './pdu.js';

/**
 * What servers answer to a leg that they do not take, or to the first call after an auth3 that they did not take:
 * Windows access denied, Samba the package's refusal or (after auth3, with the context unfinished) a protocol error.
 */
export const LOGON_FAULTS: ReadonlySet<number> = new Set([0x0000_0005, 0x0000_0721, 0x1c01_000b]);

export function logonRefused(peer: string, why: string, status: number): ProtocolError {
  return new ProtocolError(
    'logon-failure',
    `${peer} refused the logon (${why}): check user name, domain and password, and whether the account is disabled, ` +
      'expired, locked, or kept from this way to authenticate',
    { structure: 'fault', status },
  );
}

/** A PDU where another one was expected. */
export function unexpected(header: PduHeader, peer: string): ProtocolError {
  const { type } = header;
  return type === PduType.shutdown
    ? new ProtocolError('connection-closed', `${peer} announced to close the connection`, { structure: 'shutdown' })
    : new ProtocolError('malformed', `a PDU of type ${type} came where it has no place`, {
        structure: 'rpcconn_common_hdr',
        offset: 2,
      });
}

export function wrongCall(header: PduHeader, asked: string): ProtocolError {
  return new ProtocolError('malformed', `call_id ${header.callId} answered, ${asked} was asked`, {
    structure: 'rpcconn_common_hdr',
    offset: 12,
  });
}
