/** Whether a password fits a credential: the same work for every name, known or not, and for every answer. */

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type Credential, DEFAULT_ITERATIONS, DIGEST_SIZE, type Hasher, SALT_SIZE } from '../../hasher/types.js';
import type { KeyedDigests } from './digests.js';

/** What sign-in needs of a hasher: the digest and not only its comparison, since a wrong password's is its fingerprint. */
export type SignInHasher = Pick<Hasher, 'ntHash' | 'derive'>;

/** Longer than Active Directory takes (256 characters), so it is wrong; it is cut, and checked like the others. */
export const MAX_PASSWORD = 256;
/** A collision has a wrong password in 1.4 thousand million pass for one of the last three, and not be counted. */
export const FINGERPRINT_BYTES = 4;

export interface Checked {
  readonly right: boolean;
  /** The beginning of the password's digest under the name's salt; of use where it is wrong. */
  readonly fingerprint: Buffer;
}

export class PasswordCheck {
  readonly #hasher: SignInHasher;
  readonly #digests: KeyedDigests;
  /** No password has this digest: it was drawn, not derived. Compared with where there is no credential. */
  readonly #nobody = randomBytes(DIGEST_SIZE);

  constructor(hasher: SignInHasher, digests: KeyedDigests) {
    this.#hasher = hasher;
    this.#digests = digests;
  }

  /**
   * One derivation of 1000 iterations. A credential with fewer costs the missing ones as well, so that its user does not
   * answer sooner than a name that nobody has; one with more takes longer until its first right sign-in replaces it.
   * @throws PhsyncError of the hasher: `hasher-busy`, `config-fips`, …
   */
  async check(nameKey: string, credential: Credential | undefined, password: string): Promise<Checked> {
    const {
      salt,
      iterations,
      hash: expected,
    } = credential ?? {
      salt: this.#digests.salt(nameKey, SALT_SIZE),
      iterations: DEFAULT_ITERATIONS,
      hash: this.#nobody,
    };
    const ntHash = this.#hasher.ntHash(password.slice(0, MAX_PASSWORD));
    try {
      const { hash } = await this.#hasher.derive(ntHash, { salt, iterations });
      if (iterations < DEFAULT_ITERATIONS) {
        await this.#hasher.derive(ntHash, { salt, iterations: DEFAULT_ITERATIONS - iterations });
      }
      const equal = timingSafeEqual(hash, expected);
      const fingerprint = Buffer.from(hash.subarray(0, FINGERPRINT_BYTES));
      hash.fill(0);
      return { right: equal && credential !== undefined && password.length <= MAX_PASSWORD, fingerprint };
    } finally {
      ntHash.fill(0);
    }
  }

  /** A credential of the same password, as it is made today. */
  async derive(password: string): Promise<Credential> {
    const ntHash = this.#hasher.ntHash(password);
    try {
      return await this.#hasher.derive(ntHash);
    } finally {
      ntHash.fill(0);
    }
  }
}
