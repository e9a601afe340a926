/** Batches on the pool: cut into slices, each with shared memory of its own. Arguments were checked by the facade. */

import { randomFillSync } from 'node:crypto';
import { secretBytes, secretCopy } from '../crypto/secret-bytes.js';
import { onAbort } from './abort.js';
import { joinBytes } from './flat-items.js';
import type { Scheduler, Source, Task } from './scheduler.js';
import { type Region, regionSize } from './shared-memory.js';
import { isLong, nextSlice } from './slices.js';
import {
  DEFAULT_ITERATIONS,
  type DeriveBatchInput,
  type DeriveBatchResult,
  DIGEST_SIZE,
  ENVELOPE_SIZE,
  EnvelopeStatus,
  type KernelChoice,
  NT_HASH_SIZE,
  type OpenAndDeriveBatchInput,
  type OpenAndDeriveBatchResult,
  SALT_SIZE,
} from './types.js';
import type { DeriveSlice, OpenSlice } from './worker.js';

export interface Engine {
  readonly scheduler: Scheduler;
  readonly kernel: KernelChoice | undefined;
  /** Jobs that the kernel works off side by side. */
  readonly lanes: number;
}

/** What a batch is made of. */
export interface Batch<S extends object> {
  readonly jobs: number;
  /** Iterations of PBKDF2 that one job takes, at least 1: they decide how long slices are. */
  readonly iterations: number;
  /** Jobs that fill the lanes, where that is not one a lane. */
  readonly lanes?: number;
  /** Bytes of shared memory that the jobs from `from` to `to` take at most, see `regionSize`. */
  size(from: number, to: number): number;
  /** Lays these jobs' inputs into shared memory. */
  lay(from: number, to: number, memory: Region): S;
  /** Takes these jobs' outputs out of it; the memory is wiped afterwards. */
  take(from: number, to: number, slice: S): void;
  /** Wipes the batch's own copies: it is done, has failed or was given up. Called once. */
  wipe(): void;
}

/** How a batch ended; undefined: well. */
type Failure = { readonly reason: unknown } | undefined;

class BatchSource<S extends object> implements Source {
  readonly #engine: Engine;
  readonly #batch: Batch<S>;
  readonly #settle: (failure: Failure) => void;
  #next = 0;
  #running = 0;
  #over = false;

  constructor(engine: Engine, batch: Batch<S>, settle: (failure: Failure) => void) {
    this.#engine = engine;
    this.#batch = batch;
    this.#settle = settle;
  }

  get waiting(): boolean {
    return this.#next < this.#batch.jobs;
  }

  /** A batch's last round goes to whoever is idle first: behind a running slice it might be what all wait for. */
  get full(): boolean {
    const { scheduler, lanes } = this.#engine;
    return this.#next === 0 || this.#batch.jobs - this.#next > scheduler.threads * lanes;
  }

  get long(): boolean {
    return isLong(this.#batch.iterations, this.#lanes);
  }

  get #lanes(): number {
    return this.#batch.lanes ?? this.#engine.lanes;
  }

  next(): Task {
    const batch = this.#batch;
    const { scheduler } = this.#engine;
    const from = this.#next;
    const to = from + nextSlice(batch.jobs - from, batch.iterations, scheduler.threads, this.#lanes);
    this.#next = to;
    this.#running++;
    let slice: S;
    return {
      calls: this.waiting ? 0 : 1,
      size: batch.size(from, to),
      lay: (memory) => {
        slice = batch.lay(from, to, memory);
        return slice;
      },
      done: () => {
        this.#running--;
        if (this.#over) return;
        batch.take(from, to, slice);
        if (!this.waiting && this.#running === 0) this.#end(undefined);
      },
      failed: (reason) => {
        this.#running--;
        this.cut(reason);
      },
    };
  }

  cut(reason: unknown): void {
    const waited = this.waiting;
    this.#next = this.#batch.jobs;
    if (waited) this.#engine.scheduler.giveUp(this);
    this.#end({ reason });
  }

  #end(failure: Failure): void {
    if (this.#over) return;
    this.#over = true;
    this.#batch.wipe();
    this.#settle(failure);
  }
}

/**
 * Runs a batch. Rejects with the first slice's error, or at once with the signal's reason: what workers have of it by
 * then comes to its end, but nobody waits for that.
 *
 * @throws {PhsyncError} `hasher-busy`, `hasher-closed`, `hasher-worker`, `hasher-native`.
 */
export async function runBatch<S extends object>(engine: Engine, batch: Batch<S>, signal?: AbortSignal): Promise<void> {
  if (batch.jobs === 0) return;
  const { scheduler } = engine;
  try {
    scheduler.admit();
  } catch (error) {
    batch.wipe();
    throw error;
  }
  await new Promise<void>((resolve, reject) => {
    const source = new BatchSource(engine, batch, (failure) => {
      forget();
      if (failure === undefined) resolve();
      else reject(failure.reason);
    });
    const forget = onAbort(signal, (reason) => source.cut(reason));
    scheduler.enter(source);
    scheduler.pump();
  });
}

const items = (bytes: Uint8Array, from: number, to: number, size: number): Uint8Array =>
  bytes.subarray(from * size, to * size);

/** A batch's salts: a copy of the caller's, else fresh ones over the full range of a byte. */
function ownSalts(salts: Uint8Array | undefined, n: number): Uint8Array {
  return salts === undefined ? randomFillSync(new Uint8Array(n * SALT_SIZE)) : new Uint8Array(salts);
}

export async function runDeriveBatch(engine: Engine, n: number, input: DeriveBatchInput): Promise<DeriveBatchResult> {
  const { iterations = DEFAULT_ITERATIONS, signal } = input;
  const salts = ownSalts(input.salts, n);
  const ntHashes = secretCopy(input.ntHashes);
  const digests = new Uint8Array(n * DIGEST_SIZE);
  const batch: Batch<DeriveSlice> = {
    jobs: n,
    iterations,
    size: (from, to) => regionSize((to - from) * (NT_HASH_SIZE + SALT_SIZE + DIGEST_SIZE), 3),
    lay: (from, to, memory) => ({
      operation: 'derive',
      kernel: engine.kernel,
      passwords: undefined,
      ntHashes: memory.copy(items(ntHashes, from, to, NT_HASH_SIZE)),
      salts: memory.copy(items(salts, from, to, SALT_SIZE)),
      iterations,
      digests: memory.bytes((to - from) * DIGEST_SIZE),
    }),
    take: (from, _, slice) => digests.set(slice.digests, from * DIGEST_SIZE),
    wipe: () => ntHashes.fill(0),
  };
  await runBatch(engine, batch, signal);
  return { digests, salts, iterations };
}

/** The envelopes flat; one of another length leaves its place empty and its status at `length`. */
function flattenEnvelopes(given: OpenAndDeriveBatchInput['envelopes'], status: Uint8Array): Uint8Array {
  if (!Array.isArray(given)) return secretCopy(given as Uint8Array);
  const flat = secretBytes(given.length * ENVELOPE_SIZE);
  (given as readonly Uint8Array[]).forEach((envelope, i) => {
    if (envelope.length === ENVELOPE_SIZE) flat.set(envelope, i * ENVELOPE_SIZE);
    else status[i] = EnvelopeStatus.length;
  });
  return flat;
}

export async function runOpenAndDeriveBatch(
  engine: Engine,
  n: number,
  input: OpenAndDeriveBatchInput,
): Promise<OpenAndDeriveBatchResult> {
  const { iterations = DEFAULT_ITERATIONS, signal } = input;
  const status = new Uint8Array(n);
  const envelopes = flattenEnvelopes(input.envelopes, status);
  const rids = new Uint32Array(input.rids);
  const salts = ownSalts(input.salts, n);
  const sessionKeys = joinBytes(input.sessionKeys);
  const digests = new Uint8Array(n * DIGEST_SIZE);
  const keySize = sessionKeys.bytes.length + sessionKeys.offsets.byteLength;
  const jobSize = ENVELOPE_SIZE + rids.BYTES_PER_ELEMENT + SALT_SIZE + DIGEST_SIZE + status.BYTES_PER_ELEMENT;
  const batch: Batch<OpenSlice> = {
    jobs: n,
    iterations,
    size: (from, to) => regionSize(keySize + (to - from) * jobSize, 7),
    lay: (from, to, memory) => ({
      operation: 'open',
      kernel: engine.kernel,
      sessionKeys: memory.copy(sessionKeys.bytes),
      sessionKeyOffsets: memory.copyWords(sessionKeys.offsets),
      envelopes: memory.copy(items(envelopes, from, to, ENVELOPE_SIZE)),
      rids: memory.copyWords(rids.subarray(from, to)),
      salts: memory.copy(items(salts, from, to, SALT_SIZE)),
      iterations,
      digests: memory.bytes((to - from) * DIGEST_SIZE),
      status: memory.copy(status.subarray(from, to)),
    }),
    take(from, _, slice) {
      digests.set(slice.digests, from * DIGEST_SIZE);
      status.set(slice.status, from);
    },
    wipe() {
      sessionKeys.bytes.fill(0);
      envelopes.fill(0);
    },
  };
  await runBatch(engine, batch, signal);
  status.forEach((code, i) => {
    if (code !== EnvelopeStatus.ok) items(salts, i, i + 1, SALT_SIZE).fill(0);
  });
  return { digests, salts, iterations, status };
}
