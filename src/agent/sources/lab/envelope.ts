/** Makes what a DC sends of secrets: ENCRYPTED_PAYLOAD (MS-DRSR 4.1.10.6.13), of unicodePwd over the RID-DES layer (MS-SAMR 2.2.11.1). */

import { crc32 } from 'node:zlib';
import { Des } from '../../../crypto/des.js';
import { md4 } from '../../../crypto/md4.js';
import { md5 } from '../../../crypto/md5.js';
import { Rc4 } from '../../../crypto/rc4.js';
import { ENVELOPE_SIZE } from '../../../hasher/types.js';

const SALT = 16;
const DATA = SALT + 4;

/** Seals secrets for one connection, whose session key it keeps. */
export class EnvelopeSealer {
  readonly #des = new Des();
  readonly #keyAndSalt: Uint8Array;
  readonly #ridKeys = new Uint8Array(16);
  /** Under the key of the last envelope. */
  #rc4: Rc4 | undefined;

  constructor(sessionKey: Uint8Array) {
    this.#keyAndSalt = new Uint8Array(sessionKey.length + SALT);
    this.#keyAndSalt.set(sessionKey);
  }

  /** The 36 bytes for this password and RID; `salt` is the envelope's own, 16 random bytes. */
  seal(password: string, rid: number, salt: Uint8Array): Uint8Array {
    const envelope = new Uint8Array(ENVELOPE_SIZE);
    envelope.set(salt);
    const ntHash = md4(Buffer.from(password, 'utf16le'));
    envelope.set(ntHash, DATA);
    ntHash.fill(0);
    this.#hideUnderRid(envelope, rid);
    return this.#encrypt(envelope, salt);
  }

  /** Of an attribute that no RID goes into: 20 bytes more than `data`. */
  sealPlain(data: Uint8Array, salt: Uint8Array): Uint8Array {
    const envelope = new Uint8Array(DATA + data.length);
    envelope.set(salt);
    envelope.set(data, DATA);
    return this.#encrypt(envelope, salt);
  }

  #encrypt(envelope: Uint8Array, salt: Uint8Array): Uint8Array {
    const checksum = crc32(envelope.subarray(DATA));
    for (let i = 0; i < 4; i++) envelope[SALT + i] = checksum >>> (8 * i);
    this.#keyAndSalt.set(salt, this.#keyAndSalt.length - SALT);
    const key = md5(this.#keyAndSalt);
    this.#rc4 = this.#rc4?.setKey(key) ?? new Rc4(key);
    this.#rc4.process(envelope, SALT);
    return envelope;
  }

  /** DES over each half, with the two keys that the RID's four bytes give. */
  #hideUnderRid(envelope: Uint8Array, rid: number): void {
    const i0 = rid & 255;
    const i1 = (rid >>> 8) & 255;
    const i2 = (rid >>> 16) & 255;
    const i3 = rid >>> 24;
    spread(this.#ridKeys, 0, i0, i1, i2, i3);
    spread(this.#ridKeys, 8, i3, i0, i1, i2);
    this.#des.setKey(this.#ridKeys, 0).encrypt(envelope, DATA);
    this.#des.setKey(this.#ridKeys, 8).encrypt(envelope, DATA + 8);
  }
}

/** Seven bytes a b c d a b c into eight: seven bits in the upper bits of each; parity is not looked at. */
function spread(keys: Uint8Array, at: number, a: number, b: number, c: number, d: number): void {
  keys[at] = a & 0xfe;
  keys[at + 1] = (a << 7) | ((b >>> 1) & 0x7e);
  keys[at + 2] = (b << 6) | ((c >>> 2) & 0x3e);
  keys[at + 3] = (c << 5) | ((d >>> 3) & 0x1e);
  keys[at + 4] = (d << 4) | ((a >>> 4) & 0x0e);
  keys[at + 5] = (a << 3) | ((b >>> 5) & 0x06);
  keys[at + 6] = (b << 2) | ((c >>> 6) & 0x02);
  keys[at + 7] = c << 1;
}
