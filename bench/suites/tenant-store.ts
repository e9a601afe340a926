/**
 * The tenant's store on both databases: credentials over the provisioning wire into a tenant process, beside the same
 * rows inserted plainly; then size and lookup time of a large one.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import { createProvisioningClient } from '#src/provisioning/client.js';
import { createClientCredentials } from '#src/provisioning/client-credentials.js';
import type { CredentialChange, UserChange } from '#src/tenant/store/changes.js';
import { PostgresStore } from '#src/tenant/store/postgres-store.js';
import { SqliteStore } from '#src/tenant/store/sqlite-store.js';
import type { TenantStore } from '#src/tenant/store/store.js';
import { type GraphReads, graphReads } from '../graph-reads.js';
import { PostgresServer, postgresMissing } from '../postgres.js';
import { type Case, median, quantile, type SuiteOptions } from '../result.js';
import { usage, withTenant } from '../site.js';

const BATCH = 1000;
/** Requests under way: while the tenant writes one batch, the next one is read and decoded. */
const UNDER_WAY = 2;
/** The large store has so many times --users. */
const LARGE = 50;
const LOOKUPS = 5000;
const DOMAIN = 'bench.test';

type Kind = 'SQLite' | 'PostgreSQL';

/** Anchors as directories have them: 16 random bytes in base64. */
const newAnchors = (users: number) => Array.from({ length: users }, () => randomBytes(16).toString('base64'));

function* batches<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += BATCH) yield items.slice(at, at + BATCH);
}

/** Takes the items from one iterator, `UNDER_WAY` at a time. */
async function inFlight<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const shared = items[Symbol.iterator]();
  const lane = async () => {
    for (let next = shared.next(); !next.done; next = shared.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, lane));
}

interface Ingest {
  readonly perSecond: number;
  readonly tenantCpuMicroseconds: number;
}

/** Users first, outside of the time; then a credential for each of them. */
function ingest(users: number, url: string | undefined): Promise<Ingest> {
  const store = url === undefined ? undefined : '{ type: postgres, url: { env: PHSYNC_BENCH_DATABASE } }';
  const env: Record<string, string> = url === undefined ? {} : { PHSYNC_BENCH_DATABASE: url };
  return withTenant(
    DOMAIN,
    env,
    async ({ pid, url: origin, tokenUrl, ca, agent }) => {
      const tokens = createClientCredentials({ tokenUrl, ca, ...agent });
      const client = createProvisioningClient({
        url: `${origin}/provisioningservice.svc`,
        ca,
        token: (force) => tokens.token(force),
      });
      try {
        const anchors = newAnchors(users);
        let made = 0;
        await inFlight(batches(anchors), async (batch) => {
          const at = made;
          made += batch.length;
          await client.provisionAzureADSyncObjects(
            batch.map((anchor, i) => ({
              syncObjectType: 'User',
              syncOperation: 'Set' as const,
              propertyValues: new Map([
                ['SourceAnchor', anchor],
                ['userPrincipalName', `user${at + i}@${DOMAIN}`],
                ['displayName', `User ${at + i}`],
              ]),
            })),
          );
        });
        // Made before the time: this process takes of the two cores what it must, encoding and TLS.
        const items = [...batches(anchors)].map((batch) =>
          batch.map((sourceAnchor) => ({
            changeDate: new Date(1_700_000_000_000),
            cloudAnchor: undefined,
            credentialData: `v1;PPH1_MD4,${randomBytes(10).toString('hex')},1000,${randomBytes(32).toString('hex')};`,
            forcePasswordChangeOnLogon: false,
            sourceAnchor,
            windowsLegacyCredentials: undefined,
            windowsSupplementalCredentials: undefined,
          })),
        );
        const cpu = usage(pid)!.cpuSeconds;
        const began = performance.now();
        await inFlight(items, async (batch) => {
          const results = await client.provisionCredentials(batch);
          if (results.some(({ result }) => result !== 0)) throw new Error('a credential was not stored');
        });
        const seconds = (performance.now() - began) / 1000;
        return {
          perSecond: users / seconds,
          tenantCpuMicroseconds: ((usage(pid)!.cpuSeconds - cpu) * 1e6) / users,
        };
      } finally {
        await client.close();
        await tokens.close();
      }
    },
    store,
  );
}

const plainRow = (i: number) => [i + 1, randomBytes(10), 1000, randomBytes(32), 1_700_000_000_000, 0] as const;

/** The same rows and batches, as durable, with nothing looked up or decided. */
function plainSqlite(users: number): number {
  const directory = mkdtempSync(join(tmpdir(), 'phsync-bench-'));
  const database = new Database(join(directory, 'plain.sqlite'));
  try {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.exec(
      'CREATE TABLE plain (user_id INTEGER PRIMARY KEY, salt BLOB, iterations INTEGER, hash BLOB, change_date INTEGER, force_change INTEGER)',
    );
    const insert = database.prepare('INSERT INTO plain VALUES (?, ?, ?, ?, ?, ?)');
    const all = [...batches(Array.from({ length: users }, (_, i) => plainRow(i)))];
    const began = performance.now();
    const store = database.transaction((batch: (typeof all)[number]) => {
      for (const row of batch) insert.run(row);
    });
    for (const batch of all) store(batch);
    return users / ((performance.now() - began) / 1000);
  } finally {
    database.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function plainPostgres(users: number, url: string): Promise<number> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query(
      'CREATE TABLE plain (user_id bigint PRIMARY KEY, salt bytea, iterations bigint, hash bytea, change_date bigint, force_change bigint)',
    );
    const text = `INSERT INTO plain SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bigint[])`;
    const all = [...batches(Array.from({ length: users }, (_, i) => plainRow(i)))];
    const began = performance.now();
    for (const batch of all) {
      await client.query({
        name: 'plain',
        text,
        values: [0, 1, 2, 3, 4, 5].map((column) => batch.map((row) => row[column])),
      });
    }
    return users / ((performance.now() - began) / 1000);
  } finally {
    await client.end();
  }
}

function toUser(sourceAnchor: string, i: number): UserChange {
  const name = `user${i}`;
  return {
    kind: 'upsert',
    sourceAnchor,
    attributes: {
      ...{ userPrincipalName: `${name}@${DOMAIN}`, displayName: `User ${i}`, givenName: 'User', surname: `${i}` },
      ...{ mail: `${name}@${DOMAIN}`, accountEnabled: true, onPremisesSamAccountName: name, netBiosName: 'BENCH' },
      ...{ onPremisesDistinguishedName: `CN=${name},OU=People,DC=bench,DC=test`, dnsDomainName: DOMAIN },
      ...{ onPremisesSecurityIdentifier: randomBytes(28), lastPasswordChange: new Date(1_700_000_000_000) },
    },
  };
}
const toCredential = (sourceAnchor: string): CredentialChange => ({
  ...{ sourceAnchor, objectId: undefined, changeDate: new Date(1_700_000_000_000), salt: randomBytes(10) },
  ...{ iterations: 1000, hash: randomBytes(32), forcePasswordChangeOnLogon: false },
});

interface Large {
  readonly firstTenth: number;
  readonly lastTenth: number;
  readonly perSecond: number;
  readonly lookups: readonly number[];
  readonly reads: GraphReads;
}

/** Users and credentials straight into the store, all attributes as an agent sends them; then looks people up. */
async function fill(store: TenantStore, users: number): Promise<Large> {
  const seconds: number[] = [];
  let at = 0;
  for (const anchors of batches(newAnchors(users))) {
    const changes = anchors.map((anchor, i) => toUser(anchor, at + i));
    const credentials = anchors.map(toCredential);
    at += anchors.length;
    const began = performance.now();
    await store.applyUsers(changes);
    await store.applyCredentials(credentials, { disableExpiration: true, actor: 'agent-1' });
    seconds.push((performance.now() - began) / 1000);
  }
  const lookups: number[] = [];
  for (let i = 0; i < LOOKUPS; i++) {
    const name = `User${Math.floor((i * 7919 * users) / LOOKUPS) % users}@${DOMAIN}`;
    const began = performance.now();
    const user = await store.findSignInUser(name);
    lookups.push((performance.now() - began) * 1000);
    if (user?.credential === undefined) throw new Error(`${name} was not found`);
  }
  const tenth = Math.max(1, Math.floor(seconds.length / 10));
  return {
    firstTenth: median(seconds.slice(0, tenth)),
    lastTenth: median(seconds.slice(-tenth)),
    perSecond: users / seconds.reduce((sum, each) => sum + each, 0),
    lookups,
    reads: await graphReads(store, users),
  };
}

async function large(users: number, server: PostgresServer | undefined): Promise<Large & { bytes: number }> {
  if (server === undefined) {
    const directory = mkdtempSync(join(tmpdir(), 'phsync-bench-'));
    const file = join(directory, 'tenant.sqlite');
    try {
      const store = new SqliteStore(file, { initialFeatures: 1 });
      const filled = await fill(store, users).finally(() => store.close());
      return { ...filled, bytes: statSync(file).size };
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  const url = await server.createDatabase();
  try {
    const store = await PostgresStore.open({ url, maxConnections: 2, initialFeatures: 1 });
    const filled = await fill(store, users).finally(() => store.close());
    return { ...filled, bytes: await server.databaseSize(url) };
  } finally {
    await server.dropDatabase(url);
  }
}

async function ofKind(kind: Kind, server: PostgresServer | undefined, options: SuiteOptions): Promise<Case[]> {
  const { users, rounds, say } = options;
  const wire: Ingest[] = [];
  const plain: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const urls = server === undefined ? [] : [await server.createDatabase(), await server.createDatabase()];
    const insert = () => (urls[1] === undefined ? plainSqlite(users) : plainPostgres(users, urls[1]));
    // In turn, so that neither is always the first.
    if (round % 2 === 0) plain.push(await insert());
    wire.push(await ingest(users, urls[0]));
    if (round % 2 === 1) plain.push(await insert());
    for (const url of urls) await server!.dropDatabase(url);
    const [is, was] = [wire.at(-1)!, plain.at(-1)!];
    say(
      `${kind}, round ${round + 1} of ${rounds}: ${Math.round(is.perSecond)} credentials/s over the wire (${is.tenantCpuMicroseconds.toFixed(1)} µs of the tenant's CPU each), ${Math.round(was)}/s plain`,
    );
  }
  const many = users * LARGE;
  const filled = await large(many, server);
  const { lookups, bytes, reads } = filled;
  say(
    `${kind}, ${many} users: ${(bytes / many).toFixed(0)} bytes a user, lookup ${median(lookups).toFixed(0)} µs (p99 ${quantile(lookups, 0.99).toFixed(0)} µs); Graph's reads up to ${reads.slowestMilliseconds.toFixed(0)} ms, the event loop held up for ${reads.longestStallMilliseconds.toFixed(1)} ms`,
  );
  const rates = wire.map(({ perSecond }) => perSecond);
  const reference = `plain rows into ${kind}`;
  const common = { kernel: undefined, threads: 1 } as const;
  return [
    { ...common, name: reference, perSecond: median(plain), ratios: {}, samples: plain },
    {
      ...common,
      name: `credentials over the wire into ${kind}`,
      perSecond: median(rates),
      ratios: { [reference]: median(rates.map((rate, round) => rate / plain[round]!)) },
      samples: rates,
      reference,
      more: { tenantCpuMicrosecondsPerCredential: median(wire.map((each) => each.tenantCpuMicroseconds)) },
    },
    {
      ...common,
      name: `${many} users and credentials straight into ${kind}`,
      perSecond: filled.perSecond,
      ratios: {},
      samples: [filled.perSecond],
      more: {
        bytesPerUser: bytes / many,
        lookupMedianMicroseconds: median(lookups),
        lookupP99Microseconds: quantile(lookups, 0.99),
        graphReadsLongestStallMilliseconds: reads.longestStallMilliseconds,
        graphReadsSlowestMilliseconds: reads.slowestMilliseconds,
        timePerUserOfTheLastTenthToTheFirst: filled.lastTenth / filled.firstTenth,
      },
    },
  ];
}

export async function tenantStore(options: SuiteOptions): Promise<Case[]> {
  const cases = await ofKind('SQLite', undefined, options);
  if (postgresMissing !== undefined) {
    options.say(`without PostgreSQL: ${postgresMissing}`);
    return cases;
  }
  const server = await PostgresServer.start();
  try {
    return [...cases, ...(await ofKind('PostgreSQL', server, options))];
  } finally {
    await server.remove();
  }
}
