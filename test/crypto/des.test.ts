import { createCipheriv, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Des } from '#src/crypto/des.js';

const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

/** Single DES by OpenSSL: triple DES with the same key three times. */
function reference(key: Uint8Array, block: Uint8Array): Buffer {
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

describe('DES', () => {
  // The worked example of J. Orlin Grabbe's "The DES Algorithm Illustrated", and NBS SP 500-20's first vectors.
  test.each([
    ['133457799bbcdff1', '0123456789abcdef', '85e813540f0ab405'],
    ['0101010101010101', '8000000000000000', '95f8a5e5dd31d900'],
    ['0101010101010101', '4000000000000000', 'dd7f121ca5015619'],
    ['8001010101010101', '0000000000000000', '95a8d72813daa94d'],
    ['7ca110454a1a6e57', '01a1d6d039776742', '690f5b0d9a26939b'],
  ])('key %s encrypts %s', (key, plain, cipher) => {
    const block = hex(plain);
    const des = new Des().setKey(hex(key));
    des.encrypt(block);
    expect(Buffer.from(block).toString('hex')).toBe(cipher);
    des.decrypt(block);
    expect(Buffer.from(block).toString('hex')).toBe(plain);
  });

  test('agrees with OpenSSL on random keys, at an offset, and leaves the neighbours alone', () => {
    const des = new Des();
    for (let i = 0; i < 500; i++) {
      const key = randomBytes(8);
      const bytes = randomBytes(24);
      const expected = Buffer.concat([bytes.subarray(0, 8), reference(key, bytes.subarray(8, 16)), bytes.subarray(16)]);
      des.setKey(key).encrypt(bytes, 8);
      expect(bytes.equals(expected)).toBe(true);
    }
  });

  test('refuses short keys and blocks', () => {
    expect(() => new Des().setKey(new Uint8Array(7))).toThrow(RangeError);
    expect(() => new Des().encrypt(new Uint8Array(10), 3)).toThrow(RangeError);
  });
});
