/** Rows whose keys are in memory and those whose keys are on disk: found alike, after failures, kills and migrations. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { migrations } from '#src/agent/state/migrations.js';
import { ObjectKeys } from '#src/agent/state/object-keys.js';
import { openStateReader } from '#src/agent/state/reader.js';
import { type ObjectRow, Outcome, RowFlag } from '#src/agent/state/rows.js';
import { openStateStore, type StateStore } from '#src/agent/state/store.js';
import { openDatabase } from '#src/state/database.js';
import { mayMount } from './mounts.js';

/** As many as keys are kept in memory. */
const MAX_RECENT = 131_072;
const PAGE = 1000;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'phsync-keys-test.'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Of an object with this number; bytes far apart for numbers that are near. */
function guid(n: number): Buffer {
  const bytes = Buffer.alloc(16, 7);
  bytes.writeUInt32LE(Math.imul(n, 0x9e3779b1) >>> 0, 4);
  bytes.writeUInt32BE(n, 12);
  return bytes;
}

const row = (n: number, over: Partial<ObjectRow> = {}): ObjectRow => ({
  cloudAnchor: `User_${n}`,
  flags: RowFlag.inScope,
  fingerprint: n,
  dnDigest: n,
  passwordVersion: 1,
  passwordChanged: n,
  outcome: Outcome.success,
  sourceAnchor: null,
  accountExpires: null,
  keysVersion: null,
  ...over,
});

function sqlite<T>(file: string, work: (db: Database.Database) => T): T {
  const db = new Database(file);
  try {
    return work(db);
  } finally {
    db.close();
  }
}

/** Every row has one key, and every key its row; rows that wait for theirs stand above all others. */
function expectWhole(file: string, rows: number) {
  sqlite(file, (db) => {
    const number = (sql: string) => db.prepare(sql).pluck().get();
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    expect(number('SELECT count(*) FROM object')).toBe(rows);
    expect(number('SELECT count(*) FROM (SELECT DISTINCT connector, guid FROM object)')).toBe(rows);
    const keyed = number('SELECT count(*) FROM object WHERE id <= (SELECT up_to FROM object_keyed)');
    expect(number('SELECT count(*) FROM object_key')).toBe(keyed);
    expect(
      number(`SELECT count(*) FROM object_key k JOIN object o ON o.id = k.object AND o.connector = k.connector
        AND o.guid = k.guid WHERE o.id <= (SELECT up_to FROM object_keyed)`),
    ).toBe(keyed);
  });
}

describe('the keys of objects', () => {
  test('agree with a plain map over 30,000 random steps, roll-backs and restarts among them', () => {
    const file = join(directory, 'keys.sqlite');
    const options = { migrations, synchronous: 'NORMAL', cacheKiB: 1024, walPages: 1000, busyMs: 1000 } as const;
    const open = () => {
      const db = openDatabase(file, options);
      db.exec("INSERT INTO connector (id, name) VALUES (1, 'a'), (2, 'b') ON CONFLICT DO NOTHING");
      const insert = db.prepare(
        'INSERT INTO object (id, connector, guid, flags, dn_digest, outcome) VALUES (?, ?, ?, 0, ?, 0)',
      );
      const remove = db.prepare('DELETE FROM object WHERE id = ?');
      const numberOf = db.prepare('SELECT dn_digest FROM object WHERE id = ?').pluck();
      return { db, insert, remove, numberOf, keys: new ObjectKeys(db, 50) };
    };
    let { db, insert, remove, numberOf, keys } = open();
    let truth = new Map<string, number>();
    let before = truth;
    let inTransaction = false;
    let seed = 1;
    const random = (limit: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % limit;
    };
    for (let step = 0; step < 30_000; step++) {
      const connector = 1 + random(2);
      const bytes = guid(random(400));
      const name = `${connector} ${bytes.toString('hex')}`;
      const id = keys.idOf(connector, bytes);
      expect(id && numberOf.get(id), name).toBe(truth.get(name));
      const what = random(100);
      if (what < 60) {
        if (id === undefined) keys.add(connector, bytes, (row) => insert.run(row, connector, bytes, step));
        truth.set(name, truth.get(name) ?? step);
      } else if (what < 90) {
        if (id !== undefined) {
          remove.run(id);
          keys.drop(connector, bytes);
        }
        truth.delete(name);
      } else if (what < 92) {
        keys.settle();
      } else if (what < 98) {
        if (!inTransaction) {
          db.exec('BEGIN');
          before = new Map(truth);
        } else if (random(2) === 0) {
          db.exec('COMMIT');
        } else {
          db.exec('ROLLBACK');
          keys.forget();
          truth = before;
        }
        inTransaction = !inTransaction;
      } else if (!inTransaction && what === 98) {
        db.close();
        ({ db, insert, remove, numberOf, keys } = open());
      }
    }
    if (inTransaction) db.exec('COMMIT');
    expect([1, 2].map((connector) => [...keys.guids(connector)].length).reduce((a, b) => a + b)).toBe(truth.size);
    expect([keys.any(1), keys.any(3)]).toEqual([true, false]);
    db.close();
    expectWhole(file, truth.size);
  });

  test('more objects than keys in memory: all are found by the agent, by a reader beside it, and after a kill', () => {
    const state = join(directory, 'state');
    const store = openStateStore(state);
    const connector = store.connector('a');
    const total = MAX_RECENT + 2 * PAGE;
    for (let from = 0; from < total; from += PAGE) {
      connector.transaction(() => {
        for (let n = from; n < Math.min(from + PAGE, total); n++) connector.put(guid(n), row(n), 1);
      });
    }
    const sample = [0, 1, MAX_RECENT - 1, MAX_RECENT, MAX_RECENT + 1, total - 1];
    for (const n of sample) expect(connector.find(guid(n)), String(n)).toEqual(row(n));
    expect(connector.find(guid(total))).toBeUndefined();
    expect(connector.empty).toBe(false);
    expect(connector.users).toBe(total);

    const reader = openStateReader(state)!;
    for (const n of sample) {
      expect(reader.object('a', guid(n))?.row, String(n)).toEqual(row(n));
      expect(reader.history('a', guid(n), 5), String(n)).toMatchObject([{ status: 'Success', at: 1 }]);
    }
    expect(reader.object('a', guid(total))).toBeUndefined();
    expect(reader.object('b', guid(0))).toBeUndefined();
    reader.close();

    // What a kill leaves: the files as they are now.
    const killed = join(directory, 'killed');
    cpSync(state, killed, { recursive: true });
    const again = openStateStore(killed);
    for (const n of sample) expect(again.connector('a').find(guid(n)), String(n)).toEqual(row(n));
    again.connector('a').put(guid(total - 1), row(5), 2);
    again.connector('a').drop(guid(total - 2));
    again.connector('a').put(guid(0), row(6), 2);
    expect(again.connector('a').find(guid(total - 1))).toEqual(row(5));
    again.connector('a').settleKeys();
    again.close();
    expectWhole(join(killed, 'agent.sqlite'), total - 1);

    // The pass at whose end the unseen are deleted goes through the keys on disk.
    expect(connector.unseen(1, undefined, 10)).toEqual([]);
    const unseen: string[] = [];
    for (let last: Uint8Array | undefined; ; ) {
      const guids = connector.unseen(2, last, 10_000);
      if (guids.length === 0) break;
      last = guids.at(-1);
      for (const one of guids) unseen.push(Buffer.from(one).toString('hex'));
    }
    const all = Array.from({ length: total }, (_, n) => guid(n).toString('hex')).sort();
    expect(unseen).toEqual(all);
    store.close();
    expectWhole(join(state, 'agent.sqlite'), total);
  }, 240_000);

  test('the id of a row that was deleted is given to none that would have no key', () => {
    let store = openStateStore(directory);
    let connector = store.connector('a');
    for (const n of [1, 2, 3]) connector.put(guid(n), row(n), 1);
    connector.settleKeys();
    connector.drop(guid(3));
    for (const n of [4, 5]) {
      store.close();
      store = openStateStore(directory);
      connector = store.connector('a');
      connector.put(guid(n), row(n), 1);
    }
    store.close();
    store = openStateStore(directory);
    connector = store.connector('a');
    for (const n of [1, 2, 4, 5]) expect(connector.find(guid(n))).toEqual(row(n));
    expect(connector.find(guid(3))).toBeUndefined();
    connector.settleKeys();
    store.close();
    expectWhole(join(directory, 'agent.sqlite'), 4);
  });

  test('a transaction that fails takes its objects along, and their keys', () => {
    const store = openStateStore(directory);
    const connector = store.connector('a');
    connector.put(guid(1), row(1), 1);
    expect(() =>
      connector.transaction(() => {
        connector.put(guid(2), row(2), 1);
        connector.drop(guid(1));
        connector.settleKeys();
        throw new Error('in the middle');
      }),
    ).toThrow('in the middle');
    expect(connector.find(guid(1))).toEqual(row(1));
    expect(connector.find(guid(2))).toBeUndefined();
    connector.put(guid(2), row(3), 1);
    expect(connector.find(guid(2))).toEqual(row(3));
    connector.settleKeys();
    store.close();
    expectWhole(join(directory, 'agent.sqlite'), 2);
  });

  test('connectors have rows of the same GUIDs, and each finds its own', () => {
    const store = openStateStore(directory);
    for (const settle of [false, true]) {
      for (const [i, name] of ['a', 'b', 'c'].entries()) store.connector(name).put(guid(1), row(10 + i), 1);
      if (settle) store.connector('a').settleKeys();
      store.connector('b').drop(guid(1));
      expect(store.connector('a').find(guid(1))).toEqual(row(10));
      expect(store.connector('b').find(guid(1))).toBeUndefined();
      expect(store.connector('b').empty).toBe(true);
      expect(store.connector('c').find(guid(1))).toEqual(row(12));
    }
    store.close();
  });
});

test('a state of an earlier version keeps every row with its id, its history and its indexes', () => {
  const file = join(directory, 'agent.sqlite');
  const earlier = migrations.filter(({ number }) => number <= 5);
  const options = { synchronous: 'NORMAL', cacheKiB: 1024, walPages: 1000, busyMs: 1000 } as const;
  const db = openDatabase(file, { migrations: earlier, ...options });
  db.exec("INSERT INTO connector (id, name, full_sync_at) VALUES (1, 'a', 5), (2, 'b', NULL)");
  const insert = db.prepare(
    `INSERT INTO object (connector, guid, cloud_anchor, flags, fingerprint, dn_digest, password_version,
      password_changed, outcome, source_anchor, account_expires, settled) VALUES (?, ?, ?, 1, ?, ?, 1, ?, 1, ?, ?, 7)`,
  );
  db.transaction(() => {
    for (let n = 0; n < 5000; n++) {
      const of = n % 3 === 0 ? 2 : 1;
      insert.run(of, guid(n), `User_${n}`, n, n, n, n === 4 ? guid(9999) : null, n === 5 ? 1000 : null);
    }
  })();
  db.exec('DELETE FROM object WHERE id % 10 = 9');
  const rows = 'SELECT * FROM object ORDER BY id';
  const columns = ['id', 'connector', 'guid', 'cloud_anchor', 'flags', 'fingerprint', 'dn_digest', 'password_version'];
  const before = db.prepare(rows).all() as Record<string, unknown>[];
  expect(Object.keys(before[0]!)).toEqual(expect.arrayContaining(columns));
  db.close();

  const store = openStateStore(directory);
  const [a, b] = [store.connector('a'), store.connector('b')];
  expect(a.find(guid(1))).toEqual(row(1));
  expect(b.find(guid(1))).toBeUndefined();
  expect(b.find(guid(3))).toEqual(row(3));
  expect(a.find(guid(4))).toEqual(row(4, { sourceAnchor: guid(9999) }));
  expect(a.find(guid(8))).toBeUndefined();
  expect(a.peer(guid(9999), 'ffffffff-ffff-ffff-ffff-ffffffffffff')).toMatchObject({ cloudAnchor: 'User_4' });
  expect(a.expiring(2000, true, undefined, 10)).toEqual([guid(5)]);
  a.put(guid(1), row(1, { outcome: Outcome.error, passwordVersion: 2 }), 8);
  expect(a.history(guid(1), 10)).toMatchObject([
    { status: 'Error', at: 8 },
    { status: 'Success', at: 7 },
  ]);
  a.put(guid(1), row(1), 7);
  a.put(guid(8), row(8), 7);
  expect(a.find(guid(8))).toEqual(row(8));
  a.drop(guid(8));
  store.close();
  // Of what came since.
  const after = before.map((row) => ({ ...row, keys_version: null }));
  sqlite(file, (db) => expect(db.prepare(rows).all()).toEqual(after));
  expectWhole(file, before.length);
});

describe('a process that is killed while it writes', () => {
  const WRITER = fileURLToPath(new URL('object-writer.mjs', import.meta.url));

  /** Writes pages of new objects and says how many pages are committed; settles often. */
  function startWriter(): { readonly child: ChildProcess; readonly pages: () => number } {
    const child = spawn(process.execPath, [WRITER, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout!.on('data', (part) => (text += part));
    return { child, pages: () => Number(text.trim().split('\n').at(-1)) };
  }

  test('keeps every page that it had committed, and goes on', async () => {
    for (let round = 0; round < 4; round++) {
      const { child, pages } = startWriter();
      const ended = once(child, 'exit');
      await once(child.stdout!, 'data');
      setTimeout(() => child.kill('SIGKILL'), 100 + 400 * Math.random());
      expect(await ended).toEqual([null, 'SIGKILL']);
      const store = openStateStore(directory);
      const connector = store.connector('a');
      const committed = Buffer.from(connector.cookie!).readUInt32BE();
      expect(committed).toBeGreaterThanOrEqual(pages());
      for (let page = 0; page < committed; page++) {
        for (const n of [page * PAGE, (page + 1) * PAGE - 1]) expect(connector.find(guid(n))).toEqual(row(n));
      }
      expect(connector.find(guid(committed * PAGE))).toBeUndefined();
      store.close();
      expectWhole(join(directory, 'agent.sqlite'), committed * PAGE);
    }
  }, 240_000);
});

describe.runIf(mayMount)('a full disk (where this process may mount a file system)', () => {
  let store: StateStore | undefined;
  afterEach(() => {
    store?.close();
    execFileSync('umount', [join(directory, 'small')]);
  });

  test('as the keys are written: the objects stay, and get them when there is room', () => {
    const small = join(directory, 'small');
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', small]);
    store = openStateStore(join(small, 'state'));
    const connector = store.connector('a');
    const total = 40_000;
    for (let from = 0; from < total; from += PAGE) {
      connector.transaction(() => {
        for (let n = from; n < from + PAGE; n++) connector.put(guid(n), row(n), 1);
      });
    }
    const { bavail, bsize } = statfsSync(small);
    writeFileSync(join(small, 'letters.txt'), Buffer.alloc(bavail * bsize - 64 * 1024));
    expect(() => connector.transaction(() => connector.settleKeys())).toThrow(/full/);
    for (const n of [0, 1, total - 1]) expect(connector.find(guid(n))).toEqual(row(n));
    rmSync(join(small, 'letters.txt'));
    connector.transaction(() => connector.settleKeys());
    for (const n of [0, 1, total - 1]) expect(connector.find(guid(n))).toEqual(row(n));
    store.close();
    store = undefined;
    expectWhole(join(small, 'state', 'agent.sqlite'), total);
  });
});
