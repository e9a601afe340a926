/** The worker threads, on piscina: started as work comes, ended when idle and by `close`. */

import type { Worker } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { PhsyncError } from './errors.js';
import { closedError, type Owner } from './owner.js';
import { homeRequire, ownFile } from './package-home.js';
import type { SliceError } from './serve.js';

/** Slices that a worker holds at most: the one that it works on and the one after it. */
export const DEPTH = 2;
/** How often a slice is begun: workers die of what is outside of them (memory, `terminate`), not of slices. */
const ATTEMPTS = 3;

/** What the workers run. */
export interface Workshop {
  readonly owner: Owner;
  /** The worker's compiled file, by its place below `dist`: it exports a `run` of serve.ts. */
  readonly worker: readonly string[];
}

type LoadBalancer = NonNullable<NonNullable<ConstructorParameters<typeof Piscina>[0]>['loadBalancer']>;

/** An idle worker, else a new one, else the one that holds least. */
function balancer(threads: number): LoadBalancer {
  return (_, workers) => {
    const idle = workers.find((worker) => worker.currentUsage === 0);
    if (idle !== undefined || workers.length < threads) return idle ?? null;
    return workers.find((worker) => worker.currentUsage < DEPTH) ?? null;
  };
}

/** One set of workers. */
interface Crew {
  readonly piscina: Piscina<object, SliceError | undefined>;
  /** Every worker whose thread has not ended yet. */
  readonly threads: Set<Worker>;
  /** Why it could not start, once it is given up. */
  failure: Error | undefined;
  /** Resolves when no thread is left, once it is given up. */
  ended: Promise<void> | undefined;
}

/** Ends a crew; what it has is rejected. */
function end(crew: Crew): Promise<void> {
  crew.ended ??= (async () => {
    watch(crew);
    await crew.piscina.destroy();
    // piscina does not wait for those that it ended for having nothing to do.
    await Promise.all([...crew.threads].map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
  })();
  return crew.ended;
}

function watch({ piscina, threads }: Crew): void {
  for (const worker of piscina.threads) {
    if (threads.has(worker)) continue;
    threads.add(worker);
    worker.once('exit', () => threads.delete(worker));
  }
}

export class Pool {
  readonly threads: number;
  readonly #workshop: Workshop;
  readonly #idleTimeout: number;
  #crew: Crew | undefined;
  /** The crews that were given up. */
  #past: Promise<unknown> = Promise.resolve();
  #closed: Promise<unknown> | undefined;
  /** What the workers have not answered yet. */
  readonly #unanswered = new Set<Promise<unknown>>();
  /** The workers' view of `closed`. */
  readonly #stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

  constructor(workshop: Workshop, threads: number, idleTimeout: number) {
    this.#workshop = workshop;
    this.threads = threads;
    this.#idleTimeout = idleTimeout;
  }

  get owner(): Owner {
    return this.#workshop.owner;
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /**
   * Works one slice off in a worker, in another one where that dies over it. When it settles, no thread writes to the
   * slice's memory any more: every typed array of a slice that holds a secret lies on a SharedArrayBuffer, so that posting
   * it copies none.
   *
   * @throws {PhsyncError} `hasher-closed` after or by `close`; `hasher-worker` where the workers died or could not start
   * (or `sealer-…`, by the pool's owner); `hasher-files`; `hasher-native` and what else a worker says.
   */
  async run(slice: object): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      if (this.#closed !== undefined) throw closedError(this.owner);
      const crew = (this.#crew ??= this.#start());
      let answer: SliceError | undefined;
      try {
        answer = await this.#ask(crew, slice);
      } catch (error) {
        await crew.ended;
        if (this.#closed !== undefined) throw closedError(this.owner);
        if (attempt < ATTEMPTS) continue;
        const cause = crew.failure ?? error;
        const text = cause instanceof Error ? cause.message : String(cause);
        throw new PhsyncError(
          `${this.owner}-worker`,
          `a ${this.owner}'s worker failed, ${attempt} times in a row: ${text}`,
          {
            cause,
            facts: { attempts: attempt },
          },
        );
      }
      if (this.#closed !== undefined) throw closedError(this.owner);
      if (answer === undefined) return;
      throw new PhsyncError(
        answer.code ?? `${this.owner}-worker`,
        `a ${this.owner}'s worker failed: ${answer.message}`,
      );
    }
  }

  async #ask({ piscina }: Crew, slice: object): Promise<SliceError | undefined> {
    const answer = piscina.run({ ...slice, stop: this.#stop }, { name: 'run' });
    this.#unanswered.add(answer);
    try {
      return await answer;
    } finally {
      this.#unanswered.delete(answer);
    }
  }

  #start(): Crew {
    // Not an import: piscina starts its workers from a file beside its own, which no bundle has.
    const { Piscina } = homeRequire()('piscina') as typeof import('piscina');
    const piscina = new Piscina<object, SliceError | undefined>({
      filename: ownFile(...this.#workshop.worker),
      minThreads: 0,
      maxThreads: this.threads,
      concurrentTasksPerWorker: DEPTH,
      loadBalancer: balancer(this.threads),
      idleTimeout: this.#idleTimeout,
      recordTiming: false,
    });
    const crew: Crew = { piscina, threads: new Set(), failure: undefined, ended: undefined };
    const giveUp = (failure: Error): void => {
      crew.failure ??= failure;
      if (this.#crew === crew) this.#crew = undefined;
      this.#past = Promise.all([this.#past, end(crew)]);
    };
    // A worker that dies without a task (it cannot load) leaves what is queued waiting for ever: reject it.
    piscina.on('error', giveUp);
    piscina.on('workerCreate', () => watch(crew));
    piscina.on('workerDestroy', () => {
      // piscina takes the worker off its list only after this. One that ends itself while it loads is no `error`.
      queueMicrotask(() => {
        if (piscina.threads.length === 0 && piscina.queueSize > 0) giveUp(new Error('a worker ended while it started'));
      });
    });
    return crew;
  }

  /** Ends the workers; what they had not finished is rejected. Resolves when no thread is left. */
  async close(): Promise<void> {
    this.#closed ??= this.#end();
    await this.#closed;
  }

  async #end(): Promise<void> {
    Atomics.store(this.#stop, 0, 1);
    // A worker that is ended at work leaves its secrets unwiped, for no `finally` runs any more. So it ends the slice.
    await Promise.allSettled(this.#unanswered);
    const crew = this.#crew;
    this.#crew = undefined;
    await Promise.all([this.#past, crew && end(crew)]);
  }
}
