/** Signatures by thread: every token has its own, by its own key, as OpenSSL and jose see it. */

import { generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { compactVerify } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { Signer } from '#src/tenant/oidc/signatures.js';
import type { SigningAlgorithm } from '#src/tenant/oidc/signing-keys.js';

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe.each<[SigningAlgorithm, () => { privateKey: KeyObject; publicKey: KeyObject }]>([
  ['ES256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ['RS256', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
])('%s signatures', (alg, makeKey) => {
  const signers: Signer[] = [];
  const signer = () => {
    const one = new Signer();
    signers.push(one);
    return (key: KeyObject, input: string) => one.sign(alg, key, input);
  };
  afterEach(() => Promise.all(signers.splice(0).map((one) => one.close())));

  const inputOf = (n: number) => `${encode({ alg })}.${encode({ n })}`;
  const isRight = (key: KeyObject, input: string, signature: string) =>
    verify(
      'sha256',
      Buffer.from(input),
      alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key,
      Buffer.from(signature, 'base64url'),
    );

  it.each([1, 2, 64, 300])('of %i inputs at once are each of its own', async (count) => {
    const { privateKey, publicKey } = makeKey();
    const sign = signer();
    const signatures = await Promise.all(Array.from({ length: count }, (_, n) => sign(privateKey, inputOf(n))));
    for (const [n, signature] of signatures.entries()) {
      const { payload } = await compactVerify(`${inputOf(n)}.${signature}`, publicKey);
      expect(JSON.parse(Buffer.from(payload).toString())).toEqual({ n });
      expect(isRight(publicKey, inputOf(n + 1), signature)).toBe(false);
    }
  });

  it('that come while the threads are busy are made after them', async () => {
    const { privateKey, publicKey } = makeKey();
    const sign = signer();
    const turns = Array.from({ length: 20 }, async (_, turn) => {
      for (let i = 0; i < turn; i++) await new Promise((resolve) => setImmediate(resolve));
      return Promise.all([0, 1, 2].map((n) => sign(privateKey, inputOf(3 * turn + n))));
    });
    for (const [n, signature] of (await Promise.all(turns)).flat().entries()) {
      expect(isRight(publicKey, inputOf(n), signature), `input ${n}`).toBe(true);
    }
  });

  it('are by the key that each was asked of, in the turn in which it changes as well', async () => {
    const [before, after] = [makeKey(), makeKey()];
    const sign = signer();
    const signatures = await Promise.all([
      sign(before.privateKey, inputOf(0)),
      sign(after.privateKey, inputOf(1)),
      sign(before.privateKey, inputOf(2)),
    ]);
    expect(isRight(before.publicKey, inputOf(0), signatures[0]!)).toBe(true);
    expect(isRight(after.publicKey, inputOf(1), signatures[1]!)).toBe(true);
    expect(isRight(before.publicKey, inputOf(2), signatures[2]!)).toBe(true);
  });

  it('that cannot be made fail those who asked, and nobody after them', async () => {
    const sign = signer();
    const x25519 = generateKeyPairSync('x25519').privateKey;
    await expect(sign(x25519, inputOf(0))).rejects.toThrow();
    const failed = await Promise.allSettled([sign(x25519, inputOf(0)), sign(x25519, inputOf(1))]);
    for (const each of failed) {
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'token-signing' } });
    }
    const { privateKey, publicKey } = makeKey();
    const [signature] = await Promise.all([sign(privateKey, inputOf(0)), sign(privateKey, inputOf(1))]);
    expect(isRight(publicKey, inputOf(0), signature)).toBe(true);
  });
});
