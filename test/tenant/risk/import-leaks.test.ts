/** "If any of these pairs match those of our users, the associated account is moved to high risk." */

import { pbkdf2Sync } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { pino } from 'pino';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEntry } from '#src/tenant/audit/types.js';
import { storeReset } from '#src/tenant/passwords/cloud-credentials.js';
import { type ImportLeaksOptions, importLeaks } from '#src/tenant/risk/import-leaks.js';
import { RiskStore } from '#src/tenant/risk/risk-store.js';
import type { SqliteStore } from '#src/tenant/store/sqlite-store.js';
import { setFeatures } from '../features.js';
import { temporaryDirectory, testHasher, vectors } from '../harness.js';
import { openSqlite } from '../open-sqlite.js';

const hasher = testHasher();
afterAll(() => hasher.close());

const SYNC = { disableExpiration: true, actor: 'agent-1' } as const;
const START = new Date('2026-03-01T00:00:00Z');
/** Published credentials of three passwords. */
const known = ['Pa$$w0rd', 'P@ssw0rd!', 'Příliš žluťoučký kůň 🐎'].map(
  (text) => vectors.find(({ password, iterations }) => password === text && iterations === 1000)!,
);
/** As old clients sent it: node:crypto's PBKDF2 of a published NT hash. */
const old = {
  ...known[0]!,
  iterations: 100,
  hash: pbkdf2Sync(
    Buffer.from(known[0]!.ntHash.toUpperCase(), 'utf16le'),
    Buffer.from(known[0]!.salt, 'hex'),
    100,
    32,
    'sha256',
  ).toString('hex'),
};

describe('leaks import', () => {
  let store: SqliteStore;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let now = START;
  let audited: AuditEntry[];
  let logged: string;
  beforeEach(async () => {
    now = START;
    audited = [];
    logged = '';
    directory = await temporaryDirectory();
    store = openSqlite(directory.path, () => now);
    await store.applyUsers(
      [...known, old].map((_, i) => ({
        kind: 'upsert',
        sourceAnchor: `anchor-${i}`,
        attributes: { userPrincipalName: `User${i}@phs.test`, accountEnabled: true },
      })),
    );
    await sync([...known, old].map((vector, i) => ({ i, vector })));
  });
  afterEach(async () => {
    await store.close();
    await directory.remove();
  });

  function sync(items: readonly { readonly i: number; readonly vector: (typeof vectors)[number] }[], changeDate = now) {
    return store.applyCredentials(
      items.map(({ i, vector }) => ({
        sourceAnchor: `anchor-${i}`,
        objectId: undefined,
        changeDate,
        salt: Buffer.from(vector.salt, 'hex'),
        iterations: vector.iterations,
        hash: Buffer.from(vector.hash, 'hex'),
        forcePasswordChangeOnLogon: false,
      })),
      SYNC,
    );
  }
  function run(lines: readonly object[], more: Partial<ImportLeaksOptions> = {}) {
    const log = pino(
      { level: 'trace' },
      new Writable({
        write(chunk, _, done) {
          logged += String(chunk);
          done();
        },
      }),
    );
    return importLeaks({
      input: Readable.from([lines.map((line) => `${JSON.stringify(line)}\n`).join('')]),
      format: 'jsonl',
      delimiter: ',',
      risks: new RiskStore(store.database, () => now),
      hasher,
      audit: { record: async (entry) => void audited.push(entry) },
      log,
      actor: 'phsync leaks import',
      ...more,
    });
  }
  const risks = () => store.database.run((queries) => queries.selectFrom('risky_users').selectAll().execute());
  const events = () => store.database.run((queries) => queries.selectFrom('risk_events').selectAll().execute());
  const pairOf = (i: number, vector: { readonly password: string }) => ({
    name: `user${i}@PHS.test`,
    password: vector.password,
  });

  it('moves the account to high risk, once, with an event and an audit entry', async () => {
    const lines = [
      pairOf(0, known[0]!),
      pairOf(1, known[0]!),
      pairOf(3, old),
      { name: 'nobody@phs.test', password: 'x' },
    ];
    expect(await run(lines)).toEqual({
      pairs: 4,
      badLines: 0,
      unknown: 1,
      beforeSync: 0,
      checked: 3,
      matched: 2,
      atRisk: 2,
    });
    expect(await risks()).toMatchObject([
      { user_id: 1, risk_level: 'high', risk_state: 'atRisk' },
      { user_id: 4, risk_level: 'high', risk_state: 'atRisk' },
    ]);
    expect(audited.map(({ target }) => target.name)).toEqual(['User0@phs.test', 'User3@phs.test']);
    expect(await run(lines)).toMatchObject({ matched: 2, atRisk: 0 });
    expect(await events()).toHaveLength(2);
  });

  it('"Only new leaked credentials found after you enable PHS will be processed against your tenant."', async () => {
    const before = { ...pairOf(0, known[0]!), found: '2026-02-28T23:59:59Z' };
    expect(await run([before])).toMatchObject({ beforeSync: 1, checked: 0, atRisk: 0 });
    const after = { ...pairOf(0, known[0]!), found: '2026-03-01T00:00:00Z' };
    expect(await run([after])).toMatchObject({ beforeSync: 0, checked: 1, atRisk: 1 });
  });

  it('checks nothing while password hash synchronization is off, and counts anew from when it is on again', async () => {
    await setFeatures(store, 0, now);
    await expect(run([pairOf(0, known[0]!)])).rejects.toMatchObject({ code: 'leaks-sync-off' });
    now = new Date('2026-03-05T00:00:00Z');
    await setFeatures(store, 1, now);
    expect(await run([{ ...pairOf(0, known[0]!), found: '2026-03-04T00:00:00Z' }])).toMatchObject({ beforeSync: 1 });
    expect(await run([pairOf(0, known[0]!)])).toMatchObject({ atRisk: 1 });
  });

  it('a password change clears it; the same password sent again does not', async () => {
    await run([pairOf(0, known[0]!)]);
    await sync([{ i: 0, vector: known[0]! }], START);
    expect(await risks()).toMatchObject([{ risk_level: 'high', risk_state: 'atRisk' }]);
    await sync([{ i: 0, vector: known[1]! }], new Date('2026-03-01T00:00:01Z'));
    expect(await risks()).toMatchObject([
      { risk_level: 'none', risk_state: 'remediated', risk_detail: 'userChangedPasswordOnPremises' },
    ]);
    expect(await run([pairOf(0, known[0]!)])).toMatchObject({ checked: 1, atRisk: 0 });
    expect(await run([pairOf(0, known[1]!)])).toMatchObject({ atRisk: 1 });
  });

  it('a password that an administrator resets clears it, also where the domain controller that set the leaked one is ahead', async () => {
    await sync([{ i: 0, vector: known[1]! }], new Date(now.getTime() + 60_000));
    expect(await run([pairOf(0, known[1]!)])).toMatchObject({ atRisk: 1 });
    const ntHash = hasher.ntHash('An0ther.Secret');
    const credential = await hasher.derive(ntHash);
    await store.database.transaction((queries) =>
      storeReset(queries, { userId: 1, credential, forceChange: false, actor: 'admin', at: now }),
    );
    expect(await risks()).toMatchObject([
      { risk_level: 'none', risk_state: 'remediated', risk_detail: 'adminGeneratedTemporaryPassword' },
    ]);
  });

  it('does not put a user at risk whose password changes while the leaked one is hashed', async () => {
    const slow: ImportLeaksOptions['hasher'] = {
      ntHashBatch: (passwords) => hasher.ntHashBatch(passwords),
      async deriveBatch(input) {
        await sync([{ i: 0, vector: known[1]! }], new Date('2026-03-01T00:00:01Z'));
        return hasher.deriveBatch(input);
      },
    };
    expect(await run([pairOf(0, known[0]!)], { hasher: slow })).toMatchObject({ matched: 1, atRisk: 0 });
    expect(await risks()).toEqual([]);
  });

  it('goes on past bad lines and leaves no password in log, audit or database', async () => {
    const bad: number[] = [];
    const lines = [{ name: 'x' }, pairOf(0, known[0]!)];
    expect(await run(lines, { onBadLine: ({ line }) => bad.push(line) })).toMatchObject({ badLines: 1, atRisk: 1 });
    expect(bad).toEqual([1]);
    expect(logged).toContain('high risk');
    const dump = await store.database.run(async (queries) =>
      JSON.stringify([
        await queries.selectFrom('risk_events').selectAll().execute(),
        await queries.selectFrom('users').selectAll().execute(),
      ]),
    );
    for (const text of [logged, JSON.stringify(audited), dump]) expect(text).not.toContain(known[0]!.password);
  });
});
