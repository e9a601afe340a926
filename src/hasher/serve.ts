/** A worker's side of the pool: slices come, are worked off one at a time, and their end is answered. */

import { closedError, type Owner } from './owner.js';

/** What the pool posts beside the slice. */
export interface Posted {
  /** Not 0 as soon as nobody waits for slices any more: those that come are not begun. */
  readonly stop: Int32Array;
}

/** What a worker answers where a slice cannot be done, by any worker. */
export interface SliceError {
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
}

function attempt<S>(owner: Owner, work: (slice: S) => void, slice: S & Posted): SliceError | undefined {
  try {
    if (Atomics.load(slice.stop, 0) !== 0) throw closedError(owner);
    work(slice);
    return undefined;
  } catch (error) {
    const { name, message, code } = error as Error & { code?: string };
    return { name, message, code };
  }
}

const nothing = (): void => {};

/**
 * The `run` of a worker's file. It does not reject: that is how dead workers look.
 * Of two slices that came together the second is begun when the first one's answer is on its way, which it is a
 * microtask after it is known: else both answers would come when both are done, and the worker would wait for new work.
 */
export function serve<S>(
  owner: Owner,
  work: (slice: S) => void,
): (slice: S & Posted) => Promise<SliceError | undefined> {
  let previous: Promise<unknown> = Promise.resolve();
  return (slice) => {
    const answer = previous.then(() => attempt(owner, work, slice));
    previous = answer.then(nothing).then(nothing);
    return answer;
  };
}
