import { describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '#src/agent/clock.js';
import { CYCLE_INTERVAL_MS, runEveryTwoMinutes } from '#src/agent/scheduler.js';

/** A clock that stands still but for sleeps and what a cycle says that it took. */
class FakeClock implements Clock {
  time = 1_000_000;
  readonly sleeps: number[] = [];
  now(): number {
    return this.time;
  }
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.sleeps.push(ms);
    this.time += ms;
  }
}

/** Starts of cycles that take the given times; stops after the last. */
async function startsOf(durations: readonly number[], clock = new FakeClock()): Promise<number[]> {
  const stop = new AbortController();
  const starts: number[] = [];
  let running = 0;
  await runEveryTwoMinutes(
    async () => {
      expect(++running).toBe(1);
      starts.push(clock.time - 1_000_000);
      await Promise.resolve();
      clock.time += durations[starts.length - 1]!;
      if (starts.length === durations.length) stop.abort();
      running--;
    },
    clock,
    stop.signal,
  );
  return starts;
}

describe('the two-minute cycle', () => {
  test('is two minutes from start to start', async () => {
    expect(CYCLE_INTERVAL_MS).toBe(120_000);
    expect(await startsOf([5_000, 100_000, 0])).toEqual([0, 120_000, 240_000]);
  });

  test('a late one starts at once, and what was missed is not made up for', async () => {
    expect(await startsOf([500_000, 1_000, 1_000])).toEqual([0, 500_000, 620_000]);
    expect(await startsOf([120_000, 1])).toEqual([0, 120_000]);
  });

  test('a clock that is set back stretches no pause', async () => {
    const clock = new FakeClock();
    await startsOf([-3_600_000, 1], clock);
    expect(clock.sleeps).toEqual([CYCLE_INTERVAL_MS]);
  });

  test('does not start when it is already stopped', async () => {
    const stop = new AbortController();
    stop.abort();
    let cycles = 0;
    await runEveryTwoMinutes(async () => void cycles++, new FakeClock(), stop.signal);
    expect(cycles).toBe(0);
  });

  test('a stop ends the pause, on the system clock', async () => {
    const stop = new AbortController();
    let cycles = 0;
    const scheduled = runEveryTwoMinutes(async () => void cycles++, systemClock, stop.signal);
    setTimeout(() => stop.abort(), 20);
    await scheduled;
    expect(cycles).toBe(1);
  });

  test('what the cycle throws ends the schedule', async () => {
    const failing = runEveryTwoMinutes(() => Promise.reject(new Error('broken')), new FakeClock(), AbortSignal.abort());
    await expect(failing).resolves.toBeUndefined();
    const stop = new AbortController();
    await expect(
      runEveryTwoMinutes(() => Promise.reject(new Error('broken')), new FakeClock(), stop.signal),
    ).rejects.toThrow('broken');
  });
});
