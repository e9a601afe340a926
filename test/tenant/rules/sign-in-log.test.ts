/** The sign-in log has each attempt once, wherever its writer dies: here after the commit and before the answer. */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { type SignInEntry, SignInLog } from '#src/tenant/sign-in/sign-in-log.js';
import { DATABASE_FILE } from '#src/tenant/state-dir.js';
import { PostgresStore } from '#src/tenant/store/postgres-store.js';
import { describePostgres } from '../../postgres.js';
import { temporaryDirectory } from '../harness.js';

const ENTRIES = 700;
const entry: Omit<SignInEntry, 'correlationId'> = {
  ...{ user: undefined, clientId: 'app', flow: 'password' as const, address: '192.0.2.1' },
  ...{ familiar: false, errorCode: 50034 },
};
const expected = Array.from({ length: ENTRIES }, (_, i) => `attempt ${i}`);

it('on SQLite, where the thread that writes it ends', async () => {
  const directory = await temporaryDirectory();
  const file = join(directory.path, DATABASE_FILE);
  const died = join(directory.path, 'died');
  const dist = (path: string) => new URL(`../../../dist/tenant/${path}`, import.meta.url).href;
  // A process of its own, since threads take what is preloaded from their process.
  const program = `(async () => {
    const { SqliteStore } = await import('${dist('store/sqlite-store.js')}');
    const { SignInLog } = await import('${dist('sign-in/sign-in-log.js')}');
    const store = new SqliteStore(${JSON.stringify(file)}, { initialFeatures: 1 });
    const places = { remember: async () => undefined };
    const log = new SignInLog(store.database, places, () => new Date(), require('pino')());
    for (let i = 0; i < ${ENTRIES}; i++) log.record({ ...${JSON.stringify(entry)}, correlationId: 'attempt ' + i });
    await log.flush();
    await log.close();
    await store.close();
  })();`;
  try {
    const preload = fileURLToPath(new URL('die-before-answer.cjs', import.meta.url));
    const said = execFileSync(process.execPath, ['--require', preload, '--eval', program], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      env: { ...process.env, DIED: died },
      encoding: 'utf8',
    });
    expect(existsSync(died)).toBe(true);
    expect(said).toContain('sign-in log not written; tried again');
    const database = new Database(file);
    expect(database.prepare('SELECT correlation_id FROM sign_ins ORDER BY id').pluck().all()).toEqual(expected);
    database.close();
  } finally {
    await directory.remove();
  }
});

describePostgres('on PostgreSQL, where the connection breaks', (postgres) => {
  it('has each attempt once', async () => {
    const url = new URL(await postgres().createDatabase());
    let cut = 0;
    // Between tenant and database: the first answer to an append goes nowhere, and the connection with it.
    const proxy = createServer((client: Socket) => {
      const server = connect(Number(url.port), url.hostname);
      let appending = false;
      client.on('data', (data) => {
        appending = cut === 0 && (appending || data.includes('append_sign_ins'));
        server.write(data);
      });
      server.on('data', (data) => {
        if (appending && data.includes('INSERT 0 300')) {
          cut++;
          client.destroy();
        } else client.write(data);
      });
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        one.on('error', () => undefined);
        one.on('close', () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as { port: number };
    const through = new URL(url);
    through.port = String(port);
    const store = await PostgresStore.open({ url: through.href, maxConnections: 2, initialFeatures: 1 });
    try {
      const { database } = store;
      const places = { remember: async () => undefined } as never;
      const log = new SignInLog(database, places, () => new Date(), pino({ level: 'silent' }));
      for (const correlationId of expected) log.record({ ...entry, correlationId });
      await log.flush();
      expect(cut).toBe(1);
      await log.close();
      const rows = await database.run((queries) =>
        queries.selectFrom('sign_ins').select('correlation_id').orderBy('id').execute(),
      );
      expect(rows.map(({ correlation_id }) => correlation_id)).toEqual(expected);
    } finally {
      await store.close();
      proxy.close();
    }
  });
});
