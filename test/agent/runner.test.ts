/** Connectors in a running agent: each on its own, changed while it runs, asked for more in between. */

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Agent } from '#src/agent/agent.js';
import type { AgentParts } from '#src/agent/agent-parts.js';
import type { EventSink } from '#src/agent/events/event.js';
import type { DirectorySource } from '#src/agent/source.js';
import { LabSource } from '#src/agent/sources/lab-source.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { altered, connector, TestSite } from './site.js';

let site: TestSite;
const ends: (() => Promise<void>)[] = [];
beforeAll(async () => {
  site = await TestSite.start();
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});
afterAll(() => site?.stop());

interface Told {
  readonly number: number;
  readonly connector: unknown;
  readonly code: unknown;
}

/** Runs it with a cycle every few milliseconds, until the test is over. */
function running(parts: Partial<AgentParts>, pageSize?: number) {
  const told: Told[] = [];
  const events: EventSink = {
    emit: (number, { connector: name, code } = {}) => void told.push({ number, connector: name, code }),
    forUsers: () => undefined,
  };
  const lab = site.lab({ users: 60 });
  const agent = site.agent(lab, {
    events,
    pace: { intervalMs: 30 },
    ...(pageSize === undefined ? {} : { pageSize }),
    ...parts,
  });
  const stop = new AbortController();
  const run = agent.run({ signal: stop.signal });
  const end = async () => {
    stop.abort();
    await run;
    await agent.close();
  };
  ends.push(end);
  return { agent, lab, told, end };
}

const last = (agent: Agent, name: string) => agent.status().connectors.find((each) => each.name === name)?.lastCycle;
const ended = (agent: Agent, name: string) => last(agent, name)?.finishedAt ?? 0;

/** So many cycles of the connector have ended since now. */
async function cycles(agent: Agent, name: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const before = ended(agent, name);
    await expect.poll(() => ended(agent, name), { interval: 5 }).toBeGreaterThan(before);
  }
}

/** Of a domain controller that is asked and says nothing, until it is given up. */
const silent = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

describe('connectors run each on their own', () => {
  test('beside one whose directory says nothing, and one whose directory refuses', async () => {
    const { agent, told } = running({
      connectors: [connector(), connector({ name: 'silent' }), connector({ name: 'refused' })],
      openSource: async ({ name }, signal) => {
        if (name === 'silent') return silent(signal);
        if (name === 'refused') throw new PhsyncError('dc-logon-failed', 'no');
        return new LabSource(site.lab({ users: 60 }));
      },
    });
    await cycles(agent, 'lab', 3);
    await cycles(agent, 'refused', 3);
    expect(last(agent, 'lab')?.error).toBeUndefined();
    expect(last(agent, 'refused')?.error).toEqual({ code: 'dc-logon-failed', message: 'no' });
    expect(agent.status().connectors.map(({ name, state }) => [name, state === 'stopped'])).toEqual([
      ['lab', false],
      ['silent', false],
      ['refused', false],
    ]);
    expect(agent.status().connectors[1]).toMatchObject({ state: 'running', lastCycle: undefined });
    expect(told).toContainEqual({ number: 611, connector: 'refused', code: 'dc-logon-failed' });
    expect(told).toContainEqual({ number: 612, connector: 'refused', code: 'dc-logon-failed' });
    expect(told).not.toContainEqual(expect.objectContaining({ number: 611, connector: 'lab' }));
  });

  test('and never twice at the same time', async () => {
    let open = 0;
    let most = 0;
    const slow = (source: LabSource): DirectorySource =>
      Object.assign(source, {
        async *pages(...position: Parameters<LabSource['pages']>) {
          most = Math.max(most, ++open);
          await delay(60);
          yield* LabSource.prototype.pages.apply(source, position);
          open--;
        },
      });
    const { agent } = running({ openSource: async () => slow(new LabSource(site.lab({ users: 60 }))) });
    await cycles(agent, 'lab', 2);
    agent.demandFull({});
    await cycles(agent, 'lab', 2);
    expect(most).toBe(1);
  });

  test('over a directory that is kept from cycle to cycle and closed at the end', async () => {
    let opened = 0;
    let closed = 0;
    const { agent, end } = running({
      openSource: async () => {
        opened++;
        return Object.assign(new LabSource(site.lab({ users: 60 })), { close: async () => void closed++ });
      },
    });
    await cycles(agent, 'lab', 3);
    expect([opened, closed]).toEqual([1, 0]);
    await end();
    expect([opened, closed]).toEqual([1, 1]);
  });

  test('each from its phase on', async () => {
    const sleeps: number[] = [];
    const clock = {
      now: () => Date.now(),
      async sleep(ms: number, signal: AbortSignal) {
        sleeps.push(ms);
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      },
    };
    const { agent } = running({ clock, connectors: [connector({ phaseSeconds: 40 })] });
    await expect.poll(() => sleeps).toContain(40_000);
    expect(agent.status().connectors[0]).toMatchObject({ state: 'waiting', lastCycle: undefined });
    // What is asked for does not wait for it.
    agent.demandFull({});
    await expect.poll(() => last(agent, 'lab')?.error === undefined && ended(agent, 'lab') > 0).toBe(true);
  });

  test('once, with --once: together, and not at all where the tenant refuses', async () => {
    let asked = 0;
    const refused = new PhsyncError('provisioning-access-denied', 'no');
    const agent = site.agent(site.lab(), {
      client: { ...site.client, getCompanyConfiguration: () => Promise.reject(refused) } as typeof site.client,
      openSource: async () => {
        asked++;
        return new LabSource(site.lab());
      },
    });
    const cycle = agent.cycle({ signal: new AbortController().signal });
    await expect(cycle).rejects.toMatchObject({ code: 'provisioning-access-denied' });
    expect(asked).toBe(0);
  });
});

describe('a running agent', () => {
  test('sends everything again on demand, once', async () => {
    let sent = 0;
    const client = altered(site.client, {
      provisionCredentials: (items, options) => {
        sent += items.length;
        return site.client.provisionCredentials(items, options);
      },
    });
    const { agent, lab, told } = running({ client });
    await cycles(agent, 'lab', 1);
    sent = 0;
    const before = told.length;
    const whole = () =>
      told
        .slice(before)
        .map(({ number }) => number)
        .filter((number) => number >= 617 && number <= 623);
    expect(agent.demandFull({ connector: 'lab' })).toEqual(['lab']);
    await expect.poll(whole).toContain(623);
    expect(sent).toBeGreaterThanOrEqual(lab.users + [...lab.indexesOf('disabled')].length - 2);
    sent = 0;
    await cycles(agent, 'lab', 2);
    expect([sent, last(agent, 'lab')?.credentialsSent]).toEqual([0, 0]);
    expect(agent.status().connectors[0]?.fullPending).toBe(false);
    expect(whole()).toEqual([617, 618, 622, 623]);
  });

  test('goes on from the cookie of a connector that is switched off and on, and leaves the others alone', async () => {
    const other = connector({ name: 'other' });
    const { agent, lab } = running({ connectors: [connector(), other] });
    await cycles(agent, 'lab', 1);
    await cycles(agent, 'other', 1);
    const { client } = site;
    await agent.reconfigure({ connectors: [connector({ enabled: false }), other], client });
    expect(agent.status().connectors.map(({ state }) => state === 'off')).toEqual([true, false]);
    await expect(agent.syncObject({ connector: 'lab', dn: 'CN=A' })).rejects.toMatchObject({
      code: 'connector-disabled',
    });
    lab.changePassword(lab.userIndex(3));
    await cycles(agent, 'other', 2);
    expect(await site.password(lab, lab.userIndex(3))).toBe('right');
    lab.changePassword(lab.userIndex(4));
    await agent.reconfigure({ connectors: [connector(), other], client });
    await expect.poll(() => ended(agent, 'lab'), { interval: 5 }).toBeGreaterThan(0);
    // The changes alone, not the whole directory.
    expect(last(agent, 'lab')?.seen).toBeLessThanOrEqual(2);
    expect(await site.password(lab, lab.userIndex(4))).toBe('right');
  });

  test('takes up connectors that are new, and ends those that are gone', async () => {
    const { agent } = running({});
    await cycles(agent, 'lab', 1);
    await agent.reconfigure({ connectors: [connector({ name: 'new' })], client: site.client });
    await cycles(agent, 'new', 1);
    expect(agent.status().connectors.map(({ name }) => name)).toEqual(['new']);
    expect(() => agent.demandFull({ connector: 'lab' })).toThrow(/no connector is named lab/);
  });

  test('keeps what was asked for when it is reloaded', async () => {
    let gate!: () => void;
    const opened = new Promise<void>((resolve) => {
      gate = resolve;
    });
    let opens = 0;
    const { agent, told } = running({
      connectors: [connector({ name: 'asked' })],
      openSource: async () => {
        if (opens++ === 0) await opened;
        return new LabSource(site.lab({ users: 60 }));
      },
    });
    await expect.poll(() => opens).toBe(1);
    agent.demandFull({});
    const reloaded = agent.reconfigure({
      connectors: [connector({ name: 'asked', disableExpiredAccounts: true })],
      client: site.client,
    });
    gate();
    await reloaded;
    // The first synchronization, and the full one.
    await expect.poll(() => told.filter(({ number }) => number === 617).length).toBe(2);
  });

  test('stops in the middle of a cycle, also while a reload waits for that to end', async () => {
    const directory = site.lab({ users: 200 });
    let pages = 0;
    const source = new LabSource(directory, 10);
    const { agent, end } = running({
      connectors: [connector({ name: 'stopped' })],
      openSource: async () =>
        Object.assign(source, {
          async *pages(...[cookie, signal]: Parameters<DirectorySource['pages']>) {
            for await (const page of LabSource.prototype.pages.call(source, cookie)) {
              if (++pages === 3) await silent(signal!);
              yield page;
            }
          },
        }),
    });
    await expect.poll(() => pages).toBe(3);
    const reloaded = agent.reconfigure({
      connectors: [connector({ name: 'stopped', phaseSeconds: 1 })],
      client: site.client,
    });
    await end();
    await reloaded;
    expect(pages).toBe(3);
  });

  test('synchronizes one object in the middle of a long cycle', async () => {
    const lab = site.lab({ users: 200 });
    let gate!: () => void;
    const opened = new Promise<void>((resolve) => {
      gate = resolve;
    });
    let pages = 0;
    const source = new LabSource(lab, 20);
    const { agent } = running({
      connectors: [connector({ name: 'long' })],
      openSource: async () =>
        Object.assign(source, {
          async *pages(...position: Parameters<LabSource['pages']>) {
            for await (const page of LabSource.prototype.pages.apply(source, position)) {
              if (++pages === 4) await opened;
              yield page;
            }
          },
        }),
    });
    await expect.poll(() => pages).toBe(4);
    const upn = lab.userPrincipalNameOf(lab.userIndex(150));
    let guid: string | undefined;
    for await (const { objects } of new LabSource(lab).pages(undefined)) {
      guid ??= objects.find(({ userPrincipalName }) => userPrincipalName === upn)?.guid;
    }
    const asked = agent.syncObject({ guid: guid! });
    gate();
    expect(await asked).toMatchObject({ status: 'Success', passwordSent: true });
    // The cycle has not come so far.
    expect(last(agent, 'long')).toBeUndefined();
    await cycles(agent, 'long', 1);
    expect(last(agent, 'long')).toMatchObject({ error: undefined, failed: 0 });
  });

  test('tells of an object that cannot be synchronized', async () => {
    const { agent, told } = running({});
    await cycles(agent, 'lab', 1);
    const guid = '00000000-0000-4000-8000-000000000000';
    expect(await agent.syncObject({ guid })).toMatchObject({ status: 'SourceConnectorNotPresent', guid });
    expect(told).toContainEqual(expect.objectContaining({ number: 664, connector: 'lab' }));
  });
});
