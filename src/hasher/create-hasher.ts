/** The facade: checks arguments once for both backends, then delegates to batches on the pool. */

import { randomBytes } from 'node:crypto';
import {
  checkBytes,
  checkDeriveBatch,
  checkIterations,
  checkNtHash,
  checkObject,
  checkOpenAndDeriveBatch,
  checkSignal,
  checkString,
} from './arguments.js';
import { type Engine, runDeriveBatch, runOpenAndDeriveBatch } from './batches.js';
import { checkCredential, parseCredential } from './credential.js';
import { checkFips } from './fips.js';
import { checkItem, copyItem, utf8OrBytes } from './flat-items.js';
import { MicroBatcher } from './micro-batcher.js';
import { ntHash } from './nt-hash.js';
import { checkNtHashBatch, runNtHashBatch } from './nt-hash-batch.js';
import { closedError } from './owner.js';
import { checkPbkdf2Batch, checkPbkdf2Work, runPbkdf2Batch } from './pbkdf2-batch.js';
import { Pbkdf2Calls } from './pbkdf2-calls.js';
import { Pool, type Workshop } from './pool.js';
import { checkPoolOptions, type PoolSettings } from './pool-options.js';
import { Scheduler } from './scheduler.js';
import { type Selection, selectBackend } from './select-backend.js';
import {
  type Cancellable,
  type Credential,
  DEFAULT_ITERATIONS,
  type DeriveBatchInput,
  type DeriveBatchResult,
  type DeriveOptions,
  type FlatItems,
  type Hasher,
  type HasherInfo,
  type HasherLoad,
  type HasherOptions,
  NT_HASH_SIZE,
  type OpenAndDeriveBatchInput,
  type OpenAndDeriveBatchResult,
  type Pbkdf2BatchInput,
  SALT_SIZE,
  type VerifyOptions,
} from './types.js';

const WORKSHOP: Workshop = { owner: 'hasher', worker: ['hasher', 'worker.js'] };
/** The options of a call that has no others. */
function checkOptions(options: Cancellable): AbortSignal | undefined {
  checkObject('options', options, ['signal']);
  const { signal } = options;
  if (signal !== undefined) checkSignal('options.signal', signal);
  return signal;
}

class PooledHasher implements Hasher {
  readonly info: HasherInfo;
  readonly #engine: Engine;
  readonly #allowMd5InFips: boolean | undefined;
  readonly #single: MicroBatcher;
  readonly #pbkdf2: Pbkdf2Calls;

  constructor({ info, choice, lanes }: Selection, { threads, idleTimeout, maxQueue, allowMd5InFips }: PoolSettings) {
    this.#allowMd5InFips = allowMd5InFips;
    this.info = { ...info, threads };
    this.#engine = {
      scheduler: new Scheduler(new Pool(WORKSHOP, threads, idleTimeout), maxQueue),
      kernel: choice,
      lanes,
    };
    this.#single = new MicroBatcher(this.#engine);
    this.#pbkdf2 = new Pbkdf2Calls(this.#engine);
  }

  get load(): HasherLoad {
    const { waiting, running } = this.#engine.scheduler;
    return { waiting, running };
  }

  // The methods are async so that every error, of arguments too, arrives as a rejection.
  async deriveBatch(input: DeriveBatchInput): Promise<DeriveBatchResult> {
    const n = checkDeriveBatch(input);
    this.#checkOpen();
    input.signal?.throwIfAborted();
    return runDeriveBatch(this.#engine, n, input);
  }

  async openAndDeriveBatch(input: OpenAndDeriveBatchInput): Promise<OpenAndDeriveBatchResult> {
    const n = checkOpenAndDeriveBatch(input);
    checkFips('opening a replicated password', 'MD5 and RC4', this.#allowMd5InFips);
    this.#checkOpen();
    input.signal?.throwIfAborted();
    return runOpenAndDeriveBatch(this.#engine, n, input);
  }

  async derive(hash: Uint8Array, options: DeriveOptions = {}): Promise<Credential> {
    checkBytes('ntHash', hash, NT_HASH_SIZE);
    checkObject('options', options, ['salt', 'iterations', 'signal']);
    const { iterations = DEFAULT_ITERATIONS, signal } = options;
    if (options.salt !== undefined) checkBytes('options.salt', options.salt, SALT_SIZE);
    checkIterations('options.iterations', iterations);
    if (signal !== undefined) checkSignal('options.signal', signal);
    this.#checkOpen();
    signal?.throwIfAborted();
    const salt = Uint8Array.from(options.salt ?? randomBytes(SALT_SIZE));
    return { salt, iterations, hash: await this.#single.derive({ secret: hash, salt, iterations, signal }) };
  }

  async verify(
    credential: string | Credential,
    secret: string | Uint8Array,
    options: VerifyOptions = {},
  ): Promise<boolean> {
    const isText = typeof credential === 'string';
    const { salt, iterations, hash } = isText ? parseCredential(credential) : checkCredential(credential);
    if (typeof secret !== 'string') checkNtHash('secret', secret);
    else this.#checkMd4();
    checkObject('options', options, ['signal']);
    const { signal } = options;
    if (signal !== undefined) checkSignal('options.signal', signal);
    this.#checkOpen();
    signal?.throwIfAborted();
    // The caller may change its credential while we hash.
    const [ownSalt, expected] = isText ? [salt, hash] : [Uint8Array.from(salt), Uint8Array.from(hash)];
    return this.#single.verify({ secret, salt: ownSalt, iterations, signal }, expected);
  }

  ntHash(password: string): Uint8Array {
    checkString('password', password);
    this.#checkMd4();
    return ntHash(password);
  }

  async ntHashBatch(passwords: readonly string[] | FlatItems, options: Cancellable = {}): Promise<Uint8Array> {
    const n = checkNtHashBatch(passwords);
    this.#checkMd4();
    const signal = checkOptions(options);
    this.#checkOpen();
    signal?.throwIfAborted();
    return runNtHashBatch(this.#engine, n, passwords, signal);
  }

  async pbkdf2Batch(input: Pbkdf2BatchInput): Promise<Uint8Array> {
    const n = checkPbkdf2Batch(input);
    this.#checkOpen();
    input.signal?.throwIfAborted();
    return runPbkdf2Batch(this.#engine, n, input);
  }

  async pbkdf2(
    password: string | Uint8Array,
    salt: string | Uint8Array,
    iterations: number,
    keylen: number,
    options: Cancellable = {},
  ): Promise<Uint8Array> {
    checkItem('password', password, utf8OrBytes);
    checkItem('salt', salt, utf8OrBytes);
    checkPbkdf2Work(iterations, keylen);
    const signal = checkOptions(options);
    this.#checkOpen();
    signal?.throwIfAborted();
    if (keylen === 0) return new Uint8Array(0);
    const own = { password: copyItem(password, utf8OrBytes), salt: copyItem(salt, utf8OrBytes) };
    return this.#pbkdf2.derive({ ...own, iterations, keylen, signal });
  }

  close(): Promise<void> {
    return this.#engine.scheduler.close();
  }

  #checkMd4(): void {
    checkFips('the NT hash of a password', 'MD4', this.#allowMd5InFips);
  }

  #checkOpen(): void {
    if (this.#engine.scheduler.closed) throw closedError('hasher');
  }
}

/**
 * Makes a hasher. Its threads start as work comes, end when idle and do not keep the process alive; `close` ends them.
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
  checkObject('options', options, ['backend', 'kernel', 'threads', 'idleTimeout', 'maxQueue', 'allowMd5InFips']);
  const settings = checkPoolOptions(options);
  return new PooledHasher(selectBackend(options), settings);
}
