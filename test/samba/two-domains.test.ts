/**
 * Two domains in one agent, one of whose domain controllers is killed in the middle of its first synchronization and
 * started again later: the other is unaffected, nothing is lost, and the events tell the story. With cycles of a second
 * in place of two minutes.
 */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { Agent } from '#src/agent/agent.js';
import { systemClock } from '#src/agent/clock.js';
import type { EventSink } from '#src/agent/events/event.js';
import { openSource } from '#src/agent/sources/open-source.js';
import { connector, TestSite } from '../agent/site.js';
import { type DcFacts, type DcUser, describeDc, facts, setPasswords, special, users } from './dc.js';
import { OwnDc } from './own-dc.js';

const USERS = 400;
const SECRET = 'AD_PASSWORD';
const steady = 'steady';
const killed = 'killed';

interface Told {
  readonly number: number;
  readonly connector: unknown;
  readonly code: unknown;
}

describeDc('two domains in one agent', () => {
  let dc: OwnDc;
  let site: TestSite;
  beforeAll(async () => {
    dc = await OwnDc.start({ realm: 'KILLED.TEST', users: USERS, ntOnly: true });
    site = await TestSite.start([facts().dnsDomain, dc.facts.dnsDomain]);
  });
  afterAll(async () => {
    await site?.stop();
    await dc?.close();
  });

  const configOf = (name: string, { dnsHostName, host, dnsDomain }: DcFacts, account: DcUser, pageSize: number) =>
    connector({
      name,
      directory: {
        type: 'drs',
        server: dnsHostName,
        address: host,
        domain: dnsDomain,
        auth: { mechanism: 'ntlm', user: account.name, password: { env: SECRET }, allowRc4: false },
        pageSize,
        timeoutSeconds: 10,
      },
    });

  /** People of the manifest whose password in the tenant is not the directory's. */
  async function wrong(people: readonly DcUser[], domain: string): Promise<string[]> {
    const found: string[] = [];
    for (const { name, password } of people) {
      const user = await site.tenant.store.findSignInUser(`${name}@${domain}`);
      const right = user?.credential !== undefined && (await site.hasher.verify(user.credential, password!));
      if (!right) found.push(name);
    }
    return found;
  }

  it('does not let one suffer from the other', async () => {
    const told: Told[] = [];
    const events: EventSink = {
      emit: (number, { connector: name, code } = {}) => void told.push({ number, connector: name, code }),
      forUsers: () => undefined,
    };
    const of = (name: string) => told.filter((each) => each.connector === name).map(({ number }) => number);
    let pulled!: () => void;
    const inTheMiddle = new Promise<void>((resolve) => {
      pulled = resolve;
    });
    const env = { [SECRET]: special('sync-account').password! };
    const agent = new Agent({
      connectors: [
        configOf(steady, facts(), special('sync-account'), 1000),
        configOf(killed, dc.facts, dc.special('sync-account'), 20),
      ],
      client: site.client,
      hasher: site.hasher,
      store: site.store,
      clock: systemClock,
      log: site.log,
      events,
      openSource: async (config, signal) => {
        const source = await openSource(
          config,
          { env, log: site.log, events, clock: systemClock, allowMd5InFips: false },
          signal,
        );
        if (config.name !== killed) return source;
        // Holds it in the middle until the domain controller is dead: pages come faster than a process ends.
        const { pages } = source;
        let count = 0;
        source.pages = async function* (...position) {
          for await (const page of pages.apply(source, position)) {
            yield page;
            if (++count === 12) {
              pulled();
              await dead;
            }
          }
        };
        return source;
      },
      pace: { intervalMs: 1000 },
    });
    let died!: () => void;
    const dead = new Promise<void>((resolve) => {
      died = resolve;
    });
    const stop = new AbortController();
    const run = agent.run({ signal: stop.signal });
    const last = (name: string) => agent.status().connectors.find((each) => each.name === name)!.lastCycle;
    const wait = { timeout: 60_000, interval: 50 };
    try {
      await inTheMiddle;
      await dc.kill();
      died();
      await expect.poll(() => last(killed)?.error?.code, wait).toMatch(/^dc-(connection-lost|unreachable)$/);
      // It says so at each cycle, and the other one goes on as if nothing were.
      await expect.poll(() => of(killed).filter((number) => number === 611).length, wait).toBeGreaterThan(2);
      expect(last(killed)?.error?.code).toBe('dc-unreachable');
      await expect.poll(() => last(steady)?.error === undefined && last(steady)?.seen === 0, wait).toBe(true);
      const changed = users().find(({ kind }) => kind === 'bulk')!;
      const password = `In-the-outage-${Date.now()}`;
      setPasswords([{ dn: changed.dn, password }]);
      await expect.poll(() => wrong([{ ...changed, password }], facts().dnsDomain), wait).toEqual([]);
      // Other tests sign in with what the manifest says.
      setPasswords([{ dn: changed.dn, password: changed.password! }]);

      await dc.restart();
      await expect.poll(() => of(killed).at(-1), wait).toBe(623);
      await expect.poll(() => last(killed)?.error, wait).toBeUndefined();
    } finally {
      died();
      stop.abort();
      await run;
      await agent.close();
    }

    const bulk = dc.users.filter(({ kind }) => kind === 'bulk');
    expect(bulk).toHaveLength(USERS);
    expect(await wrong(bulk, dc.facts.dnsDomain)).toEqual([]);
    const whole = (name: string) => of(name).filter((number) => number >= 611 && number <= 623 && number !== 619);
    expect(whole(steady)).toEqual([617, 618, 622, 623]);
    const story = whole(killed);
    expect(story.slice(0, 5)).toEqual([617, 618, 616, 621, 611]);
    expect(story.slice(5, -2).every((number) => [616, 611].includes(number))).toBe(true);
    expect(story.slice(-2)).toEqual([622, 623]);
  });
});
