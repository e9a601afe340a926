/** Who is next: batches and single calls take turns at the workers, slice by slice, first come first served. */

import { PhsyncError } from './errors.js';
import { closedError } from './owner.js';
import { DEPTH, type Pool } from './pool.js';
import { type Region, SharedMemory } from './shared-memory.js';

/** A slice of work, with its own end. */
export interface Task {
  /** Calls that wait no longer once this task is at a worker. */
  readonly calls: number;
  /** Bytes of shared memory that `lay` takes at most, see `regionSize`. */
  readonly size: number;
  /** Lays the inputs into shared memory. */
  lay(memory: Region): object;
  /** The outputs are there. The memory is wiped after it. */
  done(): void;
  /** The slice failed; nothing of it is there. */
  failed(error: unknown): void;
}

/** What has tasks to give. It takes turns with the others while it stands in the queue. */
export interface Source {
  /** Whether it has work at all. It leaves the queue when it has none. */
  readonly waiting: boolean;
  /** Whether its next task fills the lanes. What does not is kept for company while all workers are busy. */
  readonly full: boolean;
  /** Whether its tasks take far longer than others, see `isLong`. */
  readonly long: boolean;
  /** The next task, where `places` more slices can be taken by workers. */
  next(places: number): Task;
  /** Everything that waits is over. */
  cut(error: unknown): void;
}

export class Scheduler {
  readonly #pool: Pool;
  readonly #memory = new SharedMemory();
  readonly #maxQueue: number;
  /** In the order of their turns. */
  readonly #sources = new Set<Source>();
  #running = 0;
  /** How many of those that run are long. */
  #long = 0;
  #waiting = 0;

  constructor(pool: Pool, maxQueue: number) {
    this.#pool = pool;
    this.#maxQueue = maxQueue;
  }

  get threads(): number {
    return this.#pool.threads;
  }

  get closed(): boolean {
    return this.#pool.closed;
  }

  /** Slices that the workers hold. */
  get running(): number {
    return this.#running;
  }

  /** Calls of which a part at least waits for a worker. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Counts in one more call, which `enter`s next, or refuses it.
   *
   * @throws {PhsyncError} `hasher-busy`, with the facts `maxQueue` and `waiting`; `hasher-closed` after `close` (or
   * `sealer-…`, by the pool's owner).
   */
  admit(): void {
    if (this.#pool.closed) throw closedError(this.#pool.owner);
    if (this.#waiting >= this.#maxQueue) {
      const { owner } = this.#pool;
      throw new PhsyncError(
        `${owner}-busy`,
        `the ${owner} is busy: ${this.#waiting} calls wait already, and its queue takes ${this.#maxQueue} (maxQueue)`,
        { facts: { maxQueue: this.#maxQueue, waiting: this.#waiting } },
      );
    }
    this.#waiting++;
  }

  /** Lets a source take its turns, behind those that stand in the queue. */
  enter(source: Source): void {
    this.#sources.add(source);
  }

  /** One call waits no longer: it was given up. `source` keeps its turn if it has others. */
  giveUp(source: Source): void {
    this.#waiting--;
    if (!source.waiting) this.#sources.delete(source);
  }

  /** Hands out what the workers can take. */
  pump(): void {
    for (let places = this.#places(); places > 0; places = this.#places()) {
      const source = this.#turn();
      if (source === undefined) return;
      this.#sources.delete(source);
      const task = source.next(places);
      this.#waiting -= task.calls;
      if (source.waiting) this.#sources.add(source);
      this.#start(task, source.long ? 1 : 0);
    }
  }

  /** Slices that the workers can take. Behind a long one a slice would wait for it while other workers become idle. */
  #places(): number {
    return (this.#long > 0 ? 1 : DEPTH) * this.#pool.threads - this.#running;
  }

  /** Whose turn it is, if the workers can take anything sensible. */
  #turn(): Source | undefined {
    const [first] = this.#sources;
    if (this.#running < this.#pool.threads || first === undefined || first.full) return first;
    // No worker is idle. The first one waits for company, but not so long that others overtake it.
    for (const source of this.#sources) if (source.full) return first;
    return undefined;
  }

  #start(task: Task, long: number): void {
    let region: Region | undefined;
    let slice: object;
    try {
      region = this.#memory.take(task.size);
      slice = task.lay(region);
    } catch (error) {
      // So much memory is not to be had. It is this task's failure: whoever's call or answer led here goes on.
      if (region !== undefined) this.#memory.release(region);
      task.failed(error);
      return;
    }
    this.#running++;
    this.#long += long;
    this.#pool.run(slice).then(
      () => {
        this.#running--;
        this.#long -= long;
        this.pump();
        try {
          task.done();
        } catch (error) {
          task.failed(error);
        } finally {
          this.#memory.release(region);
        }
      },
      (error: unknown) => {
        this.#running--;
        this.#long -= long;
        this.#memory.release(region);
        task.failed(error);
        this.pump();
      },
    );
  }

  /** Ends the workers. What waits and what they had not finished fails with `…-closed`; all memory is wiped. */
  async close(): Promise<void> {
    const closed = this.#pool.close();
    for (const source of this.#sources) source.cut(closedError(this.#pool.owner));
    this.#sources.clear();
    this.#waiting = 0;
    await closed;
    // The slices that were cut off fail a few turns after their workers' end.
    while (this.#running > 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
