/** Gathers single derivations made in the same turn of the event loop, so that they share the kernel's lanes. */

import { secretBytes, secretCopy } from '../crypto/secret-bytes.js';
import { DIGEST_SIZE, NT_HASH_SIZE, SALT_SIZE } from './types.js';

/** Derives n digests from n NT hashes and n salts. */
export type DeriveMany = (ntHashes: Uint8Array, salts: Uint8Array, iterations: number) => Promise<Uint8Array>;

interface Job {
  /** Our copy, wiped as soon as it went into the batch. */
  readonly ntHash: Uint8Array;
  readonly salt: Uint8Array;
  readonly resolve: (digest: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

export class MicroBatcher {
  readonly #deriveMany: DeriveMany;
  /** By iterations: a batch has one count. */
  readonly #waiting = new Map<number, Job[]>();

  constructor(deriveMany: DeriveMany) {
    this.#deriveMany = deriveMany;
  }

  /** One digest (32 bytes). The NT hash is copied at once and stays the caller's. */
  derive(ntHash: Uint8Array, salt: Uint8Array, iterations: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const job = { ntHash: secretCopy(ntHash), salt: Uint8Array.from(salt), resolve, reject };
      // After the I/O callbacks of this turn: requests that arrived together are hashed together.
      if (this.#waiting.size === 0) setImmediate(() => this.#flush());
      const jobs = this.#waiting.get(iterations);
      if (jobs === undefined) this.#waiting.set(iterations, [job]);
      else jobs.push(job);
    });
  }

  #flush(): void {
    const groups = [...this.#waiting];
    this.#waiting.clear();
    for (const [iterations, jobs] of groups) void this.#run(jobs, iterations);
  }

  async #run(jobs: readonly Job[], iterations: number): Promise<void> {
    const ntHashes = secretBytes(jobs.length * NT_HASH_SIZE);
    const salts = new Uint8Array(jobs.length * SALT_SIZE);
    jobs.forEach(({ ntHash, salt }, i) => {
      ntHashes.set(ntHash, i * NT_HASH_SIZE);
      salts.set(salt, i * SALT_SIZE);
      ntHash.fill(0);
    });
    try {
      const digests = await this.#deriveMany(ntHashes, salts, iterations);
      jobs.forEach(({ resolve }, i) => {
        resolve(digests.slice(i * DIGEST_SIZE, (i + 1) * DIGEST_SIZE));
      });
    } catch (error) {
      for (const { reject } of jobs) reject(error);
    } finally {
      ntHashes.fill(0);
    }
  }
}
