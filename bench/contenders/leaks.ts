/** Leaked pairs tried on a tenant in SQLite: JSON lines, a tenth of whose names are users where `known` is not said. */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pino } from 'pino';
import { createHasher } from '#src/hasher/create-hasher.js';
import { INITIAL_FEATURES } from '#src/tenant/provisioning/operations.js';
import { importLeaks, type LeakCounts } from '#src/tenant/risk/import-leaks.js';
import { RiskStore } from '#src/tenant/risk/risk-store.js';
import { SqliteStore } from '#src/tenant/store/sqlite-store.js';
import type { Contender } from './contender.js';

const USERS = 50_000;
const BATCH = 2000;

const nameOf = (i: number) => `user${i}@lab.test`;

async function fill(store: SqliteStore): Promise<void> {
  for (let from = 0; from < USERS; from += BATCH) {
    const numbers = Array.from({ length: BATCH }, (_, i) => from + i);
    await store.applyUsers(
      numbers.map((i) => ({
        kind: 'upsert',
        sourceAnchor: String(i),
        attributes: { userPrincipalName: nameOf(i), accountEnabled: true },
      })),
    );
    await store.applyCredentials(
      numbers.map((i) => ({
        sourceAnchor: String(i),
        objectId: undefined,
        changeDate: new Date(),
        salt: randomBytes(10),
        iterations: 1000,
        hash: randomBytes(32),
        forcePasswordChangeOnLogon: false,
      })),
      { disableExpiration: true, actor: 'bench' },
    );
  }
}

/** `jobs` pairs a run. */
export async function leaks(mix: string, jobs: number): Promise<Contender> {
  const directory = mkdtempSync(join(tmpdir(), 'phsync-bench-'));
  const store = new SqliteStore(join(directory, 'tenant.sqlite'), { initialFeatures: INITIAL_FEATURES });
  await fill(store);
  const hasher = createHasher();
  const lines: Buffer[] = [];
  for (let i = 0; i < jobs; i++) {
    const known = mix === 'known' || i % 10 === 0;
    const name = known ? nameOf((i * 7919) % USERS) : `stranger${i}@elsewhere.test`;
    lines.push(Buffer.from(`${JSON.stringify({ name, password: `Passw0rd-${i}` })}\n`));
  }
  const text = Buffer.concat(lines);
  let counts: LeakCounts | undefined;
  return {
    jobs,
    async runAsync() {
      counts = await importLeaks({
        // As a file comes.
        input: Readable.from(pieces(text), { objectMode: false }),
        format: 'jsonl',
        delimiter: ',',
        risks: new RiskStore(store.database, () => new Date()),
        hasher,
        audit: { record: async () => {} },
        log: pino({ level: 'silent' }),
        actor: 'bench',
      });
    },
    check() {
      const checked = mix === 'known' ? jobs : Math.ceil(jobs / 10);
      if (counts?.pairs !== jobs || counts.checked !== checked || counts.matched !== 0) {
        throw new Error(`the import counted ${JSON.stringify(counts)}`);
      }
    },
    async close() {
      await hasher.close();
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
}

function* pieces(text: Buffer): Generator<Buffer> {
  for (let from = 0; from < text.length; from += 65_536) yield text.subarray(from, from + 65_536);
}
