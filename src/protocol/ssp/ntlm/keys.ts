/** NTLMv2 computation and session keys (MS-NLMP 3.3.2 and 3.4.5), names as there. */

import { md4 } from '../../../crypto/md4.js';
import { hmacMd5, md5 } from '../../../crypto/md5.js';
import { secretBytes } from '../../../crypto/secret-bytes.js';

/** UTF-16LE bytes of a text. */
export function unicode(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  writeUnicode(text, bytes);
  return bytes;
}

function writeUnicode(text: string, bytes: Uint8Array): void {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    bytes[2 * i] = unit;
    bytes[2 * i + 1] = unit >>> 8;
  }
}

/** NTOWFv1: MD4 of the UTF-16LE password. */
export function NTOWFv1(password: string): Uint8Array {
  const bytes = secretBytes(password.length * 2);
  try {
    writeUnicode(password, bytes);
    return md4(bytes);
  } finally {
    bytes.fill(0);
  }
}

/**
 * Windows maps character by character; String.toUpperCase also expands (ß to SS), which would give another key.
 */
function upperCase(text: string): string {
  let upper = '';
  for (const unit of text) {
    const mapped = unit.toUpperCase();
    upper += mapped.length === unit.length ? mapped : unit;
  }
  return upper;
}

/** NTOWFv2 = ResponseKeyNT = ResponseKeyLM: the user's name in upper case, the domain as it is. */
export function NTOWFv2(ntHash: Uint8Array, user: string, userDom: string): Uint8Array {
  return hmacMd5(ntHash, unicode(upperCase(user) + userDom));
}

/** NTLMv2_CLIENT_CHALLENGE with its trailing zeros: `temp` of 3.3.2. `time` is a FILETIME, 8 bytes. */
export function clientChallengeStructure(
  time: Uint8Array,
  clientChallenge: Uint8Array,
  targetInfo: Uint8Array,
): Uint8Array {
  const temp = new Uint8Array(28 + targetInfo.length + 4);
  temp[0] = 1;
  temp[1] = 1;
  temp.set(time, 8);
  temp.set(clientChallenge, 16);
  temp.set(targetInfo, 28);
  return temp;
}

export interface NtlmV2Response {
  readonly ntChallengeResponse: Uint8Array;
  readonly lmChallengeResponse: Uint8Array;
  readonly sessionBaseKey: Uint8Array;
}

/** ComputeResponse of 3.3.2. */
export function computeResponse(
  responseKeyNT: Uint8Array,
  serverChallenge: Uint8Array,
  clientChallenge: Uint8Array,
  temp: Uint8Array,
): NtlmV2Response {
  const ntProofStr = hmacMd5(responseKeyNT, serverChallenge, temp);
  const ntChallengeResponse = new Uint8Array(16 + temp.length);
  ntChallengeResponse.set(ntProofStr);
  ntChallengeResponse.set(temp, 16);
  const lmChallengeResponse = new Uint8Array(24);
  lmChallengeResponse.set(hmacMd5(responseKeyNT, serverChallenge, clientChallenge));
  lmChallengeResponse.set(clientChallenge, 16);
  return { ntChallengeResponse, lmChallengeResponse, sessionBaseKey: hmacMd5(responseKeyNT, ntProofStr) };
}

export type Direction = 'client-to-server' | 'server-to-client';

/** SIGNKEY (3.4.5.2) with extended session security. The magic constant's NUL counts. */
export function SIGNKEY(exportedSessionKey: Uint8Array, direction: Direction): Uint8Array {
  return md5(exportedSessionKey, Buffer.from(`session key to ${direction} signing key magic constant\0`, 'latin1'));
}

/** SEALKEY (3.4.5.3) with extended session security and 128 bits. */
export function SEALKEY(exportedSessionKey: Uint8Array, direction: Direction): Uint8Array {
  return md5(exportedSessionKey, Buffer.from(`session key to ${direction} sealing key magic constant\0`, 'latin1'));
}
