/** The SQLite store: the suite of all stores, and what is its own: files, migrations, other processes. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SqliteStore } from '#src/tenant/store/sqlite-store.js';
import { setFeatures } from './features.js';
import { temporaryDirectory } from './harness.js';
import { storeSuite } from './store-suite.js';

storeSuite('SQLite', async (now) => {
  const directory = await temporaryDirectory();
  const open = () => new SqliteStore(join(directory.path, 'tenant.sqlite'), { initialFeatures: 1, now });
  let store = open();
  return {
    store,
    async reopen() {
      await store.close();
      return (store = open());
    },
    async remove() {
      await store.close();
      await directory.remove();
    },
  };
});

describe('the SQLite file', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  beforeAll(async () => {
    directory = await temporaryDirectory();
  });
  afterAll(() => directory.remove());
  const thrown = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      return error;
    }
    return undefined;
  };

  it('is private, with its log, whatever the umask', async () => {
    const file = join(directory.path, 'modes.sqlite');
    await writeFile(file, '');
    await chmod(file, 0o666);
    const store = new SqliteStore(file, { initialFeatures: 1 });
    await setFeatures(store, 2);
    const files = (await readdir(directory.path)).filter((name) => name.startsWith('modes.sqlite'));
    expect(files.sort()).toEqual(['modes.sqlite', 'modes.sqlite-shm', 'modes.sqlite-wal']);
    for (const name of files) expect((await stat(join(directory.path, name))).mode & 0o777).toBe(0o600);
    await store.close();
  });

  it('is refused when it is no database', async () => {
    const file = join(directory.path, 'text.sqlite');
    await writeFile(file, 'this is not a database, but long enough to be looked at'.repeat(10));
    expect(thrown(() => new SqliteStore(file, { initialFeatures: 1 }))).toMatchObject({ code: 'store-open' });
    expect(thrown(() => new SqliteStore(directory.path, { initialFeatures: 1 }))).toMatchObject({ code: 'store-open' });
  });

  it('is refused when a later version wrote it', async () => {
    const file = join(directory.path, 'newer.sqlite');
    await new SqliteStore(file, { initialFeatures: 1 }).close();
    const database = new Database(file);
    database.prepare('INSERT INTO migrations (number, applied_at) VALUES (999, 0)').run();
    database.close();
    expect(thrown(() => new SqliteStore(file, { initialFeatures: 1 }))).toMatchObject({
      code: 'store-newer',
      facts: { migration: 999 },
    });
  });

  it('keeps its journal as a WAL', async () => {
    const file = join(directory.path, 'pragmas.sqlite');
    const database = new SqliteStore(file, { initialFeatures: 1 });
    const other = new Database(file);
    expect(other.pragma('journal_mode', { simple: true })).toBe('wal');
    other.close();
    await database.close();
  });

  it('says that it is busy while another holds it, and works afterwards', { timeout: 240_000 }, async () => {
    const file = join(directory.path, 'busy.sqlite');
    const store = new SqliteStore(file, { initialFeatures: 1 });
    const other = new Database(file);
    other.exec('BEGIN IMMEDIATE');
    await expect(setFeatures(store, 3)).rejects.toMatchObject({ code: 'store-busy' });
    other.exec('ROLLBACK');
    await setFeatures(store, 3);
    expect(await store.dirSyncFeatures()).toBe(3);
    other.close();
    await store.close();
  });

  it('keeps every acknowledged batch of a process that is killed', { timeout: 240_000 }, async () => {
    const file = join(directory.path, 'killed.sqlite');
    const module = fileURLToPath(new URL('../../dist/tenant/store/sqlite-store.js', import.meta.url));
    const program = `
      import { SqliteStore } from ${JSON.stringify(module)};
      const store = new SqliteStore(${JSON.stringify(file)}, { initialFeatures: 1 });
      for (let batch = 0; ; batch++) {
        await store.applyUsers(Array.from({ length: 50 }, (_, i) => ({ kind: 'upsert', sourceAnchor: batch + '-' + i,
          attributes: { userPrincipalName: batch + '-' + i + '@phs.test' } })));
        process.stdout.write(batch + '\\n');
        await new Promise(setImmediate);
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    child.stdout.on('data', (chunk) => {
      printed += chunk;
      if (printed.split('\n').length > 40) child.kill('SIGKILL');
    });
    const [, signal] = await once(child, 'close');
    expect(signal).toBe('SIGKILL');
    const acknowledged = printed.split('\n').length - 1;
    const store = new SqliteStore(file, { initialFeatures: 1 });
    const { users } = await store.counts();
    expect(users % 50).toBe(0);
    expect(users).toBeGreaterThanOrEqual(acknowledged * 50);
    await store.close();
  });
});
