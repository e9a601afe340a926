/** Events reach the log at once and the state in batches, keep nothing secret, and cost nothing where they are too many. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Clock } from '#src/agent/clock.js';
import { EventLog } from '#src/agent/events/event-log.js';
import { EventStore } from '#src/agent/state/events.js';
import { KEPT_MS } from '#src/agent/state/history.js';
import { migrations } from '#src/agent/state/migrations.js';
import { openStateStore, type StateStore } from '#src/agent/state/store.js';
import { createLog } from '#src/log/log.js';
import { openDatabase } from '#src/state/database.js';

const NT_HASH = '8846f7eaee8fb117ad06bdd830b7586c';

/** Time that stands still; sleepers wake when the test says so. */
class HandClock implements Clock {
  time = Date.parse('2026-03-01T10:00:00Z');
  #sleepers: (() => void)[] = [];
  now(): number {
    return this.time;
  }
  sleep(_ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve());
      this.#sleepers.push(resolve);
    });
  }
  async wake(): Promise<void> {
    for (const wake of this.#sleepers.splice(0)) wake();
    await setImmediate();
  }
}

let directory: string;
let store: StateStore;
let clock: HandClock;
let lines: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'phsync-events.'));
  store = openStateStore(join(directory, 'state'));
  clock = new HandClock();
  lines = [];
});

afterEach(() => {
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

const logAt = (level: string) => createLog(level, { write: (line: string) => void lines.push(line) });
const eventLog = (level = 'info', to: Pick<EventStore, 'add' | 'prune'> = store.events) =>
  new EventLog({ log: logAt(level), store: to, clock });

describe('an event', () => {
  test('is a line of the log at once, and in the state with those that follow it', async () => {
    const events = eventLog();
    events.emit(617, { connector: 'phs.test', partitionName: 'phs.test', server: undefined });
    events.emit(652, { connector: 'phs.test', errorCode: '81' });
    events.emit(616, {});
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        event: 617,
        connector: 'phs.test',
        partitionName: 'phs.test',
        msg: 'full synchronization started for a forest',
      }),
      expect.objectContaining({ level: 'error', event: 652, errorCode: '81' }),
      expect.objectContaining({ level: 'warn', event: 616 }),
    ]);
    expect(store.events.newest(10)).toEqual([]);
    await clock.wake();
    expect(store.events.newest(10)).toEqual([
      { at: clock.time, number: 616, connector: undefined, fields: {} },
      { at: clock.time, number: 652, connector: 'phs.test', fields: { errorCode: '81' } },
      { at: clock.time, number: 617, connector: 'phs.test', fields: { partitionName: 'phs.test' } },
    ]);
  });

  test('is found by number, connector and time', async () => {
    const events = eventLog();
    for (const connector of ['a', 'b']) for (const number of [653, 654] as const) events.emit(number, { connector });
    clock.time += 1000;
    events.emit(654, { connector: 'a' });
    events.close();
    const found = (query: Parameters<EventStore['newest']>[1]) =>
      store.events.newest(10, query).map(({ number, connector }) => `${number}${connector}`);
    expect(found({ numbers: [654] })).toEqual(['654a', '654b', '654a']);
    expect(found({ numbers: [654], connector: 'b' })).toEqual(['654b']);
    expect(found({ since: clock.time })).toEqual(['654a']);
    expect(store.events.newest(1)).toHaveLength(1);
  });

  test('told in a transaction that fails is stored all the same', async () => {
    const events = eventLog();
    const state = store.connector('a');
    expect(() =>
      state.transaction(() => {
        events.emit(665, { connector: 'a' });
        throw new Error('rolled back');
      }),
    ).toThrow('rolled back');
    await clock.wake();
    expect(store.events.newest(10)).toHaveLength(1);
  });

  test('has no secret, whatever the field, in log or state', async () => {
    const credential = `v1;PPH1_MD4,0123456789abcdef0123,1000,${'ab'.repeat(32)};`;
    const events = eventLog();
    for (const secret of [
      NT_HASH,
      NT_HASH.toUpperCase(),
      credential,
      NT_HASH + NT_HASH,
      'eyJhbGciOiJ9.eyJzdWIiOiJ9.sig',
    ]) {
      events.emit(657, { extendedError: `refused <${secret}> it` });
    }
    events.emit(656, { anchor: 'q83vASNFZ4mrze8BI0VniQ==', trackingId: '5c0a3a3e-6b1f-4f3c-9d55-7a1d0c6b1e2f' });
    events.close();
    const stored = store.events.newest(10);
    for (const text of [...lines, ...stored.map((event) => JSON.stringify(event))]) {
      if (text.includes('656')) expect(text).toMatch(/q83vASNFZ4mrze8BI0VniQ==.*5c0a3a3e-6b1f-4f3c-9d55-7a1d0c6b1e2f/);
      else expect(text).toContain('refused <[redacted]> it');
    }
    expect(stored).toHaveLength(6);
  });

  test('with a text that a peer made long is cut', () => {
    const events = eventLog();
    events.emit(611, { errorDescription: 'x'.repeat(100_000) });
    events.close();
    expect(lines[0]!.length).toBeLessThan(1000);
    expect(JSON.stringify(store.events.newest(1)).length).toBeLessThan(1000);
  });
});

describe('single users', () => {
  test('are told while they are few, and no more once a window has had its hundred', () => {
    const events = eventLog();
    expect(events.forUsers(60)).toBe(events);
    expect(events.forUsers(40)).toBe(events);
    expect(events.forUsers(1)).toBeUndefined();
    clock.time += 120_000;
    expect(events.forUsers(101)).toBeUndefined();
    expect(events.forUsers(1)).toBe(events);
    clock.time -= 7 * 24 * 3600 * 1000;
    expect(events.forUsers(100)).toBe(events);
  });

  test('stand in a trace of the log, and not in the state, where they are many', () => {
    const events = eventLog('trace');
    events.forUsers(1000)!.emit(656, { dn: 'CN=u' });
    events.close();
    expect(lines.map((line) => JSON.parse(line))).toEqual([expect.objectContaining({ level: 'trace', event: 656 })]);
    expect(store.events.newest(10)).toEqual([]);
  });
});

describe('a state that takes no events', () => {
  test('costs a line of the log, and gets what waited once it takes them again', async () => {
    let full = true;
    const events = eventLog('info', {
      add: (rows) => {
        if (full) throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
        store.events.add(rows);
      },
      prune: () => false,
    });
    for (let i = 0; i < 3; i++) {
      events.emit(663, { i });
      await clock.wake();
    }
    const complaints = () => lines.map((line) => JSON.parse(line)).filter(({ event }) => event === undefined);
    expect(complaints()).toEqual([
      expect.objectContaining({ level: 'warn', err: expect.objectContaining({ code: 'SQLITE_FULL' }) }),
    ]);
    full = false;
    events.emit(663, { i: 3 });
    await clock.wake();
    expect(store.events.newest(10).map(({ fields }) => fields.i)).toEqual([3, 2, 1, 0]);
    expect(complaints()).toHaveLength(2);
  });

  test('takes no more memory than a few thousand events', async () => {
    let full = true;
    const events = eventLog('silent', {
      add: (rows) => {
        if (full) throw new Error('full');
        store.events.add(rows);
      },
      prune: () => false,
    });
    for (let i = 0; i < 5000; i++) events.emit(663, { i });
    await clock.wake();
    full = false;
    events.close();
    const kept = store.events.newest(10_000);
    expect(kept).toHaveLength(2000);
    expect(kept[0]!.fields.i).toBe(4999);
  });
});

describe('old events', () => {
  test('go after seven days, and beyond the number that is kept', () => {
    const db = openDatabase(join(directory, 'small.sqlite'), {
      migrations,
      synchronous: 'NORMAL',
      cacheKiB: 1024,
      walPages: 1000,
      busyMs: 1000,
    });
    try {
      const small = new EventStore(db, 10);
      const row = (at: number) => ({ at, number: 663, connector: null, fields: '{}' });
      small.add([clock.time - KEPT_MS - 1, clock.time - KEPT_MS].map(row));
      expect(small.prune(clock.time)).toBe(false);
      expect(small.newest(10).map(({ at }) => at)).toEqual([clock.time - KEPT_MS]);
      small.add(Array.from({ length: 12 }, (_, i) => row(clock.time + i)));
      small.prune(clock.time);
      expect(small.newest(20).map(({ at }) => at - clock.time)).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
      small.add(Array.from({ length: 6000 }, () => row(clock.time)));
      expect(small.prune(clock.time)).toBe(true);
      expect(small.prune(clock.time)).toBe(false);
      expect(small.newest(20)).toHaveLength(10);
    } finally {
      db.close();
    }
  });

  test('go while the agent runs', async () => {
    const events = eventLog();
    events.emit(663);
    await clock.wake();
    clock.time += KEPT_MS + 1;
    events.emit(663);
    await clock.wake();
    expect(store.events.newest(10).map(({ at }) => at)).toEqual([clock.time]);
  });
});

describe('the log', () => {
  test('takes secrets out by name, and says of an error what it is without its cause', () => {
    const log = logAt('info');
    const cause = new Error('the peer sent: Passw0rd-of-a-user');
    log.info({ password: 'a', auth: { clientSecret: 'b' }, unicodePwd: Buffer.from(NT_HASH, 'hex') }, 'said');
    log.warn({ err: Object.assign(new Error('failed', { cause }), { code: 'dc-logon' }) }, 'failed');
    expect(JSON.parse(lines[0]!)).toMatchObject({
      password: '[redacted]',
      auth: { clientSecret: '[redacted]' },
      unicodePwd: '[redacted]',
    });
    expect(JSON.parse(lines[1]!).err).toEqual({
      type: 'Error',
      code: 'dc-logon',
      message: 'failed',
      stack: expect.any(String),
    });
    expect(lines[1]).not.toContain('Passw0rd');
  });
});
