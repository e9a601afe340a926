/** The thread that appends to SQLite's logs: all rows or none, on disk when it answers, and replaced where it ends. */

import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqliteAppender } from '#src/tenant/store/sqlite-appender.js';
import { temporaryDirectory } from './harness.js';

describe('appending to a log in SQLite', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let file: string;
  let appender: SqliteAppender;
  beforeEach(async () => {
    directory = await temporaryDirectory();
    file = join(directory.path, 'log.sqlite');
    appender = new SqliteAppender({ file, busyMs: 100, walPages: 1000 });
  });
  afterEach(async () => {
    await appender.close();
    await directory.remove();
  });

  function make(): Database.Database {
    const database = new Database(file);
    database.pragma('journal_mode = WAL');
    database.exec('CREATE TABLE words (n INTEGER NOT NULL, word TEXT, PRIMARY KEY (n)) STRICT');
    return database;
  }
  const rows = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => ({ n: from + i, word: i % 2 === 0 ? `w${from + i}` : null }));
  const counted = (database: Database.Database) => database.prepare('SELECT count(*) FROM words').pluck().get();

  it('writes the rows of many calls, each column to its own, and all that waits before it closes', async () => {
    const database = make();
    const written = Promise.all([
      appender.append('words', rows(0, 300)),
      appender.append('words', rows(300, 301)),
      appender.append('words', [{ word: 'the other way around', n: 1000 }]),
    ]);
    await appender.close();
    await written;
    expect(database.prepare('SELECT n, word FROM words WHERE n IN (7, 8, 1000)').all()).toEqual([
      { n: 7, word: null },
      { n: 8, word: 'w8' },
      { n: 1000, word: 'the other way around' },
    ]);
    expect(counted(database)).toBe(302);
    database.close();
  });

  it('writes none of the rows where one is refused, and goes on', async () => {
    const database = make();
    await appender.append('words', rows(5, 6));
    const refused = [...rows(0, 4), { n: 'no number', word: null }];
    await expect(appender.append('words', refused)).rejects.toMatchObject({ code: 'store-failed' });
    expect(counted(database)).toBe(1);
    await appender.append('words', rows(6, 10));
    expect(counted(database)).toBe(5);
    database.close();
  });

  it('leaves rows alone that are there, by their key', async () => {
    const database = make();
    await appender.append('words', rows(0, 6));
    await appender.append('words', [{ n: 5, word: 'another' }, ...rows(5, 10)]);
    expect(counted(database)).toBe(10);
    expect(database.prepare('SELECT word FROM words WHERE n = 5').pluck().get()).toBeNull();
    database.close();
  });

  it('says that another writer holds the database, and writes when it no longer does', async () => {
    const database = make();
    database.exec('BEGIN IMMEDIATE');
    await expect(appender.append('words', rows(0, 1))).rejects.toMatchObject({ code: 'store-busy' });
    database.exec('COMMIT');
    await appender.append('words', rows(0, 1));
    expect(counted(database)).toBe(1);
    database.close();
  });

  it('fails what waits for a thread that ends, with the reason, and starts another', async () => {
    const failed = await Promise.allSettled([
      appender.append('words', rows(0, 1)),
      appender.append('words', rows(1, 2)),
    ]);
    for (const one of failed) {
      expect(one).toMatchObject({
        status: 'rejected',
        reason: { code: 'store-busy', message: expect.stringContaining('unable to open database file') },
      });
    }
    const database = make();
    await appender.append('words', rows(0, 2));
    expect(counted(database)).toBe(2);
    database.close();
  });

  it('closes where the thread ends by a failure meanwhile, and tells those who wait', async () => {
    const failed = appender.append('words', rows(0, 1)).catch((error) => error);
    // No file is there: the thread fails on its way up, while it is asked to end.
    await expect(appender.close()).resolves.toBeUndefined();
    expect(await failed).toMatchObject({ code: 'store-busy' });
  });
});
