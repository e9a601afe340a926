/** The backend without a compiled addon: one item after another on node:crypto's PBKDF2. */

import { pbkdf2Sync } from 'node:crypto';
import { md4 } from '../../crypto/md4.js';
import { secretBytes, secretCopy } from '../../crypto/secret-bytes.js';
import type { Backend } from '../backend.js';
import { DIGEST_SIZE, ENVELOPE_OVERHEAD, ENVELOPE_SIZE, EnvelopeStatus, NT_HASH_SIZE, SALT_SIZE } from '../types.js';
import { openEnvelope } from './envelope.js';

const UPPER_HEX = Uint8Array.from(Buffer.from('0123456789ABCDEF', 'latin1'));

// One set for all calls, none of which can interrupt another; the OrgId password is wiped behind each batch.
const PASSWORD = secretBytes(4 * NT_HASH_SIZE);
const SALT = new Uint8Array(new ArrayBuffer(SALT_SIZE));

/** PBKDF2-HMAC-SHA256 over the UPPER-case hex of the `item`th NT hash in UTF-16LE, into that place of `digests`. */
function derive(ntHashes: Uint8Array, item: number, salts: Uint8Array, c: number, out: Uint8Array): void {
  // Every second byte stays 0.
  for (let i = 0; i < NT_HASH_SIZE; i++) {
    const byte = ntHashes[item * NT_HASH_SIZE + i]!;
    PASSWORD[4 * i] = UPPER_HEX[byte >> 4]!;
    PASSWORD[4 * i + 2] = UPPER_HEX[byte & 15]!;
  }
  // OpenSSL is given memory of this thread only; the salts may lie on a SharedArrayBuffer.
  for (let i = 0; i < SALT_SIZE; i++) SALT[i] = salts[item * SALT_SIZE + i]!;
  out.set(pbkdf2Sync(PASSWORD, SALT, c, DIGEST_SIZE, 'sha256'), item * DIGEST_SIZE);
}

const slot = (bytes: Uint8Array, i: number, size: number): Uint8Array => bytes.subarray(i * size, (i + 1) * size);

/** The i-th of concatenated byte strings. */
const between = (bytes: Uint8Array, offsets: Uint32Array, i: number): Uint8Array =>
  bytes.subarray(offsets[i], offsets[i + 1]);

const all = (bytes: Uint8Array, offsets: Uint32Array): Uint8Array[] =>
  Array.from({ length: offsets.length - 1 }, (_, i) => between(bytes, offsets, i));

/** The pure-JS backend: same bytes and same statuses as the native one. */
export const fallback: Backend = {
  name: 'fallback',
  kernel: undefined,

  deriveBatch(ntHashes, salts, iterations, digests) {
    try {
      for (let i = 0; i < digests.length / DIGEST_SIZE; i++) {
        derive(ntHashes, i, salts, iterations, digests);
      }
    } finally {
      PASSWORD.fill(0);
    }
  },

  openAndDeriveBatch(sessionKeys, sessionKeyOffsets, envelopes, rids, salts, iterations, digests, status) {
    const keys = all(sessionKeys, sessionKeyOffsets);
    const ntHashes = secretBytes(rids.length * NT_HASH_SIZE);
    try {
      // All are opened first: between two PBKDF2s the tables of DES are no longer in the first-level cache.
      for (let i = 0; i < rids.length; i++) {
        if (status[i] === EnvelopeStatus.length) continue;
        status[i] = openEnvelope(keys, slot(envelopes, i, ENVELOPE_SIZE), rids[i]!, slot(ntHashes, i, NT_HASH_SIZE));
      }
      for (let i = 0; i < rids.length; i++) {
        if (status[i] === EnvelopeStatus.ok) derive(ntHashes, i, salts, iterations, digests);
        else slot(digests, i, DIGEST_SIZE).fill(0);
      }
    } finally {
      ntHashes.fill(0);
      PASSWORD.fill(0);
    }
  },

  openBatch(sessionKeys, sessionKeyOffsets, envelopes, envelopeOffsets, rids, data, status) {
    const keys = all(sessionKeys, sessionKeyOffsets);
    for (let i = 0; i < status.length; i++) {
      const from = envelopeOffsets[i]!;
      const to = Math.max(from, envelopeOffsets[i + 1]! - ENVELOPE_OVERHEAD);
      const envelope = between(envelopes, envelopeOffsets, i);
      status[i] = openEnvelope(keys, envelope, rids?.[i], data.subarray(from, to));
    }
  },

  md4Batch(bytes, offsets, digests) {
    for (let i = 0; i < offsets.length - 1; i++) {
      const digest = md4(between(bytes, offsets, i));
      digests.set(digest, i * NT_HASH_SIZE);
      digest.fill(0);
    }
  },

  pbkdf2Batch(passwords, passwordOffsets, salts, saltOffsets, iterations, keylen, derivedKeys) {
    for (let i = 0; i < passwordOffsets.length - 1; i++) {
      const password = secretCopy(between(passwords, passwordOffsets, i));
      try {
        const salt = new Uint8Array(between(salts, saltOffsets, i));
        const derived = pbkdf2Sync(password, salt, iterations, keylen, 'sha256');
        derivedKeys.set(derived, i * keylen);
        derived.fill(0);
      } finally {
        password.fill(0);
      }
    }
  },
};
