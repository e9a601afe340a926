import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { retryDelay } from '#src/agent/state/retry-queue.js';
import type { RetryFailure } from '#src/agent/state/rows.js';
import { openStateStore, type StateStore } from '#src/agent/state/store.js';

let directory: string;
let store: StateStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'phsync-retry-test.'));
  store = openStateStore(directory);
});
afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** First and last byte zero: nothing is taken off its delays. */
const guid = (n: number) => {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(4, n);
  return bytes;
};
const failure = (over: Partial<RetryFailure> = {}): RetryFailure => ({
  reason: 'because',
  code: 'tenant-2',
  lasting: false,
  ...over,
});

describe('the retry queue', () => {
  test('backs off: at the next cycle, then 2, 6, 14 minutes, at most an hour; less by up to a quarter', () => {
    const delays = (spread: number) => [1, 2, 3, 4, 5, 6, 50, 1e9].map((n) => retryDelay(n, spread) / MINUTE);
    expect(delays(0)).toEqual([0, 2, 6, 14, 30, 60, 60, 60]);
    expect(delays(1)).toEqual([0, 1.5, 4.5, 10.5, 22.5, 45, 45, 45]);
  });

  test('tells who is due, in the order of their times, page by page', () => {
    const queue = store.connector('a').retryQueue;
    for (const n of [3, 1, 2]) queue.put(guid(n), failure({ reason: `reason ${n}` }), 1000 - n);
    expect(queue.put(guid(2), failure({ reason: 'again', code: 'other' }), 1000)).toEqual({
      attempts: 2,
      gaveUp: false,
    });
    expect(queue.size).toBe(3);
    const reasons = (now: number) => queue.due(now, undefined, 10).map(({ reason }) => reason);
    expect(reasons(1000)).toEqual(['reason 3', 'reason 1']);
    expect(reasons(996)).toEqual([]);
    const [first] = queue.due(1000, undefined, 1);
    expect(queue.due(1000, first, 10).map(({ reason }) => reason)).toEqual(['reason 1']);
    expect(queue.due(1000 + 2 * MINUTE, undefined, 10)[2]).toMatchObject({
      attempts: 2,
      reason: 'again',
      code: 'other',
      firstFailure: 998,
      nextTry: 1000 + 2 * MINUTE,
    });
    expect(queue.remove(guid(2))).toBe(true);
    expect(queue.remove(guid(9))).toBe(false);
    expect(queue.size).toBe(2);
    expect(store.connector('b').retryQueue.size).toBe(0);
  });

  test('spreads those who failed together over a quarter of the delay', () => {
    const queue = store.connector('a').retryQueue;
    for (let n = 0; n < 100; n++) {
      const random = Uint8Array.from(
        Buffer.from(`${(n * 655).toString(16).padStart(4, '0')}${'00'.repeat(14)}`, 'hex'),
      );
      for (let i = 0; i < 9; i++) queue.put(random, failure(), 0);
    }
    const times = queue.list(100).map(({ nextTry }) => nextTry);
    expect(Math.max(...times)).toBeLessThanOrEqual(HOUR);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(0.75 * HOUR);
    expect(new Set(times).size).toBeGreaterThan(90);
  });

  test('tries rarely what only a change can cure, from the third failure on, and says so once', () => {
    const queue = store.connector('a').retryQueue;
    const told = Array.from({ length: 5 }, () => queue.put(guid(1), failure({ lasting: true }), 0));
    expect(told.map(({ gaveUp }) => gaveUp)).toEqual([false, false, true, false, false]);
    expect(queue.due(6 * HOUR - 1, undefined, 10)).toEqual([]);
    expect(queue.due(6 * HOUR, undefined, 10)).toHaveLength(1);
    // What was cured in part fails in a way that passes: it is tried as often as others, and told anew.
    queue.put(guid(1), failure(), 0);
    expect(queue.due(HOUR, undefined, 10)).toHaveLength(1);
    expect(queue.put(guid(1), failure({ lasting: true }), 0).gaveUp).toBe(true);
  });

  test('is due when the clock was set back since', () => {
    const queue = store.connector('a').retryQueue;
    const year = 365 * 24 * HOUR;
    queue.put(guid(1), failure(), year);
    for (let i = 0; i < 3; i++) queue.put(guid(2), failure({ lasting: true }), year);
    for (let i = 0; i < 3; i++) queue.put(guid(3), failure({ lasting: true }), 0);
    expect(queue.due(0, undefined, 10)).toHaveLength(2);
  });

  test('with a million objects is read in pages by its index, and never as a whole', () => {
    const queue = store.connector('a').retryQueue;
    const db = new Database(join(directory, 'agent.sqlite'), { readonly: true });
    const plan = db
      .prepare(
        `EXPLAIN QUERY PLAN SELECT guid FROM retry WHERE connector = 1 AND next_try <= 5
         AND (next_try, guid) > (1, x'00') ORDER BY next_try, guid LIMIT 200`,
      )
      .all() as { detail: string }[];
    db.close();
    expect(plan.map(({ detail }) => detail).join()).toMatch(/SEARCH retry USING COVERING INDEX retry_due/);
    expect(plan.map(({ detail }) => detail).join()).not.toMatch(/TEMP B-TREE/);
    const state = store.connector('a');
    state.transaction(() => {
      for (let n = 0; n < 50_000; n++) queue.put(guid(n), failure(), n % 7);
    });
    let last: ReturnType<typeof queue.list>[number] | undefined;
    const seen = new Set<string>();
    for (;;) {
      const rows = queue.due(10, last, 200);
      if (rows.length === 0) break;
      expect(rows.length).toBeLessThanOrEqual(200);
      last = rows.at(-1);
      state.transaction(() => {
        for (const { guid: each } of rows) {
          seen.add(Buffer.from(each).toString('hex'));
          queue.put(each, failure(), 10);
        }
      });
    }
    expect(seen.size).toBe(50_000);
    expect(queue.size).toBe(50_000);
  });
});
