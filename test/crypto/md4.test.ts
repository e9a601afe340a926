import { md4 as peerMd4 } from 'hash-wasm';
import { describe, expect, test } from 'vitest';
import { md4 } from '#src/crypto/md4.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

// RFC 1320 A.5
const VECTORS: Readonly<Record<string, string>> = {
  '': '31d6cfe0d16ae931b73c59d7e0c089c0',
  a: 'bde52cb31de33e46245e05fbdbd6fb24',
  abc: 'a448017aaf21d8525fc10ae87aa6729d',
  'message digest': 'd9130a8164549fe818874806e1c7014b',
  abcdefghijklmnopqrstuvwxyz: 'd79e1c308aa5bbcdeea8ed63df412da9',
  ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789: '043f8582f241db351ce627e153e7f0e4',
  '12345678901234567890123456789012345678901234567890123456789012345678901234567890':
    'e33b4ddc9c38f2199c3e7b164fcc0536',
};

describe('MD4', () => {
  for (const [message, digest] of Object.entries(VECTORS)) {
    test(`RFC 1320: ${JSON.stringify(message.slice(0, 20))}, ${message.length} bytes`, () => {
      expect(hex(md4(Buffer.from(message)))).toBe(digest);
    });
  }

  test('MS-NLMP 4.2.2.1.2: the NT hash of "Password"', () => {
    expect(hex(md4(Buffer.from('Password', 'utf16le')))).toBe('a4f49c406510bdcab6824ee7c30fd852');
  });

  test('hash-wasm agrees at every length around the block edges', async () => {
    // Period 251, so that swapped blocks show.
    const message = Uint8Array.from({ length: 321 }, (_, i) => i % 251);
    for (let length = 0; length <= 320; length++) {
      const odd = message.subarray(1, 1 + length);
      expect(hex(md4(odd))).toBe(await peerMd4(odd));
    }
  });
});
