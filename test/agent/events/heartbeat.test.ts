/** A connector without work pings the tenant every half hour, a real one over TLS. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { EventLog } from '#src/agent/events/event-log.js';
import { HEARTBEAT_MS, type HeartbeatOptions, keepHeartbeat } from '#src/agent/events/heartbeat.js';
import { createLog } from '#src/log/log.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { altered, TestClock, TestSite } from '../site.js';

let site: TestSite;
let clock: TestClock;
let events: EventLog;
let calls: number;

beforeEach(async () => {
  site = await TestSite.start();
  clock = new TestClock();
  events = new EventLog({ log: createLog('silent'), clock, store: site.store.events });
  calls = 0;
});
afterEach(() => site.stop());

const client = () =>
  altered(site.client, {
    getCompanyConfiguration: (options) => {
      calls++;
      return site.client.getCompanyConfiguration(options);
    },
  });

async function beat(sent = 0, changes: Partial<HeartbeatOptions> = {}): Promise<number[]> {
  const before = site.store.events.newest(1000).length;
  const state = site.store.connector('a');
  await keepHeartbeat(
    { client: client(), state, clock, events, signal: AbortSignal.timeout(30_000), ...changes },
    sent,
  );
  events.flush();
  const all = site.store.events.newest(1000);
  return all
    .slice(0, all.length - before)
    .map(({ number }) => number)
    .reverse();
}

const heartbeatAt = () => site.store.connector('a').heartbeatAt;

test('every half hour without work', async () => {
  expect(heartbeatAt()).toBeUndefined();
  expect(await beat()).toEqual([653, 654]);
  const first = clock.time;
  expect(heartbeatAt()).toBe(first);
  clock.time += HEARTBEAT_MS - 1;
  expect(await beat()).toEqual([]);
  expect(calls).toBe(1);
  clock.time += 1;
  expect(await beat()).toEqual([653, 654]);
  expect(heartbeatAt()).toBe(first + HEARTBEAT_MS);
  expect(site.store.connector('b').heartbeatAt).toBeUndefined();
});

test('passwords that were taken are a heartbeat', async () => {
  expect(await beat(3)).toEqual([]);
  expect(heartbeatAt()).toBe(clock.time);
  expect(calls).toBe(0);
});

test('a clock that was set back stops nothing', async () => {
  await beat();
  clock.time -= 86_400_000;
  expect(await beat()).toEqual([653, 654]);
  expect(heartbeatAt()).toBe(clock.time);
});

test('a tenant that does not answer is told, and asked again at the next cycle', async () => {
  await site.tenant.close();
  expect(await beat()).toEqual([653, 655]);
  expect(heartbeatAt()).toBeUndefined();
  expect(site.store.events.newest(1)[0]!.fields).toMatchObject({
    code: 'token-unreachable',
    errorDescription: expect.stringContaining('cannot be reached'),
  });
  expect(await beat()).toEqual([653, 655]);
});

test('a stop is no failure', async () => {
  expect(await beat(0, { signal: AbortSignal.abort() })).toEqual([]);
});

test('a tenant that answers, with the feature off', async () => {
  const { dirSyncFeatures } = await site.client.getCompanyConfiguration();
  await site.client.setCompanyDirsyncFeatures(dirSyncFeatures & ~DirSyncFeature.PasswordHashSync);
  expect(await beat()).toEqual([653, 654, 662]);
});

test('a state that cannot be written is told', async () => {
  const state = {
    get heartbeatAt(): number | undefined {
      return undefined;
    },
    set heartbeatAt(_: number) {
      throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
    },
  };
  expect(await beat(0, { state })).toEqual([653, 654, 662]);
});
