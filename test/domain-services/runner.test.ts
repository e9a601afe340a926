/** The loop's patience: how long it waits after what, what it says, and how it ends. */

import { Writable } from 'node:stream';
import pino from 'pino';
import { expect, it } from 'vitest';
import { runForever, runOnce } from '#src/domain-services/runner.js';
import type { Synchronizer } from '#src/domain-services/synchronizer.js';
import { PhsyncError } from '#src/hasher/errors.js';

const failure = (code: string, facts = {}) => new PhsyncError(code, `it says ${code}`, { facts });

/** A simulated synchronizer: each page ends as the list says (`last`: nothing is behind it), then the loop is stopped. */
async function run(
  pages: readonly (Error | 'page' | 'last')[],
  request: { allowDeletions?: boolean } = {},
  pageMs = 0,
) {
  const stop = new AbortController();
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({ write: (line, _, done) => done(void lines.push(JSON.parse(String(line)))) });
  const waits: number[] = [];
  const allowed: boolean[] = [];
  const asked: number[] = [];
  let time = 0;
  let begun = 0;
  let at = 0;
  const synchronizer = {
    open: async () => {},
    retry: async () => ({}),
    beginAll: () => void (begun += 1),
    page: async ({ allowDeletions, waitSeconds }: { allowDeletions: boolean; waitSeconds: number }) => {
      allowed.push(allowDeletions);
      asked.push(waitSeconds);
      time += pageMs;
      const next = pages[at++];
      if (at === pages.length) stop.abort();
      if (next instanceof Error) throw next;
      return { more: next === 'page', counts: {} };
    },
  } as unknown as Synchronizer;
  await runForever(
    {
      synchronizer,
      log: pino({ level: 'debug' }, sink),
      waitSeconds: 20,
      random: () => 1,
      sleep: async (ms) => void waits.push(ms),
      clock: () => time,
    },
    { signal: stop.signal, ...request },
  );
  return { waits, lines, begun, allowed, asked };
}

it('waits twice as long after each failure, a minute at most, and not at all once it works', async () => {
  const away = failure('feed-unreachable');
  const { waits, lines } = await run([...Array(9).fill(away), 'page', away, 'page']);
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 1000]);
  expect(lines.filter(({ event }) => event === 'works-again')).toMatchObject([{ failures: 9 }, { failures: 1 }]);
  expect(lines[0]).toMatchObject({ event: 'tenant-away', code: 'feed-unreachable', level: 40 });
});

it('waits as long as it was asked to, and says which end is away', async () => {
  const pages = [failure('feed-busy', { retryAfterMs: 7000 }), failure('managed-domain-ldb'), 'page'];
  const { waits, lines } = await run(pages as (Error | 'page')[]);
  expect(waits).toEqual([7000, 2000]);
  expect(lines.map(({ event }) => event).slice(0, 2)).toEqual(['tenant-away', 'domain-away']);
});

it('has the tenant hold its question until Domain Services are switched on, and says once that they are off', async () => {
  const off = failure('feed-disabled');
  const { waits, lines, asked } = await run([off, off, off, 'page'], {}, 20_000);
  expect(waits).toEqual([1000, 1000, 1000]);
  expect(asked).toEqual([20, 20, 20, 20]);
  expect(lines.map(({ event, level }) => [event, level])).toEqual([
    ['feed-disabled', 40],
    ['feed-disabled', 20],
    ['feed-disabled', 20],
    ['works-again', 30],
  ]);
  // Of a tenant that answers at once.
  expect((await run([off, off, off, 'page'], {}, 5)).waits).toEqual([1000, 10_000, 10_000]);
  expect((await run([off, failure('feed-unreachable'), 'page'])).asked).toEqual([20, 20, 0]);
});

it.each([
  ['token-refused', 'tenant-refused'],
  ['feed-refused', 'tenant-refused'],
  ['config-key', 'key-refused'],
  ['domain-services-wrong-domain', 'domain-services-wrong-domain'],
])('says of %s as an error that somebody has to put it right, and tries it again', async (code, event) => {
  const { waits, lines } = await run([failure(code), failure(code), 'page']);
  expect(waits).toEqual([1000, 2000]);
  expect(lines.slice(0, 2)).toMatchObject(
    Array(2).fill({ event, code, level: 50, msg: expect.stringMatching(/tried again, but somebody/) }),
  );
});

it('begins anew where the cookie is worth nothing, and waits where that does not end', async () => {
  const { begun, waits } = await run([...Array(5).fill(failure('feed-restart', { reason: 'cookie_unknown' })), 'page']);
  expect(begun).toBe(3);
  expect(waits).toEqual([8000, 16_000]);
});

it('allows deletions until the feed was read to its end once, and not afterwards', async () => {
  const { allowed } = await run(['page', failure('feed-unreachable'), 'page', 'last', 'page', 'last'], {
    allowDeletions: true,
  });
  expect(allowed).toEqual([true, true, true, true, false, false]);
  expect((await run(['page', 'last'])).allowed).toEqual([false, false]);
});

it('goes on after what nobody expected', async () => {
  const { waits, lines } = await run([new Error('disk full'), 'page']);
  expect(waits).toEqual([1000]);
  expect(lines[0]).toMatchObject({ level: 50, err: { message: 'disk full' } });
});

it('ends a single run with what went wrong', async () => {
  const synchronizer = {
    open: async () => {
      throw failure('managed-domain-not-a-dc');
    },
  } as unknown as Synchronizer;
  const request = { signal: new AbortController().signal };
  const log = pino({ level: 'silent' });
  await expect(runOnce({ synchronizer, log, waitSeconds: 0 }, request)).rejects.toMatchObject({
    code: 'managed-domain-not-a-dc',
  });
});
