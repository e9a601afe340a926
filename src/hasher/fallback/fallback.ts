/** The backend without a compiled addon: one credential after another on node:crypto's PBKDF2. */

import { pbkdf2Sync } from 'node:crypto';
import { secretBytes } from '../../crypto/secret-bytes.js';
import { type Backend, DIGEST_SIZE, ENVELOPE_SIZE, EnvelopeStatus, NT_HASH_SIZE, SALT_SIZE } from '../types.js';
import { openEnvelope } from './envelope.js';

const UPPER_HEX = Buffer.from('0123456789ABCDEF', 'latin1');

/** PBKDF2-HMAC-SHA256 over the UPPER-case hex of the NT hash in UTF-16LE, written to `digest` (32 bytes). */
function derive(ntHash: Uint8Array, salt: Uint8Array, iterations: number, digest: Uint8Array): void {
  const password = secretBytes(4 * NT_HASH_SIZE);
  for (let i = 0; i < NT_HASH_SIZE; i++) {
    password[4 * i] = UPPER_HEX[ntHash[i]! >> 4]!;
    password[4 * i + 2] = UPPER_HEX[ntHash[i]! & 15]!;
  }
  try {
    // OpenSSL is given memory of this thread only; the salt may lie on a SharedArrayBuffer.
    digest.set(pbkdf2Sync(password, Uint8Array.from(salt), iterations, DIGEST_SIZE, 'sha256'));
  } finally {
    password.fill(0);
  }
}

const item = (bytes: Uint8Array, i: number, size: number): Uint8Array => bytes.subarray(i * size, (i + 1) * size);

/** The pure-JS backend: same bytes and same statuses as the native one. */
export const fallback: Backend = {
  name: 'fallback',
  kernel: undefined,

  deriveBatch(ntHashes, salts, iterations, digests) {
    for (let i = 0; i < digests.length / DIGEST_SIZE; i++) {
      derive(item(ntHashes, i, NT_HASH_SIZE), item(salts, i, SALT_SIZE), iterations, item(digests, i, DIGEST_SIZE));
    }
  },

  openAndDeriveBatch(sessionKeys, sessionKeyOffsets, envelopes, rids, salts, iterations, digests, status) {
    const keys = Array.from({ length: sessionKeyOffsets.length - 1 }, (_, k) =>
      sessionKeys.subarray(sessionKeyOffsets[k], sessionKeyOffsets[k + 1]),
    );
    const ntHash = secretBytes(NT_HASH_SIZE);
    try {
      for (let i = 0; i < rids.length; i++) {
        const digest = item(digests, i, DIGEST_SIZE);
        if (status[i] === EnvelopeStatus.length) {
          digest.fill(0);
          continue;
        }
        const opened = openEnvelope(keys, item(envelopes, i, ENVELOPE_SIZE), rids[i]!, ntHash);
        status[i] = opened;
        if (opened === EnvelopeStatus.ok) derive(ntHash, item(salts, i, SALT_SIZE), iterations, digest);
        else digest.fill(0);
      }
    } finally {
      ntHash.fill(0);
    }
  },
};
