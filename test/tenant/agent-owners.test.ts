/** Users belong to the agent that brought them, where agents are kept apart (`agents[].domains`). On both stores, over the wire. */

import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { createProvisioningClient, type ProvisioningClient } from '#src/provisioning/client.js';
import { CredentialResult, type PropertyValue, type SyncOperation } from '#src/provisioning/types.js';
import { BATCH_LOCK } from '#src/tenant/store/postgres-users.js';
import {
  AGENT,
  credentialText,
  PROVISIONING_SCOPE,
  startTestTenant,
  type TestTenant,
  testHasher,
  vectors,
} from './harness.js';
import { describeStores, type StoreSite } from './stores.js';

const run = promisify(execFile);
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const [vector] = vectors;
const another = vectors.find(
  ({ password, iterations }) => password.length > 0 && password !== vector!.password && iterations === 1000,
)!;

const secret = { clientSecret: { env: 'AGENT_SECRET' } };
const CONTOSO = ['contoso.test', 'shared.test', 'ad.contoso.test'];
const EVIL = ['evil.test', 'shared.test', 'ad.evil.test'];
/** As the tenant's first start has them; agents not listed are unrestricted or none. */
const restricted = [
  { clientId: 'agent-1', ...secret },
  { clientId: 'contoso', ...secret, domains: CONTOSO },
  { clientId: 'contoso-staging', ...secret, domains: CONTOSO },
  { clientId: 'evil', ...secret, domains: EVIL },
];
const domains = ['contoso.test', 'shared.test', 'evil.test'].map((name) => ({ name }));

/** Lets no batch begin to write on PostgreSQL; `release` waits until so many wait for it. Nothing on SQLite, which runs one batch at a time. */
async function holdBatches(url: string | undefined): Promise<{ release(waiting: number): Promise<void> }> {
  if (url === undefined) return { release: async () => undefined };
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('SELECT pg_advisory_lock($1)', [BATCH_LOCK]);
  const waiters = async () => {
    const { rows } = await client.query(
      "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    return rows[0].n;
  };
  return {
    async release(waiting) {
      await expect.poll(waiters, { timeout: 10_000 }).toBe(waiting);
      await client.end();
    },
  };
}

describeStores('owners of users', (newSite) => {
  let hasher: Hasher;
  let site: StoreSite;
  let tenant: TestTenant;
  const clients = new Map<string, ProvisioningClient>();
  let anchors = 0;
  const newAnchor = () => Buffer.from(`anchor ${++anchors}`.padEnd(16, '.')).toString('base64');

  async function start(agents: readonly object[]): Promise<void> {
    await stop();
    tenant = await startTestTenant({ ...site.tenant, hasher, config: { agents, domains } });
  }
  async function stop(): Promise<void> {
    for (const client of clients.values()) await client.close();
    clients.clear();
    await tenant?.close();
  }
  beforeAll(async () => {
    hasher = testHasher();
    site = await newSite();
    await start(restricted);
  });
  afterAll(async () => {
    await stop();
    await hasher?.close();
  });

  const as = (clientId: string): ProvisioningClient => {
    const token = async () => {
      const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: AGENT.secret };
      return (await tenant.token({ ...form, scope: PROVISIONING_SCOPE })).json.access_token;
    };
    const made =
      clients.get(clientId) ??
      createProvisioningClient({ url: tenant.provisioningUrl, ca: readFileSync(tenant.caPath!), token });
    clients.set(clientId, made);
    return made;
  };
  type Values = Readonly<Record<string, PropertyValue>>;
  const objectOf = (SourceAnchor: string, values: Values, syncOperation: SyncOperation = 'Set') => ({
    syncObjectType: 'User',
    syncOperation,
    propertyValues: new Map<string, PropertyValue>(Object.entries({ SourceAnchor, ...values })),
  });
  const bring = async (agent: string, anchor: string, values: Values, operation: SyncOperation = 'Set') => {
    const [result] = await as(agent).provisionAzureADSyncObjects([objectOf(anchor, values, operation)]);
    return result!;
  };
  const userOf = (name: string, dnsDomainName?: string): Values => ({
    userPrincipalName: name,
    displayName: name,
    ...(dnsDomainName === undefined ? {} : { dnsDomainName }),
  });
  const password = async (agent: string, key: { sourceAnchor?: string; cloudAnchor?: string }, which = vector!) => {
    const item = {
      ...{ changeDate: new Date(), cloudAnchor: undefined, sourceAnchor: undefined, ...key },
      ...{ credentialData: credentialText(which), forcePasswordChangeOnLogon: false },
      ...{ windowsLegacyCredentials: undefined, windowsSupplementalCredentials: undefined },
    };
    return (await as(agent).provisionCredentials([item]))[0]!;
  };
  const signsIn = async (name: string, { password: text } = vector!) =>
    (await tenant.signIn(name, text)).json.access_token !== undefined;
  const ownerOf = async (anchor: string) => {
    const row = await tenant.store.database.run((queries) =>
      queries.selectFrom('users').select('owner').where('source_anchor', '=', anchor).executeTakeFirst(),
    );
    return row?.owner;
  };
  const stored = { resultCode: 'Success' };
  const refused = (words: string) => ({
    resultCode: 'IdentityDataValidationFailed',
    resultErrorDescription: expect.stringContaining(words),
  });

  async function handOver(...args: string[]): Promise<string> {
    return handOverAmong(restricted, ...args);
  }

  async function handOverAmong(agents: readonly object[], ...args: string[]): Promise<string> {
    const file = join(tenant.stateDir, 'tenant.yaml');
    const { tenant: place } = site;
    writeFileSync(
      file,
      JSON.stringify({
        ...{ stateDir: '.', listen: { host: '127.0.0.1', port: 0 }, agents, domains },
        ...(place.databaseUrl === undefined ? {} : { store: { type: 'postgres', url: { env: 'DATABASE_URL' } } }),
      }),
    );
    const env = { ...process.env, DATABASE_URL: place.databaseUrl, AGENT_SECRET: AGENT.secret };
    const all = [main, 'tenant', 'hand-over', '--config', file, ...args];
    return (await run(process.execPath, all, { env })).stdout;
  }

  it('an anchor that another agent brought first is not taken over, neither by its name nor with its password', async () => {
    const anchor = newAnchor();
    expect(await bring('evil', anchor, userOf('victim@evil.test', 'ad.evil.test'))).toMatchObject(stored);
    expect((await password('evil', { sourceAnchor: anchor })).result).toBe(CredentialResult.success);
    expect(await ownerOf(anchor)).toBe('evil');
    // The agent of the directory, which is told whose it is, and so is who runs the tenant.
    const theirs = userOf('victim@contoso.test', 'ad.contoso.test');
    expect(await bring('contoso', anchor, theirs)).toMatchObject(refused('belongs to the agent evil'));
    // One for all domains may write what is evil's, and not make a user of its own of it.
    expect(await bring('agent-1', anchor, theirs)).toMatchObject(
      refused('belongs to the agent evil, which did not bring it for the domain contoso.test'),
    );
    expect(await signsIn('victim@contoso.test')).toBe(false);
    expect(await signsIn('victim@evil.test')).toBe(true);
    const said = tenant
      .logText()
      .split('\n')
      .filter((line) => line.includes('belong to another agent'))
      .map((line) => JSON.parse(line));
    expect(said.map(({ clientId, users }) => [clientId, users])).toEqual([
      ['contoso', [{ sourceAnchor: anchor, owner: 'evil', domain: 'evil.test' }]],
      ['agent-1', [{ sourceAnchor: anchor, owner: 'evil', domain: 'contoso.test' }]],
    ]);
    expect(await bring('agent-1', anchor, { displayName: 'Victim' })).toMatchObject(stored);
    expect(await bring('evil', anchor, { displayName: 'Again' })).toMatchObject(stored);
  });

  it('nor where both may act for its name, and no directory was told', async () => {
    const anchor = newAnchor();
    expect(await bring('evil', anchor, userOf('second@shared.test'))).toMatchObject(stored);
    expect((await password('evil', { sourceAnchor: anchor })).result).toBe(CredentialResult.success);
    const theirs = userOf('second@shared.test', 'ad.contoso.test');
    expect(await bring('contoso', anchor, theirs)).toMatchObject(
      refused('belongs to the agent evil; phsync tenant hand-over'),
    );
    expect(await bring('agent-1', anchor, theirs)).toMatchObject(refused('for the domain ad.contoso.test'));
    expect(await bring('contoso', anchor, {}, 'Delete')).toMatchObject(refused('belongs to the agent evil'));
    // Deleted, it is evil's all the same: it would come back as it was.
    expect(await bring('evil', anchor, {}, 'Delete')).toMatchObject(stored);
    expect(await bring('contoso', anchor, theirs)).toMatchObject(refused('belongs to the agent evil'));
  });

  it('nor is a user changed, deleted or given a password who belongs to another agent of the same domain', async () => {
    const anchor = newAnchor();
    const { cloudAnchor } = await bring('contoso', anchor, userOf('ann@shared.test'));
    expect((await password('contoso', { sourceAnchor: anchor })).result).toBe(CredentialResult.success);
    for (const [values, operation] of [
      [userOf('mine@shared.test'), 'Set'],
      [{ accountEnabled: false }, 'Set'],
      [{}, 'Delete'],
    ] as const) {
      expect(await bring('evil', anchor, values, operation)).toMatchObject(refused('belongs to the agent contoso'));
    }
    for (const key of [{ sourceAnchor: anchor }, { cloudAnchor: cloudAnchor! }]) {
      expect(await password('evil', key, another)).toMatchObject({
        result: CredentialResult.temporaryFailure,
        extendedErrorInformation: 'The user belongs to the agent contoso; phsync tenant hand-over gives it to another.',
      });
    }
    expect(await signsIn('ann@shared.test')).toBe(true);
    // The others of a batch are not touched by it.
    const batch = [objectOf(anchor, userOf('x@shared.test')), objectOf(newAnchor(), userOf('y@shared.test'))];
    const results = await as('evil').provisionAzureADSyncObjects(batch);
    expect(results.map(({ resultCode }) => resultCode)).toEqual(['IdentityDataValidationFailed', 'Success']);
    expect(await signsIn('ann@shared.test')).toBe(true);
  });

  it('a second agent of the same domains writes what the first does, and takes its users nowhere else', async () => {
    const anchor = newAnchor();
    expect(await bring('contoso', anchor, userOf('bob@contoso.test', 'ad.contoso.test'))).toMatchObject(stored);
    expect(await bring('contoso-staging', anchor, userOf('bob@shared.test'))).toMatchObject(stored);
    expect((await password('contoso-staging', { sourceAnchor: anchor })).result).toBe(CredentialResult.success);
    expect(await signsIn('bob@shared.test')).toBe(true);
    expect(await ownerOf(anchor)).toBe('contoso');
    expect(await bring('contoso', anchor, { displayName: 'Bob' })).toMatchObject(stored);
  });

  it('a user of nobody, as from before there were owners, belongs to who brings it with its name', async () => {
    const anchor = newAnchor();
    expect(await bring('agent-1', anchor, userOf('old@shared.test'))).toMatchObject(stored);
    expect(await ownerOf(anchor)).toBeNull();
    expect(await bring('contoso', anchor, { displayName: 'Old' })).toMatchObject(stored);
    expect(await ownerOf(anchor)).toBeNull();
    expect(await bring('contoso', anchor, userOf('old@shared.test', 'ad.contoso.test'))).toMatchObject(stored);
    expect(await ownerOf(anchor)).toBe('contoso');
    expect(await bring('evil', anchor, { displayName: 'Mine' })).toMatchObject(refused('ad.contoso.test'));
    expect(await bring('agent-1', anchor, userOf('old@contoso.test'))).toMatchObject(stored);
  });

  it('two agents that bring the same anchor at the same time do not both have it', async () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({ anchor: newAnchor(), name: `race${i}` }));
    const all = (agent: string, domain: string) =>
      as(agent).provisionAzureADSyncObjects(
        rows.map(({ anchor, name }) => objectOf(anchor, userOf(`${name}-${agent}@shared.test`, domain))),
      );
    await Promise.all([as('contoso').getCompanyConfiguration(), as('evil').getCompanyConfiguration()]);
    // On PostgreSQL both batches stand before their first look when they are let go.
    const held = await holdBatches(site.tenant.databaseUrl);
    const both = [all('contoso', 'ad.contoso.test'), all('evil', 'ad.evil.test')] as const;
    await held.release(both.length);
    const [ours, theirs] = await Promise.all(both);
    for (const [i, { anchor, name }] of rows.entries()) {
      const codes = [ours[i]!.resultCode, theirs[i]!.resultCode];
      expect([...codes].sort()).toEqual(['IdentityDataValidationFailed', 'Success']);
      const owner = codes[0] === 'Success' ? 'contoso' : 'evil';
      expect(await ownerOf(anchor)).toBe(owner);
      expect(await tenant.store.findSignInUser(`${name}-${owner}@shared.test`)).toBeDefined();
    }
  });

  it('phsync tenant hand-over gives an anchor to the right agent, with nothing of what was put there', async () => {
    const anchor = newAnchor();
    const { cloudAnchor } = await bring('evil', anchor, userOf('third@evil.test'));
    expect((await password('evil', { sourceAnchor: anchor })).result).toBe(CredentialResult.success);
    expect(await handOver('--anchor', anchor, '--to', 'contoso')).toBe(
      `third@evil.test of evil is deleted; what contoso brings with the source anchor ${anchor} is a new user\n`,
    );
    expect(await signsIn('third@evil.test')).toBe(false);
    // Evil does not get it back, though it is the first to ask.
    expect(await bring('evil', anchor, userOf('third@evil.test'))).toMatchObject(
      refused('belongs to the agent contoso'),
    );
    expect((await password('evil', { cloudAnchor: cloudAnchor! })).result).not.toBe(CredentialResult.success);
    const made = await bring('contoso', anchor, userOf('third@contoso.test', 'ad.contoso.test'));
    expect(made).toMatchObject(stored);
    expect(made.cloudAnchor).not.toBe(cloudAnchor);
    expect(await signsIn('third@contoso.test')).toBe(false);
    expect((await password('contoso', { sourceAnchor: anchor }, another)).result).toBe(CredentialResult.success);
    expect(await signsIn('third@contoso.test', another)).toBe(true);
    expect(await handOver('--anchor', anchor, '--to', 'contoso')).toBe(
      'third@contoso.test belongs to contoso already\n',
    );
    expect(await signsIn('third@contoso.test', another)).toBe(true);
    const audit = await tenant.store.database.run((queries) =>
      queries.selectFrom('audit_events').selectAll().where('activity', '=', 'Hand over user').execute(),
    );
    expect(audit).toHaveLength(1);
    expect(JSON.parse(audit[0]!.details)).toEqual({ sourceAnchor: anchor, owner: { old: 'evil', new: 'contoso' } });
    await expect(handOver('--anchor', 'nobody', '--to', 'contoso')).rejects.toMatchObject({
      stderr: expect.stringContaining('no user of this tenant has the source anchor nobody'),
    });
    await expect(handOver('--anchor', anchor, '--to', 'stranger')).rejects.toMatchObject({
      stderr: expect.stringContaining('stranger is no agent of tenant.yaml, which has agent-1, contoso'),
    });
    await expect(handOver('--to', 'contoso')).rejects.toMatchObject({
      stderr: expect.stringContaining('--anchor or --of'),
    });
  });

  it('an agent that replaces another has its users with the same domains, and moves them with a handover', async () => {
    const [stays, moves] = [newAnchor(), newAnchor()];
    for (const [anchor, name] of [
      [stays, 'stays@evil.test'],
      [moves, 'moves@evil.test'],
    ] as const) {
      expect(await bring('evil', anchor, userOf(name, 'ad.evil.test'))).toMatchObject(stored);
      expect((await password('evil', { sourceAnchor: anchor })).result).toBe(CredentialResult.success);
    }
    const next = { clientId: 'evil-next', ...secret, domains: EVIL };
    await start([...restricted.filter(({ clientId }) => clientId !== 'evil'), next]);
    // A change of domain by whom it did not belong to yet may be a change of person as well.
    expect(await bring('evil-next', moves, userOf('moved@shared.test', 'ad.evil.test'))).toMatchObject(
      refused('belongs to the agent evil, which did not bring it for the domain shared.test'),
    );
    expect(await bring('evil-next', stays, userOf('stays@evil.test', 'ad.evil.test'))).toMatchObject(stored);
    expect(await ownerOf(stays)).toBe('evil-next');
    expect(await bring('evil-next', stays, userOf('stays@shared.test', 'ad.evil.test'))).toMatchObject(stored);
    expect(await signsIn('stays@shared.test')).toBe(true);
    const both = [...restricted, { clientId: 'heir', ...secret, domains: [...CONTOSO, ...EVIL] }];
    expect(await handOverAmong(both, '--of', 'evil', '--to', 'heir')).toMatch(
      /^\d+ users of evil now belong to heir, as they are\n$/,
    );
    expect(await handOver('--of', 'heir', '--to', 'agent-1', '--json')).toMatch(/"to":"agent-1","users":\d+/);
    expect(await ownerOf(moves)).toBe('agent-1');
  });

  it('are not handed over to an agent that may not act for them, nor from one that has none', async () => {
    const agents = [
      { clientId: 'one', ...secret, domains: ['contoso.test', 'ad.contoso.test'] },
      { clientId: 'two', ...secret, domains: ['shared.test'] },
      { clientId: 'both', ...secret, domains: ['contoso.test', 'ad.contoso.test', 'shared.test'] },
    ];
    await start(agents);
    const among = (...args: string[]) => handOverAmong(agents, ...args);
    const told = (stderr: string, code = 3) => ({ code, stdout: '', stderr: expect.stringContaining(stderr) });
    const standing = () =>
      tenant.store.database.run(async (queries) => ({
        users: await queries.selectFrom('users').selectAll().orderBy('id').execute(),
        audit: await queries.selectFrom('audit_events').select('id').orderBy('id').execute(),
      }));
    await tenant.store.database.run((queries) => queries.updateTable('users').set({ owner: null }).execute());
    await expect(among('--of', 'one', '--to', 'two')).rejects.toMatchObject(
      told('no user belongs to one; nor to another agent'),
    );

    const [first, second, gone] = [newAnchor(), newAnchor(), newAnchor()];
    expect(await bring('one', first, userOf('first@Contoso.test', 'AD.contoso.test'))).toMatchObject(stored);
    const before = await standing();
    await expect(among('--of', 'one', '--to', 'two')).rejects.toMatchObject(
      told(
        '1 user of one is of ad.contoso.test, contoso.test, for which two may not act: give it these domains too ' +
          '(agents[].domains, restart), hand over, and take them away when two has written the user\n',
      ),
    );
    expect(await bring('one', first, userOf('first@contoso.test', 'contoso.test'))).toMatchObject(stored);
    expect(await bring('one', second, userOf('second@contoso.test'))).toMatchObject(stored);
    expect(await bring('one', gone, userOf('gone@contoso.test'))).toMatchObject(stored);
    expect(await bring('one', gone, {}, 'Delete')).toMatchObject(stored);
    expect((await standing()).audit).toEqual(before.audit);
    const all = await standing();
    await expect(among('--of', 'one', '--to', 'two')).rejects.toMatchObject(
      told(
        '3 users of one are of contoso.test, for which two may not act: give it that domain too ' +
          '(agents[].domains, restart), hand over, and take it away when two has written them\n',
      ),
    );
    await expect(among('--of', 'One', '--to', 'both')).rejects.toMatchObject(
      told('no user belongs to One; agents with users: one (3)\n'),
    );
    await expect(among('--of', 'one', '--to', 'one')).rejects.toMatchObject(
      told('--of and --to are the same agent', 2),
    );
    expect(await standing()).toEqual(all);

    // As the refusal says: the domain is given, and taken away once its new owner has written them where it may act.
    const given = agents.map((agent) => (agent.clientId === 'two' ? { ...agent, domains: [...CONTOSO] } : agent));
    await start(given);
    expect(await handOverAmong(given, '--of', 'one', '--to', 'two')).toBe(
      '3 users of one now belong to two, as they are\n',
    );
    expect(await bring('two', first, userOf('first@shared.test', 'shared.test'))).toMatchObject(stored);
    await start(agents);
    expect(await bring('two', first, { displayName: 'First' })).toMatchObject(stored);
    expect(await bring('two', second, { displayName: 'Second' })).toMatchObject(refused('contoso.test'));
  });

  it('an anchor that is kept for its new owner is no user to anybody', async () => {
    const agents = [
      { clientId: 'one', ...secret, domains: ['contoso.test'] },
      { clientId: 'two', ...secret, domains: ['shared.test'] },
      { clientId: 'three', ...secret, domains: ['evil.test'] },
    ];
    await start(agents);
    const among = (...args: string[]) => handOverAmong(agents, ...args);
    await tenant.store.database.run((queries) => queries.updateTable('users').set({ owner: null }).execute());
    const anchor = newAnchor();
    expect(await bring('one', anchor, userOf('kept@contoso.test'))).toMatchObject(stored);
    await among('--anchor', anchor, '--to', 'two');
    const again = ['--anchor', anchor, '--to', 'two'];
    expect(await among(...again)).toBe('the source anchor is kept for two, which has not brought it yet\n');
    expect(JSON.parse(await among(...again, '--json'))).toMatchObject({
      ...{ from: 'two', to: 'two', formerOwner: 'two', isItsOwn: true, userPrincipalName: null, objectId: null },
    });
    expect(await among('--anchor', anchor, '--to', 'three')).toBe(
      `the source anchor, which two has not brought yet, is kept for three now; what three brings with ${anchor} is a new user\n`,
    );
    const [last] = await tenant.store.database.run((queries) =>
      queries.selectFrom('audit_events').selectAll().orderBy('id', 'desc').limit(1).execute(),
    );
    expect(last).toMatchObject({ activity: 'Hand over user', target_kind: 'SourceAnchor', target_id: anchor });
    expect(last!.target_name).toBeNull();
    await expect(among('--of', 'two', '--to', 'three')).rejects.toMatchObject({
      stderr: expect.stringContaining('no user belongs to two; nor to another agent'),
    });
    expect(await among('--of', 'three', '--to', 'two')).toBe(
      '1 source anchor that three has not brought yet is kept for two now\n',
    );
    expect(await bring('three', anchor, userOf('kept@evil.test'))).toMatchObject(refused('belongs to the agent two'));
    expect(await bring('two', anchor, userOf('kept@shared.test'))).toMatchObject(stored);
    expect(await among('--anchor', anchor, '--to', 'two')).toBe('kept@shared.test belongs to two already\n');
    const more = [{ clientId: 'one', ...secret, domains: ['shared.test'] }, ...agents.slice(1)];
    expect(await handOverAmong(more, '--of', 'two', '--to', 'one')).toBe(
      '1 user of two now belongs to one, as it is\n',
    );
  });

  it('without agents kept apart nobody has an owner, and everybody writes', async () => {
    await start([
      { clientId: 'agent-1', ...secret },
      { clientId: 'evil', ...secret },
    ]);
    const anchor = newAnchor();
    expect(await bring('evil', anchor, userOf('free@evil.test'))).toMatchObject(stored);
    expect(await bring('agent-1', anchor, userOf('free@contoso.test', 'ad.contoso.test'))).toMatchObject(stored);
    expect(await ownerOf(anchor)).toBeNull();
  });
});
