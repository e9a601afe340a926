/** The two-minute cycle: one run at a time, a late one starts at once. */

import type { Clock } from './clock.js';

/** Password hash synchronization runs every two minutes; the documentation allows no other interval. */
export const CYCLE_INTERVAL_MS = 120_000;

export interface Pace {
  /** From start to start; tests alone have reason to change it. Default: two minutes. */
  readonly intervalMs?: number;
  /** Before the first cycle. */
  readonly phaseMs?: number;
  /** Ends before its time where something wants the next cycle at once. Default: the clock's own sleep. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Runs `cycle` now (or after the phase) and then every two minutes, counted from start to start, until the signal
 * aborts. A cycle that takes longer delays the next one, which then starts at once; starts that were missed are not made
 * up for. Resolves after the running cycle has ended. `cycle` reports its own failures; what it throws ends the schedule.
 */
export async function runEveryTwoMinutes(
  cycle: () => Promise<void>,
  clock: Clock,
  signal: AbortSignal,
  { intervalMs = CYCLE_INTERVAL_MS, phaseMs = 0, pause = (ms, until) => clock.sleep(ms, until) }: Pace = {},
): Promise<void> {
  if (phaseMs > 0 && !signal.aborted) await pause(phaseMs, signal);
  while (!signal.aborted) {
    const began = clock.now();
    await cycle();
    const wait = began + intervalMs - clock.now();
    // A clock that was set back must not stretch the pause.
    if (wait > 0 && !signal.aborted) await pause(Math.min(wait, intervalMs), signal);
  }
}
