/** Published vectors: RFC 1320 (MD4), RFC 1321 (MD5), RFC 4231 (HMAC-SHA256), RFC 7914 (PBKDF2-HMAC-SHA256). */

import { ascii, unhex } from './bytes.js';

export const suiteMessages = [
  '',
  'a',
  'abc',
  'message digest',
  'abcdefghijklmnopqrstuvwxyz',
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
  '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
].map(ascii);

// RFC 1320, appendix A.5.
export const md4Suite = [
  '31d6cfe0d16ae931b73c59d7e0c089c0',
  'bde52cb31de33e46245e05fbdbd6fb24',
  'a448017aaf21d8525fc10ae87aa6729d',
  'd9130a8164549fe818874806e1c7014b',
  'd79e1c308aa5bbcdeea8ed63df412da9',
  '043f8582f241db351ce627e153e7f0e4',
  'e33b4ddc9c38f2199c3e7b164fcc0536',
];
// RFC 1321, appendix A.5.
export const md5Suite = [
  'd41d8cd98f00b204e9800998ecf8427e',
  '0cc175b9c0f1b6a831c399e269772661',
  '900150983cd24fb0d6963f7d28e17f72',
  'f96b697d7cb7938d525a2f31aaf161d0',
  'c3fcd3d76192e4007dfb496cca67e13b',
  'd174ab98d277d9f5a5611c2c9f419d9f',
  '57edf4a22be3c955ac49da2e2107b67a',
];

// RFC 4231, section 4; case 5 is given truncated to 16 bytes.
export const hmacSuite: [key: Uint8Array, data: Uint8Array, digest: string][] = [
  [
    new Uint8Array(20).fill(0x0b),
    ascii('Hi There'),
    'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
  ],
  [
    ascii('Jefe'),
    ascii('what do ya want for nothing?'),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
  [
    new Uint8Array(20).fill(0xaa),
    new Uint8Array(50).fill(0xdd),
    '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
  ],
  [
    unhex('0102030405060708090a0b0c0d0e0f10111213141516171819'),
    new Uint8Array(50).fill(0xcd),
    '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
  ],
  [new Uint8Array(20).fill(0x0c), ascii('Test With Truncation'), 'a3b6167473100ee06e0c796c2955552b'],
  [
    new Uint8Array(131).fill(0xaa),
    ascii('Test Using Larger Than Block-Size Key - Hash Key First'),
    '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  ],
  [
    new Uint8Array(131).fill(0xaa),
    ascii(
      'This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.',
    ),
    '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
  ],
];

// RFC 7914, section 11.
export const pbkdf2Suite: [password: string, salt: string, iterations: number, key: string][] = [
  [
    'passwd',
    'salt',
    1,
    '55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783',
  ],
  [
    'Password',
    'NaCl',
    80000,
    '4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d',
  ],
];
