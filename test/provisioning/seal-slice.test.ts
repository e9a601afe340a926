/** One slice, in this thread: the same from every backend where chance is the same, and nothing left of it. */

import { createHash, randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '#src/hasher/backend.js';
import { joinBytes } from '#src/hasher/flat-items.js';
import { openBackend } from '#src/hasher/open-backend.js';
import { recipientOf } from '#src/provisioning/ad-auth-info.js';
import {
  FieldStatus,
  legacySize,
  rsaSizeOf,
  type SealSlice,
  sealSlice,
  supplementalAt,
  supplementalRoom,
} from '#src/provisioning/seal-slice.js';
import { runnable } from '../hasher/backends.js';
import { hex, seal, sealData, unhex } from '../hasher/reference.js';
import suppcred from '../vectors/suppcred.json' with { type: 'json' };
import { openBlob } from './blobs.js';
import { createCertificate, type TestCertificate } from './certificates.js';

const COUNT = 40;
const RSA_SIZE = 256;
const sessionKey = randomBytes(32);
const plain = suppcred.map(({ hex: text }) => unhex(text));
const envelopes = {
  unicodePwd: Array.from({ length: COUNT }, (_, i) => seal(sessionKey, 1000 + i, randomBytes(16))),
  supplementalCredentials: Array.from({ length: COUNT }, (_, i) => sealData(sessionKey, plain[i % plain.length]!)),
};
// One of each does not open.
envelopes.unicodePwd[7]![30]! ^= 1;
envelopes.supplementalCredentials[11]![30]! ^= 1;

function slice(ntlm: boolean): SealSlice {
  const supplementalCredentials = joinBytes(envelopes.supplementalCredentials);
  return {
    ntlm,
    sessionKeys: sessionKey,
    sessionKeyOffsets: Uint32Array.of(0, 32),
    rids: Uint32Array.from({ length: COUNT }, (_, i) => 1000 + i),
    unicodePwd: joinBytes(envelopes.unicodePwd),
    supplementalCredentials,
    legacyStatus: new Uint8Array(COUNT),
    supplementalStatus: new Uint8Array(COUNT),
    legacy: new Uint8Array(COUNT * legacySize(RSA_SIZE)),
    supplemental: new Uint8Array(COUNT * supplementalRoom(RSA_SIZE) + supplementalCredentials.bytes.length),
    supplementalSizes: new Uint32Array(COUNT),
  };
}

/** 80 bytes a user: AES key, two IVs, 16 bytes in the NT hash's place. */
const chance = (size: number): Buffer => createHash('shake256', { outputLength: size }).update('chance').digest();

let certificate: TestCertificate;
beforeAll(async () => {
  certificate = await createCertificate(2048);
});

/** Seals it; everything that was this thread's own is empty afterwards. */
function sealed(backend: Backend, ntlm: boolean): SealSlice {
  const made = slice(ntlm);
  const own: Uint8Array[] = [];
  const watched: Backend = {
    ...backend,
    openBatch(...args) {
      backend.openBatch(...args);
      expect(args[5].some((byte) => byte !== 0)).toBe(true);
      own.push(args[5]);
    },
  };
  sealSlice(watched, recipientOf(certificate.der), made, (bytes) => {
    bytes.set(chance(bytes.length));
    own.push(bytes);
  });
  expect(own).toHaveLength(ntlm ? 3 : 2);
  for (const bytes of own) expect(bytes.every((byte) => byte === 0)).toBe(true);
  return made;
}

/** The blobs of user i without their RSA ciphertext, in which OpenSSL's own chance is, and the AES keys in that. */
function blobsOf(made: SealSlice, i: number): (string | undefined)[] {
  const cut = (blob: Buffer): string =>
    hex(
      Buffer.concat([
        blob.subarray(0, 52),
        blob.subarray(52 + RSA_SIZE),
        openBlob(blob, certificate.privateKey).aesKey,
      ]),
    );
  const size = legacySize(RSA_SIZE);
  const at = supplementalAt(RSA_SIZE, i, made.supplementalCredentials.offsets);
  return [
    made.legacyStatus[i] === 0 ? cut(Buffer.from(made.legacy.subarray(i * size, (i + 1) * size))) : undefined,
    made.supplementalStatus[i] === 0
      ? cut(Buffer.from(made.supplemental.subarray(at, at + made.supplementalSizes[i]!)))
      : undefined,
  ];
}

describe.each(runnable)('sealSlice on $backend $kernel', ({ kernel }) => {
  const backend = openBackend(kernel);

  it.each([true, false])('gives what the fallback gives, of the same chance, and wipes it all (ntlm: %s)', (ntlm) => {
    const ours = sealed(backend, ntlm);
    const theirs = sealed(openBackend(undefined), ntlm);
    expect(rsaSizeOf(recipientOf(certificate.der))).toBe(RSA_SIZE);
    expect(ours.legacyStatus).toEqual(theirs.legacyStatus);
    expect(ours.supplementalStatus).toEqual(theirs.supplementalStatus);
    expect(ours.legacyStatus[7]).toBe(ntlm ? FieldStatus.checksum : FieldStatus.ok);
    expect(ours.supplementalStatus[11]).toBe(FieldStatus.checksum);
    expect(
      [...ours.supplementalStatus].filter((status) => status === FieldStatus.noKerberosKeys).length,
    ).toBeGreaterThan(5);
    const drawn = hex(chance(COUNT * 80));
    for (let i = 0; i < COUNT; i++) {
      const [legacy, supplemental] = blobsOf(ours, i);
      expect([legacy, supplemental]).toEqual(blobsOf(theirs, i));
      const [aesKey, first, second] = [0, 64, 96].map((at) =>
        drawn.slice(160 * i + at, 160 * i + at + (at === 0 ? 64 : 32)),
      );
      if (legacy !== undefined) {
        expect(legacy.slice(-64)).toBe(aesKey);
        expect(legacy.slice(104, 136)).toBe(first);
      }
      if (supplemental !== undefined) {
        expect(supplemental.slice(-64)).toBe(aesKey);
        expect(supplemental.slice(104, 136)).toBe(second);
      }
    }
  });
});

describe('sealSlice', () => {
  it('wipes what it opened where it fails', () => {
    const own: Uint8Array[] = [];
    const backend = openBackend(undefined);
    const watched: Backend = {
      ...backend,
      openBatch(...args) {
        backend.openBatch(...args);
        own.push(args[5]);
      },
    };
    const fail = () =>
      sealSlice(watched, recipientOf(certificate.der), slice(true), () => {
        throw new Error('no chance');
      });
    expect(fail).toThrow('no chance');
    expect(own).toHaveLength(2);
    for (const bytes of own) expect(bytes.every((byte) => byte === 0)).toBe(true);
  });
});
