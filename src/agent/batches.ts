/** Sends items in batches, several at a time; a batch that the tenant refuses as a whole is taken apart. */

import { PhsyncError } from '../hasher/errors.js';

/** Batches of one unit that are under way at the same time; their users differ, so their order does not matter. */
const PARALLEL_BATCHES = 4;
/** So many single items refused, and never one taken: it is not they who are wrong. */
const REFUSED_WITHOUT_END = 100;

/** What the tenant said to an item that it refused with a fault, sent alone. */
export interface RefusedAlone {
  readonly code: string;
  readonly reason: string;
}

export interface Batching<T, R> {
  readonly size: number;
  readonly send: (batch: readonly T[]) => Promise<readonly R[]>;
  readonly refused: (item: T, refusal: RefusedAlone) => R;
}

/** One for each operation of a cycle: it remembers whether the tenant took anything. */
export class Batches<T, R> {
  readonly #options: Batching<T, R>;
  #refusedAlone = 0;
  #taken = false;
  #broken: { readonly cause: unknown } | undefined;

  constructor(options: Batching<T, R>) {
    this.#options = options;
  }

  /** One result an item, in order. Rejects as `send` does; after that nothing is sent any more. */
  async send(items: readonly T[]): Promise<R[]> {
    const { size } = this.#options;
    const results: R[] = new Array(items.length);
    let next = 0;
    const lane = async () => {
      while (next < items.length && this.#broken === undefined) {
        const from = next;
        const batch = items.slice(from, from + size);
        next += batch.length;
        await this.#sendBatch(batch, results, from);
      }
    };
    const lanes = Array.from({ length: PARALLEL_BATCHES }, () =>
      lane().catch((cause: unknown) => {
        this.#broken ??= { cause };
      }),
    );
    // All of them, not the first that fails: no batch may arrive after what is sent next.
    await Promise.all(lanes);
    if (this.#broken !== undefined) throw this.#broken.cause;
    return results;
  }

  async #sendBatch(batch: readonly T[], results: R[], at: number): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken.cause;
    const { send, refused } = this.#options;
    let answers: readonly R[];
    try {
      answers = await send(batch);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      if (batch.length === 1) {
        this.#refusedAlone++;
        if (!this.#taken && this.#refusedAlone >= REFUSED_WITHOUT_END) throw error;
        results[at] = refused(batch[0]!, refusal);
        return;
      }
      const half = batch.length >> 1;
      await this.#sendBatch(batch.slice(0, half), results, at);
      await this.#sendBatch(batch.slice(half), results, at + half);
      return;
    }
    if (answers.length !== batch.length) {
      throw new PhsyncError(
        'tenant-reply',
        `the tenant answered a batch of ${batch.length} with ${answers.length} results`,
        { facts: { sent: batch.length, results: answers.length } },
      );
    }
    this.#taken = true;
    for (let i = 0; i < answers.length; i++) results[at + i] = answers[i]!;
  }
}

/** Undefined: the failure says nothing about what was sent. */
function refusalOf(error: unknown): RefusedAlone | undefined {
  // A value that the wire cannot carry.
  if (error instanceof RangeError) return { code: 'wire', reason: error.message };
  if (!(error instanceof PhsyncError) || error.code !== 'provisioning-fault') return undefined;
  const { errorCode } = error.facts;
  return { code: typeof errorCode === 'string' && errorCode !== '' ? errorCode : 'fault', reason: error.message };
}
