/** Opens ENCRYPTED_PAYLOADs (MS-DRSR 4.1.10.6.13) and the RID layer of NT hashes (MS-SAMR 2.2.11.1). */

import { crc32 } from 'node:zlib';
import { Des } from '../../crypto/des.js';
import { md5 } from '../../crypto/md5.js';
import { Rc4 } from '../../crypto/rc4.js';
import { secretBytes } from '../../crypto/secret-bytes.js';
import { ENVELOPE_OVERHEAD, EnvelopeStatus, type EnvelopeStatusCode, MAX_SESSION_KEY_SIZE } from '../types.js';

const SALT_SIZE = 16;
const CHECKSUM_SIZE = ENVELOPE_OVERHEAD - SALT_SIZE;
const DES_SIZE = 8;
/** What the RID layer is laid over is a multiple of this. */
const RID_BLOCK_SIZE = 16;

// One set for all calls, none of which can interrupt another: allocating it anew took as long as all the rest.
const KEY_AND_SALT = secretBytes(MAX_SESSION_KEY_SIZE + SALT_SIZE);
const CHECKSUM = secretBytes(CHECKSUM_SIZE);
const CHECKSUM_VIEW = new DataView(CHECKSUM.buffer);
const RC4 = new Rc4(Uint8Array.of(0));
const DES = new Des();
const INPUT_KEY = new Uint8Array(7);
const DES_KEY = new Uint8Array(DES_SIZE);

function wipe(): void {
  KEY_AND_SALT.fill(0);
  CHECKSUM.fill(0);
  RC4.wipe();
  // The keys are no secret, the RID being none; the last block's plaintext in the cipher's hands is one.
  DES.wipe();
}

/** Undoes RC4 under MD5(session key ‖ Salt) into `data` and tells whether the CRC-32 (CheckSum) matches. */
function decrypt(sessionKey: Uint8Array, envelope: Uint8Array, data: Uint8Array): boolean {
  // The whole session key: 32 bytes where Kerberos negotiated AES-256.
  const size = sessionKey.length;
  KEY_AND_SALT.set(sessionKey);
  for (let i = 0; i < SALT_SIZE; i++) KEY_AND_SALT[size + i] = envelope[i]!;
  for (let i = 0; i < CHECKSUM_SIZE; i++) CHECKSUM[i] = envelope[SALT_SIZE + i]!;
  data.set(envelope.subarray(ENVELOPE_OVERHEAD));
  const key = md5(KEY_AND_SALT.subarray(0, size + SALT_SIZE));
  RC4.setKey(key).process(CHECKSUM);
  RC4.process(data);
  key.fill(0);
  return CHECKSUM_VIEW.getUint32(0, true) === crc32(data);
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

/** Undoes the RID layer in place: each half of a block of 16 bytes is a DES block under a key made of the RID. */
function removeRidLayer(rid: number, data: Uint8Array): void {
  for (let half = 0; half < INPUT_KEYS.length; half++) {
    const bytes = INPUT_KEYS[half]!;
    for (let i = 0; i < INPUT_KEY.length; i++) INPUT_KEY[i] = rid >>> (8 * bytes[i]!);
    transformKey(INPUT_KEY, DES_KEY);
    DES.setKey(DES_KEY);
    for (let at = half * DES_SIZE; at < data.length; at += RID_BLOCK_SIZE) DES.decrypt(data, at);
  }
}

/**
 * Opens an envelope with the first of `sessionKeys` (1 to 64 bytes each) whose CRC-32 matches into `data`, which has
 * ENVELOPE_OVERHEAD bytes less, if the envelope has so many. `rid` is undefined where there is no RID layer. Wipes its
 * copies; `data` is the caller's, and zero unless the status is `ok`.
 */
export function openEnvelope(
  sessionKeys: readonly Uint8Array[],
  envelope: Uint8Array,
  rid: number | undefined,
  data: Uint8Array,
): EnvelopeStatusCode {
  const size = envelope.length - ENVELOPE_OVERHEAD;
  if (size < 0) return EnvelopeStatus.length;
  let status: EnvelopeStatusCode = EnvelopeStatus.checksum;
  try {
    if (rid !== undefined && (size === 0 || size % RID_BLOCK_SIZE !== 0)) {
      status = EnvelopeStatus.length;
    } else if (rid === 0) {
      status = EnvelopeStatus.rid;
    } else if (sessionKeys.some((sessionKey) => decrypt(sessionKey, envelope, data))) {
      if (rid !== undefined) removeRidLayer(rid, data);
      status = EnvelopeStatus.ok;
    }
    return status;
  } finally {
    if (status !== EnvelopeStatus.ok) data.fill(0);
    wipe();
  }
}
