/** The facade: checks arguments once for both backends, then delegates to batches on the pool. */

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { availableParallelism } from 'node:os';
import {
  checkBoolean,
  checkBytes,
  checkDeriveBatch,
  checkIterations,
  checkObject,
  checkOpenAndDeriveBatch,
  checkString,
} from './arguments.js';
import { type Engine, runDeriveBatch, runOpenAndDeriveBatch } from './batches.js';
import { checkCredential, parseCredential } from './credential.js';
import { checkFips } from './fips.js';
import { MicroBatcher } from './micro-batcher.js';
import { ntHash } from './nt-hash.js';
import { checkNtHashBatch, runNtHashBatch } from './nt-hash-batch.js';
import { checkPbkdf2Batch, runPbkdf2Batch } from './pbkdf2-batch.js';
import { closedError, Pool } from './pool.js';
import { type Selection, selectBackend } from './select-backend.js';
import {
  type Credential,
  DEFAULT_ITERATIONS,
  type DeriveBatchInput,
  type DeriveBatchResult,
  type DeriveOptions,
  type FlatItems,
  type Hasher,
  type HasherInfo,
  type HasherOptions,
  NT_HASH_SIZE,
  type OpenAndDeriveBatchInput,
  type OpenAndDeriveBatchResult,
  type Pbkdf2BatchInput,
  SALT_SIZE,
} from './types.js';

const MAX_THREADS = 1024;

function checkThreads(threads: unknown): number {
  if (threads === undefined) return availableParallelism();
  if (typeof threads !== 'number') throw new TypeError(`options.threads: expected a number, got ${typeof threads}`);
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new RangeError(`options.threads: expected an integer from 1 to ${MAX_THREADS}, got ${threads}`);
  }
  return threads;
}

class PooledHasher implements Hasher {
  readonly info: HasherInfo;
  readonly #engine: Engine;
  readonly #allowMd5InFips: boolean | undefined;
  readonly #single: MicroBatcher;

  constructor({ info, choice, lanes }: Selection, threads: number, allowMd5InFips: boolean | undefined) {
    this.#allowMd5InFips = allowMd5InFips;
    this.info = { ...info, threads };
    this.#engine = { pool: new Pool(threads), kernel: choice, lanes };
    this.#single = new MicroBatcher(async (ntHashes, salts, iterations) => {
      const { digests } = await this.deriveBatch({ ntHashes, salts, iterations });
      return digests;
    });
  }

  // The methods are async so that every error, of arguments too, arrives as a rejection.
  async deriveBatch(input: DeriveBatchInput): Promise<DeriveBatchResult> {
    const n = checkDeriveBatch(input);
    this.#checkOpen();
    return runDeriveBatch(this.#engine, n, input);
  }

  async openAndDeriveBatch(input: OpenAndDeriveBatchInput): Promise<OpenAndDeriveBatchResult> {
    const n = checkOpenAndDeriveBatch(input);
    checkFips('opening a replicated password', 'MD5 and RC4', this.#allowMd5InFips);
    this.#checkOpen();
    return runOpenAndDeriveBatch(this.#engine, n, input);
  }

  async derive(hash: Uint8Array, options: DeriveOptions = {}): Promise<Credential> {
    checkBytes('ntHash', hash, NT_HASH_SIZE);
    checkObject('options', options);
    if (options.salt !== undefined) checkBytes('options.salt', options.salt, SALT_SIZE);
    if (options.iterations !== undefined) checkIterations('options.iterations', options.iterations);
    this.#checkOpen();
    const salt = Uint8Array.from(options.salt ?? randomBytes(SALT_SIZE));
    const iterations = options.iterations ?? DEFAULT_ITERATIONS;
    return { salt, iterations, hash: await this.#single.derive(hash, salt, iterations) };
  }

  async verify(credential: string | Credential, secret: string | Uint8Array): Promise<boolean> {
    const { salt, iterations, hash } =
      typeof credential === 'string' ? parseCredential(credential) : checkCredential(credential);
    if (typeof secret !== 'string') checkBytes('secret', secret, NT_HASH_SIZE);
    else this.#checkMd4();
    this.#checkOpen();
    const given = typeof secret === 'string' ? ntHash(secret) : secret;
    // The caller may change its credential while we hash.
    const expected = Uint8Array.from(hash);
    try {
      const derived = this.#single.derive(given, salt, iterations);
      return timingSafeEqual(await derived, expected);
    } finally {
      if (given !== secret) given.fill(0);
    }
  }

  ntHash(password: string): Uint8Array {
    checkString('password', password);
    this.#checkMd4();
    return ntHash(password);
  }

  async ntHashBatch(passwords: readonly string[] | FlatItems): Promise<Uint8Array> {
    const n = checkNtHashBatch(passwords);
    this.#checkMd4();
    this.#checkOpen();
    return runNtHashBatch(this.#engine, n, passwords);
  }

  async pbkdf2Batch(input: Pbkdf2BatchInput): Promise<Uint8Array> {
    const n = checkPbkdf2Batch(input);
    this.#checkOpen();
    return runPbkdf2Batch(this.#engine, n, input);
  }

  close(): Promise<void> {
    return this.#engine.pool.close();
  }

  #checkMd4(): void {
    checkFips('the NT hash of a password', 'MD4', this.#allowMd5InFips);
  }

  #checkOpen(): void {
    if (this.#engine.pool.closed) throw closedError();
  }
}

/**
 * Makes a hasher. Its threads start with the first batch and do not keep the process alive; `close` ends them.
 *
 * @throws {PhsyncError} `config-backend` or `config-kernel`: a name that is unknown or cannot run here.
 * @throws {TypeError} {RangeError} for an option of the wrong kind or value.
 * @example
 * const hasher = createHasher();
 * const credential = await hasher.derive(hasher.ntHash('Pa$$w0rd'));
 * formatCredential(credential); // 'v1;PPH1_MD4,…,1000,…;'
 * await hasher.close();
 */
export function createHasher(options: HasherOptions = {}): Hasher {
  checkObject('options', options);
  const threads = checkThreads(options.threads);
  if (options.allowMd5InFips !== undefined) checkBoolean('options.allowMd5InFips', options.allowMd5InFips);
  return new PooledHasher(selectBackend(options), threads, options.allowMd5InFips);
}
