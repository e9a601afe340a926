/** Keyed digests (HMAC-SHA256, RFC 2104) of what sign-in remembers and nobody who reads the database shall learn: names, places. */

import { createHmac } from 'node:crypto';
import type { TenantDatabase } from '../store/database.js';
import { readDigestKey } from '../store/digest-key.js';

const NAME_BYTES = 16;
const PLACE_BYTES = 16;

/** One purpose's digest says nothing about another's. */
type Purpose = 'name' | 'place' | 'salt';

export class KeyedDigests {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** With the key that all processes of one database share. */
  static async open(database: TenantDatabase): Promise<KeyedDigests> {
    return new KeyedDigests(await readDigestKey(database));
  }

  /** `nameKey`: userPrincipalNameKey() of any text that came as a name. */
  name(nameKey: string): Buffer {
    return this.#digest('name', nameKey, NAME_BYTES);
  }

  /** Of one user's place, so that two users' rows do not tell that they share a network. */
  place(userId: number, prefix: string): Buffer {
    return this.#digest('place', `${userId} ${prefix}`, PLACE_BYTES);
  }

  /** What stands for the salt of a name without credential: always the same for one name, as a user's is. */
  salt(nameKey: string, bytes: number): Buffer {
    return this.#digest('salt', nameKey, bytes);
  }

  #digest(purpose: Purpose, text: string, bytes: number): Buffer {
    return createHmac('sha256', this.#key).update(`${purpose}\0`).update(text, 'utf8').digest().subarray(0, bytes);
  }
}
