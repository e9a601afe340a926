/** Opens the ENCRYPTED_PAYLOAD of unicodePwd (MS-DRSR 4.1.10.6.13) and its RID layer (MS-SAMR 2.2.11.1). */

import { crc32 } from 'node:zlib';
import { Des } from '../../crypto/des.js';
import { md5 } from '../../crypto/md5.js';
import { Rc4 } from '../../crypto/rc4.js';
import { secretBytes } from '../../crypto/secret-bytes.js';
import { ENVELOPE_SIZE, EnvelopeStatus, type EnvelopeStatusCode, NT_HASH_SIZE } from '../types.js';

const SALT_SIZE = 16;
const CHECKSUM_SIZE = 4;
const DES_SIZE = 8;

/** Undoes RC4 under MD5(session key ‖ Salt) into `payload` (CheckSum, data) and tells whether the CRC-32 matches. */
function decrypt(sessionKey: Uint8Array, envelope: Uint8Array, payload: Uint8Array): boolean {
  // The whole session key: 32 bytes where Kerberos negotiated AES-256.
  const key = md5(sessionKey, envelope.subarray(0, SALT_SIZE));
  const stream = new Rc4(key);
  payload.set(envelope.subarray(SALT_SIZE));
  stream.process(payload);
  stream.wipe();
  key.fill(0);
  const checksum = new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
  return checksum === crc32(payload.subarray(CHECKSUM_SIZE));
}

/**
 * Spreads a 7-byte InputKey over an 8-byte DES key, seven bits a byte; the parity bits stay 0, since DES ignores them.
 */
export function transformKey(inputKey: Uint8Array, key: Uint8Array): void {
  for (let i = 0; i < DES_SIZE; i++) {
    // Bits 7i … 7i+6 of the InputKey, which end in byte i at bit i from the top.
    const above = i > 0 ? inputKey[i - 1]! << (8 - i) : 0;
    const own = i < inputKey.length ? inputKey[i]! >> i : 0;
    key[i] = (above | own) & 0xfe;
  }
}

/** The little-endian bytes of the RID that each InputKey takes (MS-SAMR 2.2.11.1.3). */
const INPUT_KEYS = [
  [0, 1, 2, 3, 0, 1, 2],
  [3, 0, 1, 2, 3, 0, 1],
] as const;

/** Undoes the RID layer of `ntHash` (16 bytes) in place: each half is a DES block under a key made of the RID. */
function removeRidLayer(ntHash: Uint8Array, rid: number): void {
  const inputKey = new Uint8Array(7);
  const key = new Uint8Array(DES_SIZE);
  const des = new Des();
  INPUT_KEYS.forEach((bytes, half) => {
    bytes.forEach((byte, i) => {
      inputKey[i] = rid >>> (8 * byte);
    });
    transformKey(inputKey, key);
    des.setKey(key).decrypt(ntHash, half * DES_SIZE);
  });
  // The keys are no secret, the RID being none; the last block's plaintext in the cipher's hands is one.
  des.wipe();
}

/**
 * Opens a 36-byte envelope with the first of `sessionKeys` whose CRC-32 matches and writes 16 bytes to `ntHash`.
 * Wipes its copies; `ntHash` is the caller's and is untouched unless the status is `ok`.
 */
export function openEnvelope(
  sessionKeys: Iterable<Uint8Array>,
  envelope: Uint8Array,
  rid: number,
  ntHash: Uint8Array,
): EnvelopeStatusCode {
  if (rid === 0) return EnvelopeStatus.rid;
  const payload = secretBytes(ENVELOPE_SIZE - SALT_SIZE);
  try {
    for (const sessionKey of sessionKeys) {
      if (!decrypt(sessionKey, envelope, payload)) continue;
      ntHash.set(payload.subarray(CHECKSUM_SIZE, CHECKSUM_SIZE + NT_HASH_SIZE));
      removeRidLayer(ntHash, rid);
      return EnvelopeStatus.ok;
    }
    return EnvelopeStatus.checksum;
  } finally {
    payload.fill(0);
  }
}
