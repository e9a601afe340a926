/** Batches on the pool: copies into shared memory, slices, copies out, wipes. Arguments were checked by the facade. */

import { randomFillSync } from 'node:crypto';
import type { Pool } from './pool.js';
import { sharedBytes, sharedCopy, sharedWords } from './shared-memory.js';
import { slices } from './slices.js';
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
import type { Slice } from './worker.js';

export interface Engine {
  readonly pool: Pool;
  readonly kernel: KernelChoice | undefined;
  /** Jobs that the kernel works off side by side. */
  readonly lanes: number;
}

const items = (bytes: Uint8Array, from: number, to: number, size: number): Uint8Array =>
  bytes.subarray(from * size, to * size);

/** A copy outside of shared memory, to keep. */
const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

/** A batch's salts on shared memory: the caller's, else fresh ones over the full range of a byte. */
function shareSalts(salts: Uint8Array | undefined, n: number): Uint8Array {
  if (salts !== undefined) return sharedCopy(salts);
  // node:crypto fills no SharedArrayBuffer.
  return sharedCopy(randomFillSync(new Uint8Array(n * SALT_SIZE)));
}

/** Runs the slices with one in flight a worker, so that batches made meanwhile get their turn. Settles when all have. */
export async function runSlices(
  { pool }: Engine,
  n: number,
  iterations: number,
  slice: (from: number, to: number) => Slice,
): Promise<void> {
  const ranges = slices(n, iterations, pool.threads);
  const lanes = Array.from({ length: pool.threads }, async () => {
    for (const [from, to] of ranges) await pool.run(slice(from, to));
  });
  // All, not the first that fails: the memory is wiped next, and nobody may be writing to it any more.
  const failed = (await Promise.allSettled(lanes)).find((lane) => lane.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

export async function runDeriveBatch(engine: Engine, n: number, input: DeriveBatchInput): Promise<DeriveBatchResult> {
  const iterations = input.iterations ?? DEFAULT_ITERATIONS;
  const salts = shareSalts(input.salts, n);
  const ntHashes = sharedCopy(input.ntHashes);
  const digests = sharedBytes(n * DIGEST_SIZE);
  try {
    await runSlices(engine, n, iterations, (from, to) => ({
      operation: 'derive',
      kernel: engine.kernel,
      ntHashes: items(ntHashes, from, to, NT_HASH_SIZE),
      salts: items(salts, from, to, SALT_SIZE),
      iterations,
      digests: items(digests, from, to, DIGEST_SIZE),
    }));
    return { digests: own(digests), salts: own(salts), iterations };
  } finally {
    ntHashes.fill(0);
    digests.fill(0);
  }
}

/** The session keys one after another, and where each begins (one offset more than keys). */
function shareSessionKeys(keys: readonly Uint8Array[]): [Uint8Array, Uint32Array] {
  const offsets = [0];
  for (const key of keys) offsets.push(offsets.at(-1)! + key.length);
  const bytes = sharedBytes(offsets.at(-1)!);
  keys.forEach((key, i) => {
    bytes.set(key, offsets[i]!);
  });
  return [bytes, sharedWords(offsets)];
}

/** The envelopes flat; one of another length leaves its place empty and its status at `length`. */
function shareEnvelopes(given: OpenAndDeriveBatchInput['envelopes'], status: Uint8Array): Uint8Array {
  if (!Array.isArray(given)) return sharedCopy(given as Uint8Array);
  const flat = sharedBytes(given.length * ENVELOPE_SIZE);
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
  const iterations = input.iterations ?? DEFAULT_ITERATIONS;
  const status = sharedBytes(n);
  const envelopes = shareEnvelopes(input.envelopes, status);
  const rids = sharedWords(input.rids);
  const salts = shareSalts(input.salts, n);
  const [sessionKeys, sessionKeyOffsets] = shareSessionKeys(input.sessionKeys);
  const digests = sharedBytes(n * DIGEST_SIZE);
  try {
    await runSlices(engine, n, iterations, (from, to) => ({
      operation: 'open',
      kernel: engine.kernel,
      sessionKeys,
      sessionKeyOffsets,
      envelopes: items(envelopes, from, to, ENVELOPE_SIZE),
      rids: rids.subarray(from, to),
      salts: items(salts, from, to, SALT_SIZE),
      iterations,
      digests: items(digests, from, to, DIGEST_SIZE),
      status: status.subarray(from, to),
    }));
    status.forEach((code, i) => {
      if (code !== EnvelopeStatus.ok) items(salts, i, i + 1, SALT_SIZE).fill(0);
    });
    return { digests: own(digests), salts: own(salts), iterations, status: own(status) };
  } finally {
    sessionKeys.fill(0);
    envelopes.fill(0);
    digests.fill(0);
  }
}
