/** Any bytes give a blob's parts, or a PhsyncError; opening any of them never hangs and never throws anything else. */

import { createPrivateKey, createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PhsyncError } from '#src/hasher/errors.js';
import { keepKerberosKeys } from '#src/protocol/samr/keep-kerberos-keys.js';
import {
  openAdAuthInfo,
  parseLegacyPlaintext,
  parseSupplementalPlaintext,
  readAdAuthInfo,
  sealAdAuthInfo,
  sealKey,
  supplementalPlaintext,
} from '#src/provisioning/ad-auth-info.js';
import vector from '../vectors/adauthinfo.json' with { type: 'json' };
import suppcred from '../vectors/suppcred.json' with { type: 'json' };

const recipient = {
  publicKey: createPublicKey(createPrivateKey({ key: vector.throwAwayKeyJwk, format: 'jwk' })),
  thumbprint: Buffer.from(vector.thumbprint, 'hex'),
};
const aesKey = Buffer.from(vector.aesKey, 'hex');
const sealedKey = sealKey(aesKey, recipient);
const reduced = keepKerberosKeys(Buffer.from(suppcred.find(({ length }) => length > 111)!.hex, 'hex'))!;
const seeds = [Buffer.from(vector.blob, 'hex'), sealAdAuthInfo(supplementalPlaintext(reduced), recipient, sealedKey)];
/** The unwrapping succeeds whatever the RSA part is, so that what lies behind it is reached. */
const unwrap = () => Uint8Array.from(aesKey);

async function orRefused<T>(work: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PhsyncError)) throw error;
    expect(error.code).toMatch(/^ad-auth-info-(malformed|wrong-key)$/);
    return undefined;
  }
}

/** Whether it was opened. */
async function open(blob: Uint8Array): Promise<boolean> {
  const plaintext = await orRefused(() => openAdAuthInfo(blob, unwrap));
  if (plaintext === undefined) return false;
  for (const parse of [parseLegacyPlaintext, parseSupplementalPlaintext]) await orRefused(() => parse(plaintext));
  return true;
}

const damaged = fc
  .record({
    seed: fc.constantFrom(...seeds),
    edits: fc.array(
      fc.record({ at: fc.oneof(fc.nat(32), fc.nat()), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) }),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ seed, edits }) =>
    edits.reduce((blob, { at, remove, insert }) => {
      const start = at % (blob.length + 1);
      return Buffer.concat([blob.subarray(0, start), insert, blob.subarray(start + remove)]);
    }, seed as Buffer),
  );

describe('ADAuthInfo', () => {
  it('of any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (blob) => void (await open(blob))),
      { numRuns: 1000 },
    );
  });

  it('damaged', async () => {
    await fc.assert(
      fc.asyncProperty(damaged, async (blob) => void (await open(blob))),
      { numRuns: 2000 },
    );
  });

  it('with header fields of any value', async () => {
    const header = fc.record({ at: fc.nat(7), value: fc.nat(0xffffffff), seed: fc.constantFrom(...seeds) });
    await fc.assert(
      fc.asyncProperty(header, async ({ at, value, seed }) => {
        const blob = Buffer.from(seed);
        blob.writeUInt32LE(value, 4 * at);
        expect(await open(blob)).toBe(blob.equals(seed));
      }),
      { numRuns: 500 },
    );
  });

  it('around any payload opens to that payload, and its parts are where the format says', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (payload) => {
        const blob = sealAdAuthInfo(payload, recipient, sealedKey);
        expect(Buffer.from(await openAdAuthInfo(blob, unwrap)).equals(payload)).toBe(true);
        const { thumbprint, encryptedKey, iv, data } = readAdAuthInfo(blob);
        const again = [blob.subarray(0, 32), thumbprint, Buffer.from(encryptedKey).reverse(), iv, data];
        expect(Buffer.concat(again).equals(blob)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('around any payload that is none of the two is refused by both parsers', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (payload) => {
        for (const parse of [parseLegacyPlaintext, parseSupplementalPlaintext]) {
          expect(await orRefused(() => parse(payload))).toBeUndefined();
        }
      }),
      { numRuns: 1000 },
    );
  });
});
