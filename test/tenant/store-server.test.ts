/** The tenant server on each of its databases: what the wire stores signs in; a database that is away is said to be. */

import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { createProvisioningClient, type ProvisioningClient } from '#src/provisioning/client.js';
import { describePostgres } from '../postgres.js';
import {
  credentialText,
  startTestTenant,
  type TestTenant,
  temporaryDirectory,
  testHasher,
  vectors,
} from './harness.js';
import { describeStores } from './stores.js';

let hasher: Hasher;
beforeAll(() => {
  hasher = testHasher();
});
afterAll(() => hasher.close());

const user = (anchor: string, name: string) => ({
  syncObjectType: 'User',
  syncOperation: 'Set' as const,
  propertyValues: new Map([
    ['SourceAnchor', anchor],
    ['userPrincipalName', name],
  ]),
});
const credential = (sourceAnchor: string, changeDate: string, vector = vectors[0]!) => ({
  changeDate: new Date(changeDate),
  cloudAnchor: undefined,
  credentialData: credentialText(vector),
  forcePasswordChangeOnLogon: false,
  sourceAnchor,
  windowsLegacyCredentials: undefined,
  windowsSupplementalCredentials: undefined,
});
const clientOf = (tenant: TestTenant): ProvisioningClient =>
  createProvisioningClient({
    url: tenant.provisioningUrl,
    ca: readFileSync(tenant.caPath!),
    token: () => tenant.agentToken(),
  });

describeStores('two tenants on one database', (newSite) => {
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
  });

  it('sign in what either stored, and refuse an older password at either', async () => {
    const site = await newSite();
    const start = async () => {
      const tenant = await startTestTenant({ ...site.tenant, hasher });
      const client = clientOf(tenant);
      open.push(client, tenant);
      return { tenant, client };
    };
    const [one, two] = [await start(), await start()];
    expect(two.tenant.tenantId).toBe(one.tenant.tenantId);
    await one.client.provisionAzureADSyncObjects([user('a', 'Ann@phs.test')]);
    const newer = await two.client.provisionCredentials([credential('a', '2026-01-02T00:00:00Z')]);
    expect(newer.map(({ result }) => result)).toEqual([0]);
    const older = await one.client.provisionCredentials([credential('a', '2026-01-01T00:00:00Z', vectors[1]!)]);
    expect(older[0]?.result).not.toBe(0);
    for (const { tenant } of [one, two]) {
      expect((await tenant.signIn('ann@phs.test', vectors[0]!.password)).status).toBe(200);
      expect((await tenant.signIn('ann@phs.test', vectors[1]!.password)).status).toBe(400);
    }
  });
});

describePostgres('a PostgreSQL that goes away', (postgres) => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let url: string;
  beforeEach(async () => {
    directory = await temporaryDirectory();
    url = await postgres().createDatabase();
  });
  afterEach(() => directory.remove());
  const start = (databaseUrl: string) => startTestTenant({ stateDir: directory.path, databaseUrl, hasher });

  it('is busy while it is down, and the same tenant works when it is back', { timeout: 240_000 }, async () => {
    const tenant = await start(url);
    const client = clientOf(tenant);
    try {
      await client.provisionAzureADSyncObjects([user('a', 'ann@phs.test')]);
      await client.provisionCredentials([credential('a', '2026-01-02T00:00:00Z')]);
      const { json } = await tenant.signIn('ann@phs.test', vectors[0]!.password, { scope: 'openid offline_access' });
      const refresh = { grant_type: 'refresh_token', client_id: 'app', refresh_token: json.refresh_token };
      const underWay = tenant.store.database.transaction(async (db) => {
        await db.selectFrom('users').selectAll().execute();
        await postgres().crash();
        // Its connection ends while no query is on it: an event that nobody listens to would end the process.
        await setImmediate();
        await db.selectFrom('users').selectAll().execute();
      });
      await expect(underWay).rejects.toMatchObject({ code: 'store-busy' });
      await expect(tenant.store.applyUsers([{ kind: 'delete', sourceAnchor: 'a' }])).rejects.toMatchObject({
        code: 'store-busy',
      });
      await expect(
        tenant.store.database.run((db) => db.selectFrom('users').selectAll().execute()),
      ).rejects.toMatchObject({ code: 'store-busy' });
      const busy = { status: 503, json: { error: 'temporarily_unavailable' }, headers: { 'retry-after': '1' } };
      expect(await tenant.signIn('ann@phs.test', vectors[0]!.password)).toMatchObject(busy);
      expect(await tenant.token(refresh)).toMatchObject(busy);
      await expect(client.provisionCredentials([credential('a', '2026-01-02T00:00:00Z')])).rejects.toMatchObject({
        facts: { errorCode: '81' },
      });
      await postgres().start();
      expect((await tenant.signIn('ann@phs.test', vectors[0]!.password)).status).toBe(200);
      expect((await tenant.token(refresh)).status).toBe(200);
      expect(tenant.logText()).not.toContain(postgres().password);
    } finally {
      await postgres().start();
      await client.close();
      await tenant.close();
    }
  });

  it.each([
    ['where no server is', (given: string) => given.replace(/:\d+\//, ':1/'), 'store-open', 'ECONNREFUSED'],
    [
      'with a wrong password',
      (given: string) => given.replace(/:\w+@/, ':Wr0ng-Pa55@'),
      'store-open',
      'authentication failed',
    ],
    [
      'of a database that is not there',
      (given: string) => given.replace(/test\d+$/, 'nosuch'),
      'store-open',
      'does not exist',
    ],
    ['that is none', () => 'Wr0ng-Pa55', 'config-secret', 'expected postgres://user:password@host:port/database'],
    ['of another program', () => 'mysql://u:Wr0ng-Pa55@h/d', 'config-secret', 'expected postgres://'],
    ['without a database', (given: string) => given.replace(/test\d+$/, ''), 'config-secret', 'expected postgres://'],
  ])('refuses to start with a URL %s, and does not tell it', async (_what, change, code, words) => {
    const wrong = change(url);
    const error: unknown = await start(wrong).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
    const shown = `${inspect(error, { depth: 9, showHidden: true })}${JSON.stringify(error)}`;
    expect(shown).not.toContain(wrong);
    expect(shown).not.toMatch(/Wr0ng-Pa55/);
    expect(shown).not.toContain(postgres().password);
  });

  it('gives errors without the values of rows', async () => {
    const tenant = await start(url);
    try {
      await tenant.store.applyUsers([
        { kind: 'upsert', sourceAnchor: 'a', attributes: { userPrincipalName: 'ann@phs.test' } },
      ]);
      const salt = Buffer.from('c0ffee', 'hex');
      const change = { ...{ sourceAnchor: 'a', objectId: undefined, salt, iterations: 1000 }, changeDate: new Date(0) };
      const broken = { ...change, hash: undefined as unknown as Uint8Array, forcePasswordChangeOnLogon: false };
      const stored = tenant.store.applyCredentials([broken], { disableExpiration: true, actor: 'x' });
      const error: unknown = await stored.catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'store-failed', message: expect.stringContaining('violates not-null') });
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('c0ffee');
    } finally {
      await tenant.close();
    }
  });
});
