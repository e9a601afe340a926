/** IDL_DRSBind (opnum 0) and IDL_DRSUnbind (opnum 1), stubs both ways (MS-DRSR 4.1.3, 4.1.25). */

import { guidFromText } from '../dtyp/guid.js';
import { NdrReader } from '../ndr/ndr-reader.js';
import { NdrWriter } from '../ndr/ndr-writer.js';
import { type DrsExtensions, readExtensions, writeExtensions } from './extensions.js';

export const DRS_BIND_OPNUM = 0;
export const DRS_UNBIND_OPNUM = 1;

/** NTDSAPI_CLIENT_GUID (MS-DRSR 5.138): the client that is no DC. */
export const NTDSAPI_CLIENT_GUID: Uint8Array = guidFromText('e24d201a-4fd6-11d1-a3da-0000f875ae0d');

/** Bytes of a DRS_HANDLE: a context handle's attributes and UUID. */
export const DRS_HANDLE_SIZE = 20;

export interface DrsBindRequest {
  /** 16 bytes. */
  readonly clientDsa: Uint8Array;
  readonly extensions: DrsExtensions;
  /** Size of the extensions sent. */
  readonly cb?: 28 | 48 | 52;
}

export interface DrsBindReply {
  /** Undefined when the server sent none. */
  readonly extensions: DrsExtensions | undefined;
  /** 20 opaque bytes. */
  readonly handle: Uint8Array;
  readonly status: number;
}

export function encodeDrsBindRequest(request: DrsBindRequest): Uint8Array {
  const writer = new NdrWriter(128);
  writer.pointer(true).guid(request.clientDsa).pointer(true);
  writeExtensions(writer, request.extensions, request.cb);
  return writer.finish();
}

/** @throws ProtocolError when the stub is malformed. */
export function decodeDrsBindReply(stub: Uint8Array): DrsBindReply {
  const reader = new NdrReader(stub, 'DRSBind reply');
  const extensions = reader.pointer() ? readExtensions(reader) : undefined;
  reader.align(4);
  const handle = new Uint8Array(reader.view(DRS_HANDLE_SIZE));
  const status = reader.u32();
  reader.end();
  return { extensions, handle, status };
}

export function encodeDrsUnbindRequest(handle: Uint8Array): Uint8Array {
  return new Uint8Array(handle);
}

/** The Win32 status. @throws ProtocolError when the stub is malformed. */
export function decodeDrsUnbindReply(stub: Uint8Array): number {
  const reader = new NdrReader(stub, 'DRSUnbind reply');
  reader.view(DRS_HANDLE_SIZE);
  const status = reader.u32();
  reader.end();
  return status;
}
