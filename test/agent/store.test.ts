import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noCounts, type ObjectRow, Outcome, RowFlag } from '#src/agent/state/rows.js';
import { openStateStore } from '#src/agent/state/store.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'phsync-store-test.'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const guid = (n: number) => Uint8Array.from(Buffer.alloc(16, n));
const row: ObjectRow = {
  cloudAnchor: 'User_1',
  flags: RowFlag.inScope | RowFlag.mustChange,
  fingerprint: 2 ** 53 - 1,
  dnDigest: 0,
  passwordVersion: 0xffffffff,
  passwordChanged: Date.UTC(2026, 4, 1),
  outcome: Outcome.success,
  sourceAnchor: null,
  accountExpires: null,
  keysVersion: null,
};

describe('the state store', () => {
  test('is a file for its owner alone, with its log beside it', () => {
    const state = join(directory, 'made', 'state');
    const store = openStateStore(state);
    store.connector('a').cookie = new Uint8Array(3);
    expect(statSync(state).mode & 0o777).toBe(0o700);
    for (const name of ['agent.sqlite', 'agent.sqlite-wal', 'agent.sqlite-shm', 'agent.lock']) {
      expect(statSync(join(state, name)).mode & 0o777, name).toBe(0o600);
    }
    store.close();
  });

  test('narrows the rights of a file that was there', () => {
    writeFileSync(join(directory, 'agent.sqlite'), '', { mode: 0o666 });
    openStateStore(directory).close();
    expect(statSync(join(directory, 'agent.sqlite')).mode & 0o777).toBe(0o600);
  });

  test('keeps cookies, rows and the retry queue by connector, over a restart', () => {
    let store = openStateStore(directory);
    const first = store.connector('a');
    first.cookie = Uint8Array.of(1, 2, 3);
    first.scopeDigest = 'abc';
    first.running = true;
    first.put(guid(1), row, 1);
    first.put(guid(1), { ...row, cloudAnchor: null, fingerprint: null, passwordVersion: null }, 2);
    first.put(guid(2), row, 3);
    first.retryQueue.put(guid(2), { reason: 'because', code: 'c', lasting: false }, 1000);
    expect(store.connector('b').cookie).toBeUndefined();
    expect(store.connector('b').find(guid(1))).toBeUndefined();
    store.close();

    store = openStateStore(directory);
    const again = store.connector('a');
    expect(Uint8Array.from(again.cookie!)).toEqual(Uint8Array.of(1, 2, 3));
    expect(again.scopeDigest).toBe('abc');
    expect(again.running).toBe(true);
    expect(again.find(guid(1))).toEqual({ ...row, cloudAnchor: null, fingerprint: null, passwordVersion: null });
    expect(again.find(guid(2))).toEqual(row);
    expect(again.retryQueue.size).toBe(1);
    again.drop(guid(2));
    expect(again.find(guid(2))).toBeUndefined();
    expect(again.outcomes()).toEqual(new Map([[Outcome.success, 1]]));
    store.close();
  });

  test('a transaction that fails leaves nothing, neither on disk nor in the count of the queue', () => {
    const store = openStateStore(directory);
    const state = store.connector('a');
    state.cookie = Uint8Array.of(1);
    expect(() =>
      state.transaction(() => {
        state.cookie = Uint8Array.of(2);
        state.retryQueue.put(guid(1), { reason: 'x', code: 'c', lasting: false }, 0);
        throw new Error('in the middle');
      }),
    ).toThrow('in the middle');
    expect(Uint8Array.from(state.cookie!)).toEqual(Uint8Array.of(1));
    expect(state.retryQueue.size).toBe(0);
    store.close();
  });

  test('keeps cycles for seven days', () => {
    const store = openStateStore(directory);
    const state = store.connector('a');
    const day = 24 * 3600 * 1000;
    for (const at of [0, 1, 7.5, 8])
      state.recordCycle(at * day, at * day + 5, noCounts(), at === 1 ? { code: 'x', message: 'broke' } : undefined);
    store.close();
    const db = new Database(join(directory, 'agent.sqlite'), { readonly: true });
    expect(db.prepare('SELECT started, error FROM cycle ORDER BY id').all()).toEqual([
      { started: day, error: 'broke' },
      { started: 7.5 * day, error: null },
      { started: 8 * day, error: null },
    ]);
    db.close();
  });

  test('takes a directory that is empty or its own from others, and leaves one that is not', () => {
    const mode = () => statSync(directory).mode & 0o777;
    chmodSync(directory, 0o755);
    openStateStore(directory).close();
    expect(mode()).toBe(0o700);
    chmodSync(directory, 0o755);
    openStateStore(directory).close();
    expect(mode()).toBe(0o700);
    const home = join(directory, 'home');
    mkdirSync(home);
    chmodSync(home, 0o755);
    writeFileSync(join(home, 'letters.txt'), '');
    expect(() => openStateStore(home)).toThrowError(expect.objectContaining({ code: 'state-directory' }));
    expect(statSync(home).mode & 0o777).toBe(0o755);
    expect(readdirSync(home)).toEqual(['letters.txt']);
  });

  test('lets one agent in at a time, and the next after it', () => {
    const store = openStateStore(directory);
    expect(() => openStateStore(directory)).toThrowError(expect.objectContaining({ code: 'state-in-use' }));
    store.close();
    openStateStore(directory).close();
  });

  test('refuses a file of a newer version, one that is no database, and a directory that cannot be', () => {
    openStateStore(directory).close();
    const db = new Database(join(directory, 'agent.sqlite'));
    db.prepare('INSERT INTO migrations (number, applied_at) VALUES (99, 0)').run();
    db.close();
    expect(() => openStateStore(directory)).toThrowError(expect.objectContaining({ code: 'store-newer' }));
    writeFileSync(join(directory, 'agent.sqlite'), 'not a database, but long enough to be looked at as one'.repeat(50));
    expect(() => openStateStore(directory)).toThrowError(expect.objectContaining({ code: 'store-open' }));
    writeFileSync(join(directory, 'file'), '');
    // Below /proc, Node's own mkdir would not come back.
    for (const state of [join(directory, 'file'), join(directory, 'file', 'below'), '/proc/phsync', '/proc/a/b']) {
      expect(() => openStateStore(state), state).toThrowError(expect.objectContaining({ code: 'state-directory' }));
    }
  });
});
