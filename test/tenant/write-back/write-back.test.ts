/** Password write-back at the tenant, over HTTPS with an agent that is simulated: who may take a password, once, and what the person is told. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Hasher } from '#src/hasher/types.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import type { WriteOutcome } from '#src/provisioning/write-back.js';
import type { SignInUser } from '#src/tenant/store/store.js';
import { Broker } from '#src/tenant/write-back/broker.js';
import { noBus } from '#src/tenant/write-back/bus.js';
import { setFeatures } from '../features.js';
import { startTestTenant, type TestTenant, temporaryDirectory, testHasher, vectors } from '../harness.js';
import { killAgents, WireAgent } from './wire-agent.js';

const OLD = 'Old-Passw0rd-äöü-1742';
const NEW = 'New-Passw0rd-ЖЖЖ-𝄞-8361';
const ANCHOR = 'AAECAwQFBgcICQoLDA0ODw==';
const ON = DirSyncFeature.PasswordHashSync | DirSyncFeature.PasswordWriteBack;

let hasher: Hasher;
beforeAll(() => {
  hasher = testHasher();
});
afterAll(() => hasher.close());

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let tenant: TestTenant;
let user: SignInUser;

beforeAll(async () => {
  directory = await temporaryDirectory();
  tenant = await startTestTenant({
    stateDir: directory.path,
    hasher,
    config: { passwordWriteback: { timeoutSeconds: 5 } },
  });
  await tenant.store.applyUsers([
    {
      kind: 'upsert',
      sourceAnchor: ANCHOR,
      attributes: { userPrincipalName: 'ann@phs.test', displayName: 'Ann', dnsDomainName: 'PHS.test' },
    },
  ]);
  user = (await tenant.store.findSignInUser('ann@phs.test'))!;
});
beforeEach(() => setFeatures(tenant.store, ON));
afterEach(async () => {
  killAgents();
  await polls(0);
  await tenant.store.database.run((queries) => queries.deleteFrom('writeback_agents').execute());
});
afterAll(async () => {
  await tenant.close();
  await directory.remove();
});

const change = (newPassword = NEW) => tenant.writeback.write({ user, oldPassword: OLD, newPassword });

describe('a password on its way on premises', () => {
  it('reaches the agent that polls, sealed to its key, and its answer the person', async () => {
    const agent = await WireAgent.make(tenant);
    const polled = agent.poll();
    await registered(1);
    const changed = change();
    const { status, json } = await polled;
    expect(status).toBe(200);
    expect(JSON.stringify(json)).not.toContain(OLD);
    const opened = await agent.keys.open(json.sealed);
    expect(opened).toMatchObject({ id: json.id, domain: 'phs.test', sourceAnchor: ANCHOR });
    expect(opened.oldPassword!.toString()).toBe(OLD);
    expect(opened.newPassword.toString()).toBe(NEW);
    expect((await agent.result(json.id, { status: 'done' })).status).toBe(204);
    expect(await changed).toEqual({ status: 'done' });
  });

  it('waits for an agent that is between two polls', async () => {
    const agent = await WireAgent.make(tenant);
    const asked = new AbortController();
    const polled = agent.poll({ signal: asked.signal }).catch(() => undefined);
    await registered(1);
    asked.abort();
    await polled;
    await polls(0);
    const changed = tenant.writeback.write({ user, newPassword: NEW });
    const opened = await agent.take();
    expect(opened.oldPassword).toBeUndefined();
    await agent.result(opened.id, { status: 'done' });
    expect(await changed).toEqual({ status: 'done' });
  });

  it.each<[WriteOutcome, object]>([
    [
      { status: 'refused', reason: 'wrongPassword' },
      { status: 'refused', reason: 'wrongPassword', message: 'The current password is not right.' },
    ],
    [
      { status: 'refused', reason: 'tooShort', minimumLength: 14 },
      { status: 'refused', reason: 'onPremisesPolicy', message: expect.stringContaining('at least 14 characters') },
    ],
    [
      { status: 'refused', reason: 'tooYoung', notBefore: Date.UTC(2026, 0, 2, 3, 4) },
      { status: 'refused', reason: 'onPremisesPolicy', message: expect.stringContaining('2026-01-02 03:04 UTC') },
    ],
    [
      { status: 'refused', reason: 'history' },
      { status: 'refused', reason: 'onPremisesPolicy', message: expect.stringContaining('not used before') },
    ],
    [
      { status: 'failed', reason: 'rights' },
      { status: 'unavailable', message: expect.stringContaining('does not permit it') },
    ],
  ])('%j reaches the person in words', async (outcome, expected) => {
    const agent = await WireAgent.make(tenant);
    const polled = agent.poll();
    await registered(1);
    const changed = change();
    await agent.result((await polled).json.id, outcome);
    expect(await changed).toEqual(expected);
  });

  it('goes to one of two agents of the domain, and to none of another domain', async () => {
    const agents = await Promise.all([
      WireAgent.make(tenant),
      WireAgent.make(tenant),
      WireAgent.make(tenant, ['second.example']),
    ]);
    const taken = agents.map(async (agent) => {
      const { json } = await agent.poll();
      await agent.result(json.id, { status: 'done' });
      return agent;
    });
    await registered(3);
    expect(await change()).toEqual({ status: 'done' });
    expect([agents[0], agents[1]]).toContain(await Promise.race(taken));
    expect(await tenant.writeback.status()).toMatchObject({
      agents: 3,
      domains: { 'phs.test': 2, 'second.example': 1 },
      polls: 2,
      waiting: 0,
    });
    killAgents();
    await Promise.allSettled(taken);
  });

  it('is answered once, and by the agent that has it', async () => {
    const [agent, other] = [await WireAgent.make(tenant), await WireAgent.make(tenant)];
    const polled = agent.poll();
    await registered(1);
    const changed = change();
    const { id } = (await polled).json;
    expect((await other.result(id, { status: 'done' })).status).toBe(410);
    expect((await agent.result(id, { status: 'refused', reason: 'history' })).status).toBe(204);
    expect((await agent.result(id, { status: 'done' })).status).toBe(410);
    expect(await changed).toMatchObject({ status: 'refused' });
    expect((await agent.result('7f1f3bd4-43a6-4d9c-9d53-0c7ae2a7a4ff', { status: 'done' })).status).toBe(410);
  });

  it('goes nowhere without an agent', async () => {
    expect(await change()).toEqual({ status: 'unavailable', message: expect.stringContaining('no connection') });
    const elsewhere = await WireAgent.make(tenant, ['second.example']);
    elsewhere.poll().catch(() => undefined);
    await registered(1);
    expect(await change()).toMatchObject({ status: 'unavailable' });
  });

  it.each([
    ['', 'onPremisesPolicy'],
    ['x'.repeat(257), 'onPremisesPolicy'],
    ['with\0NUL', 'onPremisesPolicy'],
  ])('is refused at once where no directory would take it', async (password, reason) => {
    expect(await change(password)).toMatchObject({ status: 'refused', reason });
  });

  it('takes 256 characters of three bytes each', async () => {
    const agent = await WireAgent.make(tenant);
    const polled = agent.poll();
    await registered(1);
    const long = '語'.repeat(256);
    const changed = tenant.writeback.write({ user, oldPassword: long, newPassword: long });
    const { json } = await polled;
    expect((await agent.keys.open(json.sealed)).newPassword.toString()).toBe(long);
    await agent.result(json.id, { status: 'done' });
    expect(await changed).toEqual({ status: 'done' });
  });

  it('is of a user of the directory', async () => {
    expect(await tenant.writeback.write({ user: { ...user, objectId: 'none' }, newPassword: NEW })).toEqual({
      status: 'unavailable',
      message: expect.stringContaining('no counterpart'),
    });
  });
});

describe('who may poll', () => {
  it('nobody while the feature PasswordWriteBack is off', async () => {
    await setFeatures(tenant.store, DirSyncFeature.PasswordHashSync);
    expect(await tenant.writeback.isOn()).toBe(false);
    const agent = await WireAgent.make(tenant);
    expect(await agent.poll()).toMatchObject({ status: 403, json: { error: 'feature_off' } });
    await setFeatures(tenant.store, ON);
    expect(await tenant.writeback.isOn()).toBe(true);
  });

  it('no agent of another tenant', async () => {
    const elsewhere = await temporaryDirectory();
    const another = await startTestTenant({ stateDir: elsewhere.path, hasher });
    try {
      const agent = await WireAgent.make(tenant);
      expect(await agent.poll({ token: await another.agentToken() })).toMatchObject({
        status: 401,
        json: { error: 'invalid_token' },
      });
    } finally {
      await another.close();
      await elsewhere.remove();
    }
  });

  it('nobody without a token, or with one that is none', async () => {
    const agent = await WireAgent.make(tenant);
    for (const token of ['', 'a.b.c']) expect((await agent.poll({ token })).status).toBe(401);
    expect((await agent.post('7f1f3bd4-43a6-4d9c-9d53-0c7ae2a7a4ff/result', {}, { token: 'a.b.c' })).status).toBe(401);
  });

  it.each([
    ['no JSON', 'x'],
    ['another curve', { key: { kty: 'EC', crv: 'P-384', x: 'A'.repeat(43), y: 'A'.repeat(43) } }],
    ['a private key', { key: { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43), d: 'A'.repeat(43) } }],
    ['no domain', { domains: [] }],
    ['an instance that is no GUID', { instance: '../../etc/passwd' }],
  ])('nobody with %s', async (_, fault) => {
    const agent = await WireAgent.make(tenant);
    const body = { instance: agent.instance, key: agent.keys.publicKey, domains: ['phs.test'] };
    const reply = await agent.post('next', typeof fault === 'string' ? fault : { ...body, ...fault });
    expect(reply).toMatchObject({ status: 400, json: { error: 'invalid_request' } });
  });

  it('an agent with a few polls at once, and not with many', async () => {
    const agent = await WireAgent.make(tenant);
    const nine = Array.from({ length: 9 }, () => agent.poll());
    expect(await Promise.race(nine)).toMatchObject({ status: 429 });
    killAgents();
    await Promise.allSettled(nine);
  });
});

describe('without an answer', () => {
  const id = '7f1f3bd4-43a6-4d9c-9d53-0c7ae2a7a4ff';
  const sealed = new Map([['agent', 'sealed']]);
  const broker = () => new Broker({ bus: noBus, process: id, now: Date.now });

  it('the person hears that nobody took the password', async () => {
    expect(await broker().bring(id, sealed, Date.now() + 20)).toEqual({ status: 'notTaken' });
  });

  it('or that one took it and said nothing; what it says later nobody hears', async () => {
    const between = broker();
    const polled = between.next('agent', new AbortController().signal);
    const brought = between.bring(id, sealed, Date.now() + 20);
    expect(await polled).toMatchObject({ id, sealed: 'sealed' });
    expect(await brought).toEqual({ status: 'noAnswer' });
    expect(await between.result('agent', id, { status: 'done' })).toBe(false);
    expect(between.counts).toEqual({ waiting: 0, polls: 0 });
  });
});

it('no password lies in log or store', async () => {
  const agent = await WireAgent.make(tenant);
  const polled = agent.poll();
  await registered(1);
  const changed = change();
  await agent.result((await polled).json.id, { status: 'refused', reason: 'policy' });
  await changed;
  expect(tenant.logText()).toContain('password write-back');
  const files = readdirSync(directory.path).map((name) => readFileSync(join(directory.path, name)));
  expect(files.length).toBeGreaterThan(2);
  for (const secret of [OLD, NEW]) {
    for (const encoding of ['utf8', 'utf16le'] as const) {
      const bytes = Buffer.from(secret, encoding);
      expect(Buffer.from(tenant.logText()).includes(bytes)).toBe(false);
      expect(files.some((file) => file.includes(bytes))).toBe(false);
      for (const text of [bytes.toString('base64').slice(0, -4), bytes.toString('hex')]) {
        expect(tenant.logText()).not.toContain(text);
      }
    }
  }
});

it('a tenant that stops ends polls and waits', async () => {
  const stopping = await temporaryDirectory();
  const other = await startTestTenant({ stateDir: stopping.path, hasher });
  try {
    await setFeatures(other.store, ON);
    await other.store.applyUsers([
      {
        kind: 'upsert',
        sourceAnchor: ANCHOR,
        attributes: { userPrincipalName: 'bob@phs.test', dnsDomainName: 'phs.test' },
      },
    ]);
    const bob = (await other.store.findSignInUser('bob@phs.test'))!;
    const agent = await WireAgent.make(other);
    const polled = agent.poll();
    await polls(1, other);
    const changed = other.writeback.write({ user: bob, newPassword: NEW });
    expect((await polled).status).toBe(200);
    const again = agent.poll();
    await polls(1, other);
    const closed = other.closeServer();
    expect((await again).status).toBe(204);
    expect(await changed).toMatchObject({ status: 'unavailable' });
    await closed;
  } finally {
    await other.close();
    await stopping.remove();
  }
});

describe('a password that was written back', () => {
  const [before, stale, newer] = [vectors[0]!, vectors[1]!, vectors[2]!];
  const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, seconds));
  const synchronize = (vector: (typeof vectors)[number], changeDate: Date) =>
    tenant.store.applyCredentials(
      [
        {
          sourceAnchor: ANCHOR,
          objectId: undefined,
          changeDate,
          salt: Buffer.from(vector.salt, 'hex'),
          iterations: vector.iterations,
          hash: Buffer.from(vector.hash, 'hex'),
          forcePasswordChangeOnLogon: false,
        },
      ],
      { disableExpiration: true, actor: 'agent-1' },
    );
  const signIn = async (password: string) => (await tenant.signIn('ann@phs.test', password)).status;

  it('is not undone by an older change on premises that comes late, and gives way to a newer one', async () => {
    expect(await synchronize(before, at(0))).toEqual(['stored']);
    const agent = await WireAgent.make(tenant);
    const polled = agent.poll();
    await registered(1);
    const current = (await tenant.store.findSignInUser('ann@phs.test'))!;
    const changed = tenant.passwords.change({
      user: current,
      oldPassword: before.password,
      newPassword: NEW,
      clientId: 'app',
      address: '192.0.2.7',
      correlationId: '7f1f3bd4-43a6-4d9c-9d53-0c7ae2a7a4ff',
    });
    const { id } = (await polled).json;
    // Between the domain controller's answer and the tenant's store, from one that lags behind.
    expect(await synchronize(stale, at(5))).toEqual(['stored']);
    await agent.result(id, { status: 'done', changedAt: at(10).getTime() + 123 });
    expect(await changed).toEqual({ status: 'changed' });
    expect(await signIn(NEW)).toBe(200);
    expect(await synchronize(stale, at(9))).toEqual(['olderChange']);
    expect(await signIn(NEW)).toBe(200);
    expect(await synchronize(newer, new Date(at(10).getTime() + 2))).toEqual(['stored']);
    expect(await signIn(NEW)).toBe(400);
    expect(await signIn(newer.password)).toBe(200);
  });

  /** Changed here while `meanwhile` happens, at the domain controller at `changedAt`. */
  async function writeBack(old: string, changedAt: number | undefined, meanwhile = async () => {}): Promise<string> {
    const agent = await WireAgent.make(tenant);
    const polled = agent.poll();
    await registered(1);
    const changed = tenant.passwords.change({
      user: (await tenant.store.findSignInUser('ann@phs.test'))!,
      oldPassword: old,
      newPassword: NEW,
      clientId: 'app',
      address: '192.0.2.7',
      correlationId: '7f1f3bd4-43a6-4d9c-9d53-0c7ae2a7a4ff',
    });
    const { id } = (await polled).json;
    await meanwhile();
    await agent.result(id, { status: 'done', ...(changedAt === undefined ? {} : { changedAt }) });
    return (await changed).status;
  }
  const afresh = () => tenant.store.database.run((queries) => queries.deleteFrom('credentials').execute());

  it('gives way to one that is newer by less than a second, whose date is the same', async () => {
    await afresh();
    expect(await synchronize(before, at(10))).toEqual(['stored']);
    expect(await writeBack(before.password, at(10).getTime() + 500)).toBe('changed');
    expect(await signIn(NEW)).toBe(200);
    expect(await synchronize(newer, at(10))).toEqual(['stored']);
    expect(await signIn(newer.password)).toBe(200);
    expect(await synchronize(stale, at(9))).toEqual(['olderChange']);
  });

  it('is not put over one of the same second that came before it could be stored', async () => {
    await afresh();
    expect(await synchronize(before, at(10))).toEqual(['stored']);
    const meanwhile = async () => expect(await synchronize(newer, at(10))).toEqual(['stored']);
    expect(await writeBack(before.password, at(10).getTime() + 500, meanwhile)).toBe('changed');
    expect(await signIn(newer.password)).toBe(200);
    // Was it the older of the two after all, the next synchronization says so.
    expect(await synchronize(stale, at(10))).toEqual(['stored']);
  });

  it('is not undone by the former one, also where the domain controller does not say when it was changed', async () => {
    await afresh();
    expect(await synchronize(before, at(10))).toEqual(['stored']);
    expect(await writeBack(before.password, undefined)).toBe('changed');
    expect(await synchronize(before, at(10))).toEqual(['olderChange']);
    expect(await signIn(NEW)).toBe(200);
    expect(await synchronize(newer, at(11))).toEqual(['stored']);
    expect(await signIn(newer.password)).toBe(200);
  });
});

const registered = polls;

/** Until so many polls wait. */
async function polls(count: number, { writeback } = tenant): Promise<void> {
  await expect.poll(async () => (await writeback.status()).polls, { interval: 10 }).toBe(count);
}
