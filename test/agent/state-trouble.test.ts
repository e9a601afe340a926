import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EventFields, EventNumber } from '#src/agent/events/event.js';
import { stateError } from '#src/agent/state/state-errors.js';
import { openStateStore, type StateStore } from '#src/agent/state/store.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { mayMount } from './mounts.js';
import { altered, TestSite } from './site.js';

// A state directory that cannot be written to: a disk that is really full (a small file system of its own), a lock that
// is really held.

let site: TestSite;
let store: StateStore | undefined;
const events: { readonly number: EventNumber; readonly fields: EventFields | undefined }[] = [];
const sink = {
  emit: (number: EventNumber, fields?: EventFields) => void events.push({ number, fields }),
  forUsers: () => undefined,
};
beforeEach(async () => {
  events.length = 0;
  site = await TestSite.start();
});
afterEach(async () => {
  store?.close();
  store = undefined;
  await site.stop();
});

const stateEvents = () => events.filter(({ number }) => number === 665 || number === 666);

describe.runIf(mayMount)('a full disk (where this process may mount a file system)', () => {
  let directory: string;
  beforeEach(() => {
    directory = join(site.directory, 'small');
    mkdirSync(directory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', directory]);
    store = openStateStore(join(directory, 'state'));
  });
  afterEach(() => {
    store?.close();
    store = undefined;
    execFileSync('umount', [directory]);
  });

  /** Leaves so many bytes. */
  function fill(left: number): () => void {
    const { bavail, bsize } = statfsSync(directory);
    const file = join(directory, 'letters.txt');
    writeFileSync(file, Buffer.alloc(bavail * bsize - left));
    return () => rmSync(file);
  }

  test('before a cycle: nothing is pulled or sent, event 665 says what to do, and it goes on when there is room', async () => {
    const lab = site.lab({ users: 200 });
    const agent = site.agent(lab, { store: store!, events: sink });
    await site.sync(agent);
    lab.changePassword(lab.userIndex(5));
    const empty = fill(0);
    const full = await site.try(agent);
    expect(full.error).toMatchObject({ code: 'state-full', message: expect.stringMatching(/is full.*make room/) });
    expect(full).toMatchObject({ seen: 0, credentialsSent: 0, directory: undefined });
    expect(stateEvents()).toMatchObject([{ number: 665, fields: { connector: 'lab', code: 'state-full' } }]);
    empty();
    expect(await site.sync(agent)).toMatchObject({ credentialsSent: 1, failed: 0 });
    expect(await site.wrongUsers(lab)).toEqual([]);
  });

  test('in the middle of a first synchronization: what was settled stays, and the rest follows when there is room', async () => {
    const lab = site.lab({ users: 20_000 });
    const sent = new Map<string, number>();
    const client = altered(site.client, {
      provisionCredentials: (items, options) => {
        for (const { sourceAnchor } of items) sent.set(sourceAnchor!, (sent.get(sourceAnchor!) ?? 0) + 1);
        return site.client.provisionCredentials(items, options);
      },
    });
    const parts = { store: store!, events: sink, client, pageSize: 200 };
    const empty = fill(1.5 * 1024 * 1024);
    const full = await site.try(site.agent(lab, parts));
    expect(full.error).toMatchObject({ code: 'state-full', message: expect.stringContaining('SQLITE_FULL') });
    expect(full.pages).toBeGreaterThan(1);
    expect(stateEvents()).toMatchObject([{ number: 665, fields: { connector: 'lab', code: 'state-full' } }]);
    // Behind the page that could not be written down not more was sent than was under way.
    expect(sent.size).toBeLessThanOrEqual(full.credentialsSent + 5 * 200);
    empty();
    // Six MiB hold less than half of the users.
    execFileSync('mount', ['-o', 'remount,size=64m', directory]);
    const next = await site.sync(site.agent(lab, parts));
    expect(next).toMatchObject({ failed: 0, retryQueue: 0 });
    // Only those were sent again of whom nobody could know.
    expect([...sent.values()].filter((times) => times > 1).length).toBeLessThanOrEqual(5 * 200);
    // And some accounts that are no ordinary users.
    expect(sent.size).toBeGreaterThanOrEqual(20_000);
    const sample = Array.from({ length: 200 }, (_, n) => lab.userIndex(n * 100));
    expect(new Set(await Promise.all(sample.map((index) => site.password(lab, index))))).toEqual(new Set(['right']));
  });
});

test('another process that holds the database: event 666, and it goes on when it lets go', async () => {
  const lab = site.lab({ users: 20 });
  const agent = site.agent(lab, { events: sink });
  await site.sync(agent);
  lab.changePassword(lab.userIndex(5));
  const other = new Database(join(site.stateDir, 'agent.sqlite'));
  other.exec('BEGIN IMMEDIATE');
  const busy = await site.try(agent);
  expect(busy.error).toMatchObject({ code: 'state-busy' });
  expect(busy.credentialsSent).toBe(0);
  expect(stateEvents()).toMatchObject([{ number: 666, fields: { connector: 'lab', code: 'state-busy' } }]);
  other.exec('ROLLBACK');
  other.close();
  expect(await site.sync(agent)).toMatchObject({ credentialsSent: 1 });
});

test('a database that cannot be written to says so; an error of anybody else stays as it is', () => {
  const directory = join(site.directory, 'state');
  openStateStore(directory).close();
  const db = new Database(join(directory, 'agent.sqlite'), { readonly: true });
  try {
    db.exec('DELETE FROM cycle');
    expect.unreachable();
  } catch (error) {
    expect(stateError(error)).toMatchObject({ code: 'state-read-only', facts: { sqlite: 'SQLITE_READONLY' } });
  }
  db.close();
  const foreign = Object.assign(new Error('reset'), { code: 'ECONNRESET' });
  expect(stateError(foreign)).toBe(foreign);
  const own = new PhsyncError('dc-timeout', 'x');
  expect(stateError(own)).toBe(own);
});
