/** The long poll, against a tenant and with a clock that are simulated: how it waits, stops, and hands nothing on that it cannot open. */

import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { EventSink } from '#src/agent/events/event.js';
import type { WritebackConnector } from '#src/agent/write-back/handle.js';
import { WritebackLoop } from '#src/agent/write-back/loop.js';
import type { WritebackTenant } from '#src/agent/write-back/tenant.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { type HandOver, makeSealingKeys, type Poll, seal, type WriteResult } from '#src/provisioning/write-back.js';

const CONNECTOR = { name: 'phs', directory: { type: 'drs', domain: 'phs.test' } } as WritebackConnector;
const ANCHOR = 'AAECAwQFBgcICQoLDA0ODw==';
const ID = '7f1f3bd4-43a6-4d9c-9d53-0c7ae2a7a4ff';
const PASSWORDS = { oldPassword: Buffer.from('Old.1'), newPassword: Buffer.from('New.1') };

/** Answers each poll as the test says; without an answer it waits until it is aborted. */
class SimulatedTenant implements WritebackTenant {
  readonly polls: Poll[] = [];
  readonly results: { readonly id: string; readonly result: WriteResult }[] = [];
  readonly answers: ((poll: Poll) => HandOver | Error | Promise<HandOver>)[] = [];

  async next(poll: Poll, signal: AbortSignal): Promise<HandOver | undefined> {
    this.polls.push(poll);
    const answer = await this.answers.shift()?.(poll);
    if (answer instanceof Error) throw answer;
    if (answer !== undefined) return answer;
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new PhsyncError('writeback-aborted', 'aborted')), { once: true });
    });
  }

  async result(id: string, result: WriteResult): Promise<boolean> {
    this.results.push({ id, result });
    return true;
  }

  agents = async () => ({ feature: true, agents: [] });
  close = async () => undefined;
}

function start(tenant: SimulatedTenant, connectors: readonly WritebackConnector[] = [CONNECTOR]) {
  const events: { number: number; fields: unknown }[] = [];
  const sink: EventSink = { emit: (number, fields) => events.push({ number, fields }), forUsers: () => sink };
  const waits: number[] = [];
  const stop = new AbortController();
  const loop = new WritebackLoop(
    { connectors, tenant },
    {
      env: {},
      log: pino({ level: 'silent' }),
      events: sink,
      random: () => 0.5,
      clock: { now: () => 0, sleep: async (ms) => void waits.push(ms) },
      guidsOfAnchor: () => [],
      syncObject: async () => undefined,
    },
  );
  const done = loop.run(stop.signal);
  const end = async () => {
    stop.abort();
    await done;
  };
  return { loop, events, waits, end };
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await turn();
}
const numbers = (events: readonly { number: number }[]) => events.map(({ number }) => number);

describe('the loop', () => {
  it('asks for the domains of its connectors, under one name and with one key', async () => {
    const tenant = new SimulatedTenant();
    tenant.answers.push(() => new PhsyncError('writeback-unreachable', 'away'));
    const { end, events } = start(tenant, [CONNECTOR, { ...CONNECTOR, name: 'twice' }]);
    await until(() => tenant.polls.length === 2);
    expect(tenant.polls[0]).toMatchObject({ domains: ['phs.test'], key: { kty: 'EC', crv: 'P-256' } });
    expect(tenant.polls[1]).toEqual(tenant.polls[0]);
    await end();
    expect(numbers(events)).toEqual([31018, 31015, 32014, 31016]);
  });

  it('waits longer after each failure, up to a minute, with jitter, and tells a failure once', async () => {
    const tenant = new SimulatedTenant();
    for (let i = 0; i < 9; i++) tenant.answers.push(() => new PhsyncError('writeback-unreachable', 'away'));
    tenant.answers.push(() => new PhsyncError('writeback-feature-off', 'off'));
    tenant.answers.push(() => new PhsyncError('writeback-busy', 'busy', { facts: { retryAfterMs: 120_000 } }));
    const { end, events, waits } = start(tenant);
    await until(() => tenant.polls.length === 12);
    await end();
    const expected = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 120].map((seconds) => seconds * 750);
    expect(waits).toEqual(expected);
    expect(numbers(events)).toEqual([31018, 31015, 32014, 32005, 32014, 31016]);
  });

  it('asks nobody where no connector writes back, until a new configuration has one', async () => {
    const tenant = new SimulatedTenant();
    const { loop, end, events } = start(tenant, []);
    await turn();
    expect(tenant.polls).toEqual([]);
    await loop.reconfigure({ connectors: [CONNECTOR], tenant });
    await until(() => tenant.polls.length === 1);
    await loop.reconfigure({ connectors: [], tenant });
    await until(() => numbers(events).includes(31016));
    await end();
    expect(numbers(events)).toEqual([31018, 31015, 31016]);
  });

  it('does not carry out what is sealed to another key, or was handed over under another id', async () => {
    const tenant = new SimulatedTenant();
    const subject = { id: ID, domain: 'phs.test', sourceAnchor: ANCHOR };
    const stranger = await makeSealingKeys();
    const sealedFor = (key: Poll['key'], id = ID) => seal({ ...subject, id }, PASSWORDS, key);
    const handOver = async (sealed: Promise<string>) => ({ id: ID, sealed: await sealed, expiresIn: 30_000 });
    tenant.answers.push(
      () => handOver(sealedFor(stranger.publicKey)),
      ({ key }) => handOver(sealedFor(key, '00000000-43a6-4d9c-9d53-0c7ae2a7a4ff')),
      ({ key }) => handOver(seal({ ...subject, domain: 'other.test' }, PASSWORDS, key)),
      ({ key }) => handOver(sealedFor(key)),
    );
    const { end, events } = start(tenant);
    await until(() => tenant.results.length === 4);
    await end();
    const reasons = tenant.results.map(({ id, result }) => [id, result.outcome]);
    expect(reasons).toHaveLength(4);
    for (const reason of ['sealed', 'sealed', 'noUser', 'noUser']) {
      expect(reasons).toContainEqual([ID, { status: 'failed', reason }]);
    }
    expect(numbers(events).sort()).toEqual([31006, 31008, 31015, 31016, 31018, 32003, 32003, 32004, 33002]);
    expect(JSON.stringify(events)).not.toMatch(/Old\.1|New\.1/);
  });
});
