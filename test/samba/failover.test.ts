/** Two domain controllers of one domain: found by DNS, one asked when the other fails, and nothing sent again that need not be. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { Agent, type CycleReport } from '#src/agent/agent.js';
import type { DrsDirectoryConfig } from '#src/agent/config.js';
import type { EventSink } from '#src/agent/events/event.js';
import { openSource } from '#src/agent/sources/open-source.js';
import { connector, TestClock, TestSite } from '../agent/site.js';
import { describeDc } from './dc.js';
import { OwnDc } from './own-dc.js';
import { TroubledDc } from './proxy.js';

const REALM = 'TWO.TEST';
const DOMAIN = 'two.test';
const USERS = 60;
/** Objects of a domain that was just made, beside these users. */
const OTHERS = 200;
const PASSWORD = 'AD_PASSWORD';

interface Told {
  readonly number: number;
  readonly server: unknown;
}

describeDc('a domain with two domain controllers', () => {
  let first: OwnDc;
  let second: OwnDc;
  let site: TestSite;
  const clock = new TestClock();
  const agents: Agent[] = [];

  beforeAll(async () => {
    first = await OwnDc.start({ realm: REALM, dns: true, users: USERS, ntOnly: true });
    second = await OwnDc.start({ join: first, host: 'dc2' });
    site = await TestSite.start([DOMAIN]);
  });
  afterAll(async () => {
    for (const agent of agents) await agent.close();
    await site?.stop();
    await second?.close();
    await first?.close();
  });

  const listed = (...controllers: readonly OwnDc[]) =>
    controllers.map(({ facts }) => ({ server: facts.dnsHostName, address: facts.host }));

  /** An agent with state of its own, by name, whose directory is asked as `where` says. */
  function agentWith(name: string, where: Partial<DrsDirectoryConfig>) {
    const told: Told[] = [];
    const events: EventSink = {
      emit: (number, fields = {}) => void told.push({ number, server: fields.server }),
      forUsers: () => undefined,
    };
    const { name: user, password } = first.special('sync-account');
    const directory = {
      type: 'drs' as const,
      domain: DOMAIN,
      auth: { mechanism: 'ntlm' as const, user, password: { env: PASSWORD }, allowRc4: false },
      timeoutSeconds: 5,
      ...where,
    };
    const env = { [PASSWORD]: password! };
    const agent = new Agent({
      connectors: [connector({ name, directory })],
      client: site.client,
      hasher: site.hasher,
      store: site.store,
      clock,
      log: site.log,
      events,
      openSource: (config, signal) =>
        openSource(config, { env, log: site.log, events, clock, allowMd5InFips: false }, signal),
    });
    agents.push(agent);
    return { agent, failed: () => told.filter(({ number }) => number === 616).map(({ server }) => server) };
  }

  async function sync(agent: Agent): Promise<CycleReport> {
    return site.sync(agent);
  }

  /** The user's password in the tenant is this one. */
  async function hasPassword(n: number, password: string): Promise<boolean> {
    const user = await site.tenant.store.findSignInUser(nameOf(n));
    return user?.credential !== undefined && (await site.hasher.verify(user.credential, password));
  }

  const nameOf = (n: number) => `u${String(n).padStart(7, '0')}@${DOMAIN}`;

  /** By user principal name: how many changes of the password the tenant has taken. */
  async function passwordsTaken(): Promise<ReadonlyMap<string, number>> {
    const rows = await site.tenant.store.database.run((queries) =>
      queries
        .selectFrom('credential_history')
        .innerJoin('users', 'users.id', 'credential_history.user_id')
        .groupBy('users.user_principal_name')
        .select(({ fn }) => ['users.user_principal_name as name', fn.countAll<number>().as('times')])
        .execute(),
    );
    return new Map(rows.map(({ name, times }) => [name, Number(times)]));
  }

  const dnOf = (n: number) => `CN=u${String(n).padStart(7, '0')},OU=Bulk,${first.facts.baseDn}`;

  it('names both of them by DNS, which Samba serves', async () => {
    const { agent, failed } = agentWith('by dns', {
      dnsServers: [first.facts.host],
      site: 'Default-First-Site-Name',
    });
    const report = await sync(agent);
    expect(report.seen).toBeGreaterThan(USERS + OTHERS);
    expect(report.directory).toMatch(/^dc[12]\.two\.test \(127\./);
    expect(failed()).toEqual([]);
  });

  it('goes on with the other one when one dies, and back when it is well again', async () => {
    const { agent, failed } = agentWith('listed', { servers: listed(first, second) });
    const whole = await sync(agent);
    expect(whole.directory).toContain('dc1');
    expect(whole.seen).toBeGreaterThan(USERS + OTHERS);

    await first.kill();
    second.setPasswords([{ dn: dnOf(1), password: 'Set-at-the-second-1' }]);
    const without = await sync(agent);
    expect(without.directory).toContain('dc2');
    expect(failed()).toEqual(['dc1.two.test']);
    expect(await hasPassword(1, 'Set-at-the-second-1')).toBe(true);
    // The up-to-dateness vector keeps back what the first has told; what comes is what the second alone has changed.
    expect(without.seen).toBeLessThan(USERS);

    // It stays where it is, though the first one may be asked again by now, and is still away.
    second.setPasswords([{ dn: dnOf(2), password: 'Set-at-the-second-2' }]);
    expect(await sync(agent)).toMatchObject({ directory: without.directory, seen: 1, credentialsSent: 1 });
    clock.time += 11 * 60_000;
    expect(await sync(agent)).toMatchObject({ directory: without.directory, seen: 0 });
    await expect.poll(failed).toEqual(['dc1.two.test', 'dc1.two.test']);

    await first.restart();
    await first.replicateFrom(second);
    clock.time += 11 * 60_000;
    const before = await sync(agent);
    expect(before.directory).toBe(without.directory);
    await expect.poll(async () => (await sync(agent)).directory, { timeout: 60_000 }).toContain('dc1');
    first.setPasswords([{ dn: dnOf(3), password: 'Set-at-the-first-3' }]);
    const back = await sync(agent);
    expect(back.directory).toContain('dc1');
    expect(await hasPassword(3, 'Set-at-the-first-3')).toBe(true);
    // Of what the second one told, nothing comes again.
    expect(back.credentialsSent).toBe(1);
    expect(failed()).toHaveLength(2);
  });

  it('goes on in the same cycle when one dies in the middle of a page', async () => {
    const counter = await TroubledDc.start(undefined, first.facts);
    const pageSize = 100;
    const through = (proxy: TroubledDc) => [
      { server: first.facts.dnsHostName, address: proxy.address },
      ...listed(second),
    ];
    const whole = await sync(agentWith('counted', { servers: through(counter), pageSize }).agent);
    const bytes = counter.replicated;
    counter.close();
    expect(whole.directory).toContain('dc1');

    const then = 'cut';
    const proxy = await TroubledDc.start({ afterBytes: Math.round(bytes * 0.6), then }, first.facts);
    try {
      const { agent, failed } = agentWith('cut', { servers: through(proxy), pageSize });
      const report = await sync(agent);
      expect(report.directory).toContain('dc2');
      expect(failed()).toEqual(['dc1.two.test']);
      expect(report.inScope).toBeGreaterThanOrEqual(whole.inScope);
      // Nobody's password is sent twice.
      expect(report.credentialsSent).toBe(whole.credentialsSent);
    } finally {
      proxy.close();
    }
  });

  it('passes by no change of one that was restored from a backup', async () => {
    // What was set at the first one in an earlier test comes here by replication, at a time of its own: before, and not between.
    await second.replicateFrom(first);
    const { agent } = agentWith('restored', { servers: listed(second) });
    await sync(agent);
    await second.stop();
    await second.backUp();
    await second.restart();
    // Its USN runs ahead of the backup's, and of what the restored one writes by itself and hears from the other.
    for (let round = 0; round < 5; round++) {
      second.setPasswords(
        Array.from({ length: 20 }, (_, i) => ({ dn: dnOf(10 + i), password: `Passing-${round}-${i}` })),
      );
    }
    const changed = Array.from({ length: 20 }, (_, i) => ({ n: 10 + i, password: `Before-restore-${i}` }));
    second.setPasswords(changed.map(({ n, password }) => ({ dn: dnOf(n), password })));
    const taken = await passwordsTaken();
    const { credentialsSent, failed } = await sync(agent);
    expect(failed).toBe(0);
    const since = await passwordsTaken();
    // Each of them once, with the newest password; what was sent besides is another user's, whose own change came meanwhile.
    const takenSince = [...since].filter(([name, times]) => times > (taken.get(name) ?? 0));
    for (const { n, password } of changed) {
      expect(since.get(nameOf(n))! - (taken.get(nameOf(n)) ?? 0), nameOf(n)).toBe(1);
      expect(await hasPassword(n, password), nameOf(n)).toBe(true);
    }
    expect(credentialsSent, JSON.stringify(takenSince)).toBe(takenSince.length);
    await second.stop();
    await second.restore();
    await second.restart();
    second.setPasswords([{ dn: dnOf(4), password: 'After-the-restore-4' }]);
    const report = await sync(agent);
    expect(await hasPassword(4, 'After-the-restore-4')).toBe(true);
    // Going back undid nothing.
    for (const { n, password } of changed) expect(await hasPassword(n, password), nameOf(n)).toBe(true);
    expect(report.seen).toBeLessThan(USERS);
    expect(report.failed).toBe(0);
  });

  it('says of each of them why it could not be used', async () => {
    const { agent, failed } = agentWith('nowhere', {
      servers: [
        { server: 'dc8.two.test', address: '127.255.3.1' },
        { server: 'dc9.two.test', address: '127.255.3.2' },
      ],
    });
    const { error } = await site.try(agent);
    expect(error).toMatchObject({ code: 'dc-unreachable' });
    expect(error?.message).toMatch(/none of 2 domain controllers.*127\.255\.3\.1.*127\.255\.3\.2/);
    expect(failed()).toEqual(['dc8.two.test', 'dc9.two.test']);
  });
});
