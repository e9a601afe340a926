/** The two-minute cycle: one run at a time, a late one starts at once. */

import type { Clock } from './clock.js';

/** Password hash synchronization runs every two minutes; the documentation allows no other interval. */
export const CYCLE_INTERVAL_MS = 120_000;

/**
 * Runs `cycle` now and then every two minutes, counted from start to start, until the signal aborts. A cycle that takes
 * longer delays the next one, which then starts at once; starts that were missed are not made up for. Resolves after
 * the running cycle has ended. `cycle` reports its own failures; what it throws ends the schedule.
 */
export async function runEveryTwoMinutes(cycle: () => Promise<void>, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const began = clock.now();
    await cycle();
    const wait = began + CYCLE_INTERVAL_MS - clock.now();
    // A clock that was set back must not stretch the pause.
    if (wait > 0 && !signal.aborted) await clock.sleep(Math.min(wait, CYCLE_INTERVAL_MS), signal);
  }
}
