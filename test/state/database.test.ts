import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DatabaseOptions, openDatabase } from '#src/state/database.js';
import { tryLock } from '#src/state/lock.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'phsync-state-test.'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const options = (migrations: DatabaseOptions['migrations']): DatabaseOptions => ({
  migrations,
  synchronous: 'FULL',
  cacheKiB: 1024,
  walPages: 1000,
  busyMs: 0,
});

describe('openDatabase', () => {
  const first = { number: 1, sql: 'CREATE TABLE a (x)' };

  it('takes each migration once, and none of one that fails', () => {
    const file = join(directory, 'migrations.sqlite');
    const broken = { number: 2, sql: 'CREATE TABLE b (x); CREATE TABLE a (x)' };
    openDatabase(file, options([first])).close();
    expect(() => openDatabase(file, options([first, broken]))).toThrow(expect.objectContaining({ code: 'store-open' }));
    const database = openDatabase(file, options([first, { number: 2, sql: 'CREATE TABLE b (y)' }]));
    expect(database.prepare('SELECT number FROM migrations').pluck().all()).toEqual([1, 2]);
    database.close();
  });

  it('sets what it is told', () => {
    for (const [synchronous, number] of [
      ['FULL', 2],
      ['NORMAL', 1],
    ] as const) {
      const database = openDatabase(join(directory, 'settings.sqlite'), { ...options([first]), synchronous });
      expect(database.pragma('synchronous', { simple: true })).toBe(number);
      expect(database.pragma('journal_mode', { simple: true })).toBe('wal');
      expect(database.pragma('cache_size', { simple: true })).toBe(-1024);
      expect(database.pragma('wal_autocheckpoint', { simple: true })).toBe(1000);
      expect(database.pragma('foreign_keys', { simple: true })).toBe(1);
      database.close();
    }
  });

  it('gives the file and its log mode 0600, whatever the umask', () => {
    const before = process.umask(0);
    try {
      const database = openDatabase(join(directory, 'mode.sqlite'), options([first]));
      for (const suffix of ['', '-wal', '-shm']) {
        expect(statSync(join(directory, `mode.sqlite${suffix}`)).mode & 0o777, suffix).toBe(0o600);
      }
      database.close();
    } finally {
      process.umask(before);
    }
  });
});

describe('tryLock', () => {
  it('has one holder at a time', () => {
    const file = join(directory, 'lock');
    const held = tryLock(file);
    expect(held).toBeDefined();
    expect(tryLock(file)).toBeUndefined();
    held!.release();
    const again = tryLock(file);
    expect(again).toBeDefined();
    again!.release();
  });

  it('says what the system says where no file can be', () => {
    expect(() => tryLock(join(directory, 'missing', 'lock'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
});
