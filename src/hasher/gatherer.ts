/** Gathers single calls, so that those made at about the same time share the kernel's lanes. */

import { onAbort } from './abort.js';
import type { Scheduler, Source, Task } from './scheduler.js';
import { isLong, longestSlice, toLanes } from './slices.js';

/** Calls that bring more bytes than these together make slices of their own. */
const MAX_BYTES = 1 << 20;

/** One call that waits. */
export interface Call {
  /** Bytes of any length that it brings. */
  readonly bytes: number;
  failed(error: unknown): void;
  /** Forgets the secrets: called where it goes into no slice. */
  wipe(): void;
  /** Ends the listening to a signal, `nothing` at first; for the call to call when it is done or has failed. */
  forget: () => void;
}

export const nothing = (): void => {};

/** What is the same for all calls of one slice. */
export interface Kind<C extends Call> {
  /** Iterations of PBKDF2 that one call takes: how long slices are. */
  readonly iterations: number;
  /** Calls that fill the lanes. */
  readonly lanes: number;
  /** The slice of these calls, which are its own from now on. */
  task(calls: readonly C[]): Task;
}

/** The waiting calls of one kind. */
export class Group<C extends Call> implements Source {
  readonly #kind: Kind<C>;
  readonly #emptied: () => void;
  readonly #calls = new Set<C>();

  constructor(kind: Kind<C>, emptied: () => void) {
    this.#kind = kind;
    this.#emptied = emptied;
  }

  get waiting(): boolean {
    return this.#calls.size > 0;
  }

  get full(): boolean {
    return this.#calls.size >= this.#kind.lanes;
  }

  get long(): boolean {
    return isLong(this.#kind.iterations, this.#kind.lanes);
  }

  add(call: C): void {
    this.#calls.add(call);
  }

  /** False where the call waits no longer. */
  remove(call: C): boolean {
    if (!this.#calls.delete(call)) return false;
    call.wipe();
    if (!this.waiting) this.#emptied();
    return true;
  }

  next(places: number): Task {
    const { iterations, lanes } = this.#kind;
    const most = Math.min(toLanes(this.#calls.size / places, lanes), longestSlice(iterations, lanes));
    const calls: C[] = [];
    let bytes = 0;
    for (const call of this.#calls) {
      bytes += call.bytes;
      if (calls.length > 0 && bytes > MAX_BYTES) break;
      this.#calls.delete(call);
      if (calls.push(call) === most) break;
    }
    if (!this.waiting) this.#emptied();
    return this.#kind.task(calls);
  }

  cut(error: unknown): void {
    const calls = [...this.#calls];
    this.#calls.clear();
    this.#emptied();
    for (const call of calls) {
      call.wipe();
      call.failed(error);
    }
  }
}

export class Gatherer<C extends Call> {
  readonly #scheduler: Scheduler;
  readonly #groups = new Map<number | string, Group<C>>();
  #pumpDue = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /**
   * Counts in one more call, which is `add`ed next.
   *
   * @throws {PhsyncError} `hasher-busy` or `hasher-closed`.
   */
  admit(): void {
    this.#scheduler.admit();
  }

  /** The waiting calls with this key, which are all of one kind. */
  group(key: number | string): Group<C> | undefined {
    return this.#groups.get(key);
  }

  /** A group for a key that has none. */
  open(key: number | string, kind: Kind<C>): Group<C> {
    const group = new Group(kind, () => this.#groups.delete(key));
    this.#groups.set(key, group);
    return group;
  }

  /** Lets a call wait in its group; `signal` gives it up. */
  add(group: Group<C>, call: C, signal: AbortSignal | undefined): void {
    const scheduler = this.#scheduler;
    if (signal !== undefined) {
      call.forget = onAbort(signal, (reason) => {
        if (group.remove(call)) scheduler.giveUp(group);
        call.failed(reason);
      });
    }
    group.add(call);
    scheduler.enter(group);
    if (group.full) scheduler.pump();
    else this.#pumpSoon();
  }

  /** After the I/O callbacks of this turn of the event loop: requests that arrived together are hashed together. */
  #pumpSoon(): void {
    if (this.#pumpDue) return;
    this.#pumpDue = true;
    setImmediate(() => {
      this.#pumpDue = false;
      this.#scheduler.pump();
    });
  }
}
