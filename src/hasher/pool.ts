/** The worker threads, on piscina: started with the first slice, ended by `close`. */

import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { PhsyncError } from './errors.js';
import type { Slice } from './worker.js';

const filename = fileURLToPath(new URL('./worker.js', import.meta.url));

/** The error that calls get after `close` and that calls cut off by it get. */
export function closedError(): PhsyncError {
  return new PhsyncError('hasher-closed', 'the hasher is closed');
}

export class Pool {
  readonly #threads: number;
  #piscina: Piscina<Slice, void> | undefined;
  /** Why the workers could not start or died, until they are started anew. */
  #failure: Error | undefined;
  #closed = false;

  constructor(threads: number) {
    this.#threads = threads;
  }

  get threads(): number {
    return this.#threads;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Works one slice off in a worker.
   *
   * @throws {PhsyncError} `hasher-closed` after or by `close`; `hasher-worker` where the worker failed.
   */
  async run(slice: Slice): Promise<void> {
    if (this.#closed) throw closedError();
    const piscina = (this.#piscina ??= this.#start());
    try {
      await piscina.run(slice, { name: 'run' });
    } catch (error) {
      if (this.#closed) throw closedError();
      const cause = this.#failure ?? error;
      const text = cause instanceof Error ? cause.message : String(cause);
      throw new PhsyncError('hasher-worker', `a hasher's worker failed: ${text}`, { cause });
    }
  }

  #start(): Piscina<Slice, void> {
    this.#failure = undefined;
    const piscina = new Piscina<Slice, void>({
      filename,
      // One at first, so that a single `verify` starts no more threads than it uses. Idle ones stay but are
      // unreferenced: they do not keep the process alive.
      minThreads: 1,
      maxThreads: this.#threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      recordTiming: false,
    });
    // A worker that dies without a task (it cannot load) leaves what is queued waiting for ever: reject it.
    piscina.on('error', (error: Error) => {
      if (this.#piscina !== piscina) return;
      this.#failure = error;
      this.#piscina = undefined;
      void piscina.destroy();
    });
    return piscina;
  }

  /** Ends the workers; what they had not finished is rejected. Resolves when no thread is left. */
  async close(): Promise<void> {
    this.#closed = true;
    const piscina = this.#piscina;
    this.#piscina = undefined;
    await piscina?.destroy();
  }
}
