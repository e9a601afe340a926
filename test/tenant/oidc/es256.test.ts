/** ES256 by thread: every token has its own signature, by its own key, as OpenSSL and jose see it. */

import { generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { compactVerify } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { Es256Signer } from '#src/tenant/oidc/es256.js';

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const inputOf = (n: number) => `${encode({ alg: 'ES256' })}.${encode({ n })}`;
const makeKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

describe('ES256 signatures', () => {
  const signers: Es256Signer[] = [];
  const signer = () => {
    const one = new Es256Signer();
    signers.push(one);
    return one;
  };
  afterEach(() => Promise.all(signers.splice(0).map((one) => one.close())));

  const isRight = (publicKey: KeyObject, input: string, signature: string) =>
    verify(
      'sha256',
      Buffer.from(input),
      { key: publicKey, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );

  it.each([1, 2, 64, 300])('of %i inputs at once are each of its own', async (count) => {
    const { privateKey, publicKey } = makeKey();
    const one = signer();
    const signatures = await Promise.all(Array.from({ length: count }, (_, n) => one.sign(privateKey, inputOf(n))));
    for (const [n, signature] of signatures.entries()) {
      const { payload } = await compactVerify(`${inputOf(n)}.${signature}`, publicKey);
      expect(JSON.parse(Buffer.from(payload).toString())).toEqual({ n });
      expect(isRight(publicKey, inputOf(n + 1), signature)).toBe(false);
    }
  });

  it('are by the key that each was asked of, in the turn in which it changes as well', async () => {
    const [before, after] = [makeKey(), makeKey()];
    const one = signer();
    const signatures = await Promise.all([
      one.sign(before.privateKey, inputOf(0)),
      one.sign(after.privateKey, inputOf(1)),
      one.sign(before.privateKey, inputOf(2)),
    ]);
    expect(isRight(before.publicKey, inputOf(0), signatures[0]!)).toBe(true);
    expect(isRight(after.publicKey, inputOf(1), signatures[1]!)).toBe(true);
    expect(isRight(before.publicKey, inputOf(2), signatures[2]!)).toBe(true);
  });

  it('that cannot be made fail those who asked, and nobody after them', async () => {
    const one = signer();
    const x25519 = generateKeyPairSync('x25519').privateKey;
    const failed = await Promise.allSettled([one.sign(x25519, inputOf(0)), one.sign(x25519, inputOf(1))]);
    for (const each of failed) {
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'token-signing' } });
    }
    const { privateKey, publicKey } = makeKey();
    const [signature] = await Promise.all([one.sign(privateKey, inputOf(0)), one.sign(privateKey, inputOf(1))]);
    expect(isRight(publicKey, inputOf(0), signature)).toBe(true);
  });
});
