/** NEGOTIATE_MESSAGE, CHALLENGE_MESSAGE and AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1). */

import { ProtocolError } from '../../errors.js';
import { NdrReader } from '../../ndr/ndr-reader.js';
import { NdrWriter } from '../../ndr/ndr-writer.js';
import { CLIENT_FLAGS } from './flags.js';

/** "NTLMSSP\0" */
const SIGNATURE = Uint8Array.of(0x4e, 0x54, 0x4c, 0x4d, 0x53, 0x53, 0x50, 0);
/** VERSION (2.2.2.10): 10.0, no build, NTLMSSP_REVISION_W2K3. It serves debugging only. */
const VERSION = Uint8Array.of(10, 0, 0, 0, 0, 0, 0, 15);
/** Where the MIC stands in AUTHENTICATE_MESSAGE, and where its payload begins. */
const MIC_OFFSET = 72;
const PAYLOAD_OFFSET = 88;
/** Real challenges have a few hundred bytes. */
const MAX_CHALLENGE_SIZE = 16_384;

/** The whole message: names of domain and workstation stay empty, as they may. */
export function encodeNegotiate(): Uint8Array {
  const writer = new NdrWriter(40);
  writer.raw(SIGNATURE).u32(1).u32(CLIENT_FLAGS);
  // DomainNameFields and WorkstationFields: empty, pointing behind the message.
  writer.u16(0).u16(0).u32(40).u16(0).u16(0).u32(40);
  return writer.raw(VERSION).finish();
}

export interface Challenge {
  readonly flags: number;
  /** 8 bytes, a view. */
  readonly serverChallenge: Uint8Array;
  /** The AV_PAIRs' bytes, a view; empty when the server sent none. */
  readonly targetInfo: Uint8Array;
}

/** @throws ProtocolError when it is no CHALLENGE_MESSAGE or a field points outside of it. */
export function parseChallenge(bytes: Uint8Array): Challenge {
  const reader = new NdrReader(bytes, 'CHALLENGE_MESSAGE');
  if (bytes.length > MAX_CHALLENGE_SIZE) {
    throw reader.fail('limit', `${bytes.length} bytes, at most ${MAX_CHALLENGE_SIZE} taken`);
  }
  if (reader.view(8).some((byte, i) => byte !== SIGNATURE[i])) {
    throw reader.fail('malformed', 'the signature is not NTLMSSP');
  }
  const messageType = reader.u32();
  if (messageType !== 2) {
    throw reader.fail('malformed', `MessageType is ${messageType}, expected 2`);
  }
  field(reader, bytes, 'TargetName');
  const flags = reader.u32();
  const serverChallenge = reader.view(8);
  reader.view(8);
  const targetInfo = field(reader, bytes, 'TargetInfo');
  return { flags, serverChallenge, targetInfo };
}

/** Len, MaxLen, BufferOffset and the bytes that they point to. MaxLen is to be ignored on receipt. */
function field(reader: NdrReader, bytes: Uint8Array, name: string): Uint8Array {
  const length = reader.u16();
  reader.u16();
  const offset = reader.u32();
  if (length === 0) {
    return bytes.subarray(0, 0);
  }
  if (offset > bytes.length || length > bytes.length - offset) {
    throw new ProtocolError(
      'truncated',
      `CHALLENGE_MESSAGE: ${name} claims ${length} bytes at offset ${offset} of a ${bytes.length}-byte message`,
      { structure: 'CHALLENGE_MESSAGE', offset: reader.offset - 8 },
    );
  }
  return bytes.subarray(offset, offset + length);
}

export interface AuthenticateFields {
  readonly lmChallengeResponse: Uint8Array;
  readonly ntChallengeResponse: Uint8Array;
  /** Names in UTF-16LE. */
  readonly domainName: Uint8Array;
  readonly userName: Uint8Array;
  readonly workstation: Uint8Array;
  readonly encryptedRandomSessionKey: Uint8Array;
  readonly flags: number;
}

/** The message with its MIC still zero; see `setMic`. @throws RangeError when a field is above 65535 bytes. */
export function encodeAuthenticate(fields: AuthenticateFields): Uint8Array {
  const writer = new NdrWriter(1024);
  writer.raw(SIGNATURE).u32(3);
  const names = [fields.domainName, fields.userName, fields.workstation];
  const responses = [fields.lmChallengeResponse, fields.ntChallengeResponse];
  let offset = PAYLOAD_OFFSET;
  const offsets = new Map<Uint8Array, number>();
  const payload = [...names, ...responses, fields.encryptedRandomSessionKey];
  for (const part of payload) {
    offsets.set(part, offset);
    offset += part.length;
  }
  for (const part of [...responses, ...names, fields.encryptedRandomSessionKey]) {
    if (part.length > 0xffff) {
      throw new RangeError(`a field of AUTHENTICATE_MESSAGE has at most 65535 bytes, not ${part.length}`);
    }
    writer.u16(part.length).u16(part.length).u32(offsets.get(part)!);
  }
  writer.u32(fields.flags).raw(VERSION).zeros(16);
  for (const part of payload) {
    writer.raw(part);
  }
  return writer.finish();
}

/** Puts the 16 bytes of the MIC into a message that `encodeAuthenticate` made. */
export function setMic(authenticate: Uint8Array, mic: Uint8Array): void {
  authenticate.set(mic, MIC_OFFSET);
}
