import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { hmacMd5, md5 } from '#src/crypto/md5.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const text = (value: string) => new TextEncoder().encode(value);
const MODULE = new URL('../../dist/crypto/md5.js', import.meta.url).href;

describe('MD5', () => {
  // RFC 1321 A.5
  test.each([
    ['', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
    ['abcdefghijklmnopqrstuvwxyz', 'c3fcd3d76192e4007dfb496cca67e13b'],
  ])('RFC 1321: %j', (message, digest) => {
    expect(hex(md5(text(message)))).toBe(digest);
    expect(hex(md5(text(message.slice(0, 2)), text(message.slice(2))))).toBe(digest);
  });
});

describe('HMAC-MD5', () => {
  // RFC 2202 section 2
  test.each([
    [new Uint8Array(16).fill(0x0b), text('Hi There'), '9294727a3638bb1c13f48ef8158bfc9d'],
    [text('Jefe'), text('what do ya want for nothing?'), '750c783e6ab0b503eaa86e310a5db738'],
    [new Uint8Array(16).fill(0xaa), new Uint8Array(50).fill(0xdd), '56be34521d144c88dbb8c733f0e8b3f6'],
    [
      new Uint8Array(80).fill(0xaa),
      text('Test Using Larger Than Block-Size Key - Hash Key First'),
      '6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd',
    ],
  ])('RFC 2202, case %#', (key, message, digest) => {
    expect(hex(hmacMd5(key, message))).toBe(digest);
    expect(hex(hmacMd5(key, message.subarray(0, 7), message.subarray(7)))).toBe(digest);
  });

  test('the result is a Uint8Array whose slice copies', () => {
    const digest = hmacMd5(text('Jefe'), text('x'));
    const before = digest[0];
    digest.slice().fill(before! ^ 0xff);
    expect(digest[0]).toBe(before);
  });

  test('where OpenSSL refuses MD5, as with FIPS, the digests are the same', () => {
    const script = `
      import { createHash, setFips } from 'node:crypto';
      import { hmacMd5, md5 } from ${JSON.stringify(MODULE)};
      // A process of its own: this switch is for all of it.
      setFips(true);
      let refused = false;
      try { createHash('md5'); } catch { refused = true; }
      const hex = (bytes) => Buffer.from(bytes).toString('hex');
      const bytes = (text) => new TextEncoder().encode(text);
      const parts = [bytes('what do ya want '), bytes('for nothing?')];
      console.log(JSON.stringify([refused, hex(md5(bytes('abc'))), hex(hmacMd5(bytes('Jefe'), ...parts))]));
    `;
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual([true, '900150983cd24fb0d6963f7d28e17f72', '750c783e6ab0b503eaa86e310a5db738']);
  });
});
