/** string-to-key of single DES: fan-fold, then a CBC checksum under what it gave (RFC 3961 6.2). */

import { Des } from './des.js';
import { secretBytes } from './secret-bytes.js';

const BLOCK = 8;
/** The weak keys of FIPS 74 and the pairs of semi-weak ones, with odd parity. */
const WEAK_KEYS = [
  '0101010101010101',
  'fefefefefefefefe',
  'e0e0e0e0f1f1f1f1',
  '1f1f1f1f0e0e0e0e',
  '011f011f010e010e',
  '1f011f010e010e01',
  '01e001e001f101f1',
  'e001e001f101f101',
  '01fe01fe01fe01fe',
  'fe01fe01fe01fe01',
  '1fe01fe00ef10ef1',
  'e01fe01ff10ef10e',
  '1ffe1ffe0efe0efe',
  'fe1ffe1ffe0efe0e',
  'e0fee0fef1fef1fe',
  'fee0fee0fef1fef1',
].map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')));

/** Odd parity in the lowest bit of each byte, and no weak key. */
function correct(key: Uint8Array): void {
  for (let i = 0; i < BLOCK; i++) {
    let parity = 1;
    for (let bit = 1; bit < 8; bit++) parity ^= (key[i]! >> bit) & 1;
    key[i] = (key[i]! & 0xfe) | parity;
  }
  if (WEAK_KEYS.some((weak) => weak.every((byte, i) => byte === key[i]))) key[BLOCK - 1]! ^= 0xf0;
}

/** The low seven bits of each byte of each block, every other block from back to front, added up without carry. */
function fanFold(padded: Uint8Array, key: Uint8Array): void {
  for (let at = 0; at < padded.length; at++) {
    const i = at % BLOCK;
    const isReversed = (at / BLOCK) & 1;
    for (let bit = 0; bit < 7; bit++) {
      // Counted from the first of the seven, which is the byte's second highest.
      const value = (padded[at]! >> (6 - bit)) & 1;
      const place = isReversed ? 55 - (7 * i + bit) : 7 * i + bit;
      key[Math.floor(place / 7)]! ^= value << (7 - (place % 7));
    }
  }
}

/** The 8-byte key of a password in UTF-8; the caller wipes it. */
export function desStringToKey(password: Uint8Array, salt: Uint8Array): Uint8Array<ArrayBuffer> {
  const size = password.length + salt.length;
  const padded = secretBytes(BLOCK * Math.ceil(size / BLOCK));
  const iv = secretBytes(BLOCK);
  const des = new Des();
  try {
    padded.set(password);
    padded.set(salt, password.length);
    fanFold(padded, iv);
    correct(iv);
    des.setKey(iv);
    const key = secretBytes(BLOCK);
    key.set(iv);
    for (let at = 0; at < padded.length; at += BLOCK) {
      for (let i = 0; i < BLOCK; i++) key[i]! ^= padded[at + i]!;
      des.encrypt(key);
    }
    correct(key);
    return key;
  } finally {
    padded.fill(0);
    iv.fill(0);
    des.wipe();
  }
}
