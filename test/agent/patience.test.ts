import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { Clock } from '#src/agent/clock.js';
import { Patience } from '#src/agent/patience.js';
import { PhsyncError } from '#src/hasher/errors.js';

/** Time passes by sleeping alone. */
class SleepClock implements Clock {
  time = 1_000_000;
  readonly slept: number[] = [];
  now(): number {
    return this.time;
  }
  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
    this.time += ms;
  }
}

const never = new AbortController().signal;
const error = (code: string, facts: PhsyncError['facts'] = {}) => new PhsyncError(code, `it says ${code}`, { facts });

function setUp(random = 0.999_999) {
  const clock = new SleepClock();
  return { clock, patience: new Patience({ clock, log: pino({ level: 'silent' }), random: () => random }) };
}

/** Fails with these errors in turn, then succeeds. */
function failing(...errors: readonly Error[]) {
  const rest = [...errors];
  const work = async () => {
    work.calls++;
    const next = rest.shift();
    if (next !== undefined) throw next;
    return 'done';
  };
  work.calls = 0;
  return work;
}

const outcome = (promise: Promise<unknown>) => promise.catch((reason: unknown) => reason);

describe('patience', () => {
  test('tries again after pauses that double, with jitter', async () => {
    const away = Array.from({ length: 5 }, () => error('provisioning-unreachable'));
    const { clock, patience } = setUp();
    const work = failing(...away);
    expect(await patience.call(work, { stop: never })).toBe('done');
    expect(clock.slept.map(Math.round)).toEqual([500, 1000, 2000, 4000, 8000]);
    const other = setUp(0);
    await other.patience.call(failing(...away), { stop: never });
    expect(other.clock.slept).toEqual([250, 500, 1000, 2000, 4000]);
  });

  test('ends within a minute, with the code of what happened and how often it was tried', async () => {
    const { clock, patience } = setUp();
    const cause = error('provisioning-timeout', { url: 'u' });
    const work = failing(...Array(20).fill(cause));
    const began = clock.time;
    const last = (await outcome(patience.call(work, { stop: never }))) as PhsyncError;
    expect(last).toMatchObject({ code: 'provisioning-timeout', facts: { url: 'u', tries: work.calls }, cause });
    expect(last.message).toMatch(/^it says provisioning-timeout; tried 8 times in \d\d s$/);
    expect(clock.time - began).toBeGreaterThan(20_000);
    expect(clock.time - began).toBeLessThanOrEqual(60_000);
  });

  test('counts the time that the tries themselves take', async () => {
    const { clock, patience } = setUp();
    const work = async () => {
      clock.time += 25_000;
      throw error('provisioning-timeout');
    };
    const began = clock.time;
    await outcome(patience.call(work, { stop: never }));
    expect(clock.time - began).toBeLessThan(120_000);
  });

  test('waits as long as the tenant asks, and lets others wait, too', async () => {
    const { clock, patience } = setUp();
    const work = failing(
      error('provisioning-busy', { retryAfterMs: 7000 }),
      error('token-busy', { retryAfterMs: 9000 }),
    );
    const other = failing();
    const both = Promise.all([
      patience.call(work, { stop: never }),
      // Begins when the first has been told to wait.
      new Promise((resolve) => setTimeout(resolve, 0)).then(() => patience.call(other, { stop: never })),
    ]);
    expect(await both).toEqual(['done', 'done']);
    expect(clock.slept.slice(0, 2)).toEqual([7000, 9000]);
  });

  test('a rest that is longer than a cycle waits ends it, and the cycles until then begin nothing', async () => {
    const { clock, patience } = setUp();
    const work = failing(error('provisioning-busy', { retryAfterMs: 300_000 }));
    const first = (await outcome(patience.call(work, { stop: never }))) as PhsyncError;
    expect(first.message).toMatch(/it asks for 300 s of rest$/);
    clock.time += 120_000;
    expect(await outcome(patience.call(work, { stop: never }))).toMatchObject({ code: 'provisioning-busy' });
    clock.time += 119_000;
    expect(await outcome(patience.call(work, { stop: never }))).toMatchObject({
      code: 'provisioning-busy',
      message: expect.stringContaining(new Date(1_300_000).toISOString()),
    });
    expect(work.calls).toBe(1);
    clock.time += 61_000;
    expect(await patience.call(work, { stop: never })).toBe('done');
  });

  test.each([
    ['provisioning-access-denied', {}, 1],
    ['provisioning-not-activated', {}, 1],
    ['provisioning-tls', {}, 1],
    ['token-refused', {}, 1],
    ['provisioning-aborted', {}, 1],
    ['provisioning-fault', { faultCode: 'Sender' }, 1],
    ['provisioning-fault', { faultCode: 'Receiver' }, 3],
    ['provisioning-bad-reply', {}, 3],
    ['provisioning-proxy', { status: 407 }, 1],
    ['provisioning-proxy', { status: 502 }, 3],
    ['provisioning-unavailable', {}, 8],
  ])('%s (%o) is tried %d times', async (code, facts, times) => {
    const work = failing(...Array(20).fill(error(code, facts)));
    expect(await outcome(setUp().patience.call(work, { stop: never }))).toMatchObject({ code });
    expect(work.calls).toBe(times);
  });

  test('what is no failure of the tenant passes through as it is', async () => {
    const reason = new RangeError('not a date');
    expect(await outcome(setUp().patience.call(failing(reason), { stop: never }))).toBe(reason);
  });

  test.each([
    ['provisioning-unreachable', {}],
    // A wrong URL.
    ['provisioning-bad-reply', { status: 404 }],
    ['provisioning-redirect', {}],
    ['provisioning-proxy', { status: 502 }],
  ])('who is away (%s %o) is not waited for before anything is under way', async (code, facts) => {
    const cause = error(code, facts);
    const work = failing(cause);
    expect(await outcome(setUp().patience.call(work, { stop: never, first: true }))).toBe(cause);
    expect(work.calls).toBe(1);
  });

  test('who is busy is waited for at once', async () => {
    const busy = failing(error('provisioning-busy'));
    expect(await setUp().patience.call(busy, { stop: never, first: true })).toBe('done');
  });

  test('a stop ends the waiting, and begins no other try', async () => {
    const { clock, patience } = setUp();
    const stop = new AbortController();
    clock.sleep = async () => stop.abort();
    const work = failing(...Array(20).fill(error('provisioning-busy')));
    expect(await outcome(patience.call(work, { stop: stop.signal }))).toMatchObject({ code: 'provisioning-busy' });
    expect(work.calls).toBe(1);
  });
});
