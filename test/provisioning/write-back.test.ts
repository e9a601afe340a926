/** The seal of password write-back: opened by hand after RFC 7518, and by nobody else than the key's owner. */

import { createDecipheriv, createECDH, createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeSealingKeys, seal } from '#src/provisioning/write-back.js';

const SUBJECT = {
  id: '7f1f3bd4-43a6-4d9c-9d53-0c7ae2a7a4ff',
  domain: 'phs.test',
  sourceAnchor: 'AAECAwQFBgcICQoLDA0ODw==',
};
const PASSWORDS = { oldPassword: Buffer.from('Old-äöü'), newPassword: Buffer.from('New-𝄞') };

/** RFC 7518 4.6.2: Concat KDF for "A256GCM" without PartyUInfo and PartyVInfo, 256 bits. */
function contentKey(z: Buffer): Buffer {
  const number = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const name = Buffer.from('A256GCM');
  const info = Buffer.concat([number(name.length), name, number(0), number(0), number(256)]);
  return createHash('sha256')
    .update(Buffer.concat([number(1), z, info]))
    .digest();
}

describe('a sealed request', () => {
  it('is a JWE of ECDH-ES and A256GCM, as another implementation opens it', async () => {
    const ecdh = createECDH('prime256v1');
    const point = ecdh.generateKeys();
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((bytes) => bytes.toString('base64url')) as [
      string,
      string,
    ];
    const sealed = await seal(SUBJECT, PASSWORDS, { kty: 'EC', crv: 'P-256', x, y });
    const [head, key, iv, text, tag] = sealed.split('.') as [string, string, string, string, string];
    const { alg, enc, epk } = JSON.parse(Buffer.from(head, 'base64url').toString());
    expect([alg, enc, key]).toEqual(['ECDH-ES', 'A256GCM', '']);
    const other = Buffer.concat([Buffer.of(4), Buffer.from(epk.x, 'base64url'), Buffer.from(epk.y, 'base64url')]);
    const decipher = createDecipheriv(
      'aes-256-gcm',
      contentKey(ecdh.computeSecret(other)),
      Buffer.from(iv, 'base64url'),
    );
    decipher.setAAD(Buffer.from(head)).setAuthTag(Buffer.from(tag, 'base64url'));
    const plain = Buffer.concat([decipher.update(Buffer.from(text, 'base64url')), decipher.final()]);
    const length = plain.readUInt16LE(0);
    expect(JSON.parse(plain.subarray(2, 2 + length).toString())).toEqual(SUBJECT);
    expect(plain.subarray(2 + length).toString('hex')).toBe(
      `0a00${PASSWORDS.oldPassword.toString('hex')}0800${PASSWORDS.newPassword.toString('hex')}`,
    );
  });

  it('is opened by the key that it was sealed to, and wiped', async () => {
    const keys = await makeSealingKeys();
    const opened = await keys.open(await seal(SUBJECT, PASSWORDS, keys.publicKey));
    expect(opened).toMatchObject(SUBJECT);
    expect(opened.oldPassword).toEqual(PASSWORDS.oldPassword);
    expect(opened.newPassword).toEqual(PASSWORDS.newPassword);
    opened.wipe();
    expect(opened.newPassword).toEqual(Buffer.alloc(8));
    expect(PASSWORDS.newPassword.toString()).toBe('New-𝄞');
    const reset = await keys.open(await seal(SUBJECT, { ...PASSWORDS, oldPassword: undefined }, keys.publicKey));
    expect(reset.oldPassword).toBeUndefined();
  });

  it('is opened by no other key, and not where a byte has changed', async () => {
    const [keys, others] = [await makeSealingKeys(), await makeSealingKeys()];
    const sealed = await seal(SUBJECT, PASSWORDS, keys.publicKey);
    await expect(others.open(sealed)).rejects.toMatchObject({ code: 'ERR_JWE_DECRYPTION_FAILED' });
    const parts = sealed.split('.');
    const changed = Buffer.from(parts[3]!, 'base64url');
    changed[0]! ^= 1;
    parts[3] = changed.toString('base64url');
    await expect(keys.open(parts.join('.'))).rejects.toMatchObject({ code: 'ERR_JWE_DECRYPTION_FAILED' });
  });

  it('is refused for a point that is not on the curve, and for what NOTIFY could not carry', async () => {
    const { publicKey } = await makeSealingKeys();
    await expect(seal(SUBJECT, PASSWORDS, { ...publicKey, y: publicKey.x })).rejects.toThrow();
    await expect(seal(SUBJECT, { ...PASSWORDS, newPassword: Buffer.alloc(9000) }, publicKey)).rejects.toThrow(
      RangeError,
    );
  });
});
