/** What cycles against a real tenant tell as events. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EventFields, EventSink } from '#src/agent/events/event.js';
import { EventLog } from '#src/agent/events/event-log.js';
import { LabSource } from '#src/agent/sources/lab-source.js';
import { sourceAnchorOf } from '#src/agent/user-properties.js';
import { PhsyncError } from '#src/hasher/errors.js';
import { createLog } from '#src/log/log.js';
import { CredentialResult } from '#src/provisioning/types.js';
import { altered, connector, DOMAIN, TestClock, TestSite } from '../site.js';
import { fieldsByNumber } from './page.js';

let site: TestSite;
beforeEach(async () => {
  site = await TestSite.start();
});
afterEach(() => site.stop());

const known = fieldsByNumber();

/** A sink that keeps what it is told: the real one over the site's state, asked for what it stored. */
class Kept {
  readonly #log: EventLog;
  constructor(clock: TestClock) {
    this.#log = new EventLog({ log: createLog('silent'), clock, store: site.store.events });
  }
  get sink(): EventSink {
    return this.#log;
  }
  /** Oldest first, since the last call. */
  take(): (EventFields & { event: number; connector: string | undefined })[] {
    this.#log.flush();
    const found = site.store.events.newest(1000).reverse();
    const fresh = found.slice(this.#taken);
    this.#taken = found.length;
    for (const { number, fields } of fresh) {
      const { partitionName: _, ...own } = fields;
      expect(known.get(number), `event ${number} in events.md`).toEqual(expect.arrayContaining(Object.keys(own)));
    }
    return fresh.map(({ number, connector, fields }) => ({ event: number, connector, ...fields }));
  }
  #taken = 0;
}

const refusing = (when: () => boolean, result: number = CredentialResult.temporaryFailure) =>
  altered(site.client, {
    provisionCredentials: async (items) =>
      when()
        ? items.map(({ sourceAnchor, cloudAnchor }) => ({
            sourceAnchor,
            cloudAnchor,
            result,
            extendedErrorInformation: 'try later',
          }))
        : site.client.provisionCredentials(items),
  });

describe('events of a cycle', () => {
  test('a first synchronization tells of itself and its batches, not of its users', async () => {
    const clock = new TestClock();
    const kept = new Kept(clock);
    const lab = site.lab({ users: 2500 });
    await site.sync(site.agent(lab, { clock, events: kept.sink }));
    const events = kept.take();
    expect(new Set(events.map(({ connector }) => connector))).toEqual(new Set(['lab']));
    expect(new Set(events.map(({ partitionName }) => partitionName))).toEqual(new Set(['lab.test']));
    const sent = events.filter(({ event }) => event === 651).reduce((sum, { count }) => sum + Number(count), 0);
    // The must-change user and the one without password are not sent.
    expect(sent).toBe(2501);
    const kinds = events.map(({ event }) => event);
    expect(kinds.slice(0, 2)).toEqual([617, 618]);
    expect(kinds.slice(-2)).toEqual([622, 623]);
    expect(kinds.filter((event) => event === 650)).toHaveLength(kinds.filter((event) => event === 651).length);
    expect(new Set(kinds)).toEqual(new Set([617, 618, 650, 651, 622, 623]));
    expect(events.at(-2)).toMatchObject({ event: 622, credentialsSent: 2501, failed: 0 });
  });

  test('a delta tells of each user, with anchor, DN and change date', async () => {
    const clock = new TestClock();
    const kept = new Kept(clock);
    const lab = site.lab({ users: 200 });
    const agent = site.agent(lab, { clock, events: kept.sink });
    await site.sync(agent);
    kept.take();
    const index = lab.userIndex(7);
    lab.changePassword(index);
    await site.sync(agent);
    const of = { connector: 'lab', partitionName: 'lab.test' };
    const user = {
      anchor: sourceAnchorOf(lab.guidBytesOf(index)),
      dn: expect.stringMatching(/^CN=/),
      ...of,
    };
    expect(kept.take()).toEqual([
      { event: 650, ...of, count: 1 },
      { event: 651, ...of, count: 1, failed: 0 },
      { event: 656, ...user, changeDate: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) },
      { event: 657, ...user, pwdChangeOnLogon: false, result: 'Success' },
    ]);
  });

  test('an idle cycle tells nothing', async () => {
    const clock = new TestClock();
    const kept = new Kept(clock);
    const agent = site.agent(site.lab({ users: 20 }), { clock, events: kept.sink });
    await site.sync(agent);
    kept.take();
    await site.sync(agent);
    expect(kept.take()).toEqual([]);
  });

  test('an idle connector pings the tenant after half an hour', async () => {
    const clock = new TestClock();
    const kept = new Kept(clock);
    const agent = site.agent(site.lab({ users: 20 }), { clock, events: kept.sink });
    await site.sync(agent);
    kept.take();
    clock.time += 1_800_000;
    await site.sync(agent);
    const of = { connector: 'lab', partitionName: 'lab.test' };
    expect(kept.take()).toEqual([
      { event: 653, ...of },
      { event: 654, ...of },
    ]);
    expect(site.store.connector('lab').heartbeatAt).toBe(clock.time);
  });

  test('who comes into the retry queue and leaves it, with the tenant’s reason', async () => {
    const clock = new TestClock();
    const kept = new Kept(clock);
    const lab = site.lab({ users: 50 });
    let failing = false;
    const agent = site.agent(lab, { clock, events: kept.sink, client: refusing(() => failing) });
    await site.sync(agent);
    clock.time += 120_000;
    kept.take();
    failing = true;
    lab.changePassword(lab.userIndex(3));
    await site.sync(agent);
    const anchor = sourceAnchorOf(lab.guidBytesOf(lab.userIndex(3)));
    const reason = 'the tenant did not take the password: result 5: try later';
    expect(kept.take().slice(1)).toEqual([
      expect.objectContaining({ event: 651, count: 1, failed: 1 }),
      expect.objectContaining({ event: 656, anchor }),
      expect.objectContaining({ event: 657, anchor, result: 'Failed', extendedError: '5: try later' }),
      expect.objectContaining({ event: 605, anchor, dn: expect.stringMatching(/^CN=/), reason }),
    ]);
    await site.sync(agent);
    expect(kept.take().map(({ event }) => event)).not.toContain(605);
    failing = false;
    clock.time += 3_600_000;
    await site.sync(agent);
    expect(kept.take().at(-1)).toMatchObject({ event: 606, anchor });
  });

  test('a thousand refusals are one event', async () => {
    const clock = new TestClock();
    const kept = new Kept(clock);
    const agent = site.agent(site.lab({ users: 900 }), { clock, events: kept.sink, client: refusing(() => true) });
    const { failed } = await site.sync(agent);
    const added = kept.take().filter(({ event }) => event === 605);
    expect(added.length).toBeLessThan(5);
    expect(added.reduce((sum, { count = 1 }) => sum + Number(count), 0)).toBe(failed);
    expect(failed).toBeGreaterThanOrEqual(900);
    expect(added[0]).toMatchObject({ reason: 'the tenant did not take the password: result 5: try later' });
  });

  test('a tenant that breaks off is told with its tracking id', async () => {
    const clock = new TestClock();
    const kept = new Kept(clock);
    const client = altered(site.client, {
      provisionCredentials: async () => {
        throw new PhsyncError('provisioning-busy', 'the directory is busy', {
          facts: { errorCode: '81', trackingId: 'track-1', serverName: 'server-1' },
        });
      },
    });
    await site.try(site.agent(site.lab({ users: 5 }), { clock, events: kept.sink, client }));
    const told = { errorCode: '81', code: 'provisioning-busy', trackingId: 'track-1', serverName: 'server-1' };
    expect(kept.take().slice(2)).toEqual([
      expect.objectContaining({ event: 650 }),
      expect.objectContaining({ event: 652, ...told, errorDescription: 'the directory is busy' }),
      expect.objectContaining({ event: 611, code: 'provisioning-busy', message: 'the directory is busy' }),
    ]);
  });

  test('a full synchronization that has begun and breaks off has failed, and the next cycle completes it', async () => {
    const clock = new TestClock();
    const kept = new Kept(clock);
    const lab = site.lab({ users: 60 });
    let calls = 0;
    const client = altered(site.client, {
      provisionCredentials: async (items) => {
        if (++calls === 2) throw new PhsyncError('provisioning-unreachable', 'gone');
        return site.client.provisionCredentials(items);
      },
    });
    const agent = site.agent(lab, { clock, events: kept.sink, client, pageSize: 20 });
    await site.try(agent);
    const numbers = () => kept.take().map(({ event }) => event);
    expect(numbers().slice(-2)).toEqual([621, 611]);
    await site.sync(agent);
    expect(numbers().slice(-2)).toEqual([622, 623]);
  });

  test.each([
    ['dc-access-denied', [115, 612, 611]],
    ['dc-unreachable', [612, 611]],
    ['hasher-worker', [615, 612, 611]],
    ['state-busy', [612, 666]],
    ['state-full', [612, 665]],
  ])('a cycle that cannot begin with %s is %j', async (code, numbers) => {
    const clock = new TestClock();
    const kept = new Kept(clock);
    const agent = site.agent(site.lab({ users: 5 }), {
      clock,
      events: kept.sink,
      connectors: [connector({ name: 'forest-b' })],
      openSource: async () => {
        throw new PhsyncError(code, 'not today');
      },
    });
    await site.try(agent);
    const events = kept.take();
    expect(events.map(({ event }) => event)).toEqual(numbers);
    expect(events.at(-1)).toMatchObject({ connector: 'forest-b', code, message: 'not today' });
  });

  test('two connectors are told apart', async () => {
    const clock = new TestClock();
    const kept = new Kept(clock);
    const connectors = ['a', 'b'].map((name) => {
      const domain = `${name}.test`;
      return connector({ name, directory: { type: 'lab', users: 1, seed: 1, domain, changesPerMinute: 0 } });
    });
    const labs = new Map(connectors.map(({ name }, seed) => [name, site.lab({ users: 30, seed, domain: DOMAIN })]));
    const openSource = async ({ name }: { name: string }) => new LabSource(labs.get(name)!);
    const agent = site.agent(labs.get('a')!, { clock, events: kept.sink, connectors, openSource });
    await agent.cycle({ signal: new AbortController().signal });
    const events = kept.take();
    for (const { connector, partitionName } of events) expect(partitionName).toBe(`${connector}.test`);
    // Both have the same users: the tenant takes each from whoever comes first.
    expect(events.map(({ event }) => event)).toEqual(expect.arrayContaining([605, 650, 651]));
    for (const name of ['a', 'b']) {
      const own = events.filter(({ connector }) => connector === name).map(({ event }) => event);
      expect(own).toEqual(expect.arrayContaining([617, 618, 622, 623]));
    }
  });
});
