/** What an agent that runs against a domain controller tells: events in log and state, results of a user, the monitor. */

import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStateReader, type StateReader } from '#src/agent/state/reader.js';
import { guidFromText } from '#src/protocol/dtyp/guid.js';
import { describeDc, facts, setPasswords, special } from './dc.js';
import { Site } from './harness.js';

describeDc('a running agent', () => {
  let site: Site;
  let agent: Awaited<ReturnType<Site['agentRunning']>>;
  let url: string;

  const events = () => agent.log.map((line) => JSON.parse(line)).filter(({ event }) => event !== undefined);
  const text = async (path: string) => (await fetch(url + path)).text();
  function read<T>(work: (reader: StateReader) => T): T {
    const reader = openStateReader(site.agentState)!;
    try {
      return work(reader);
    } finally {
      reader.close();
    }
  }

  beforeAll(async () => {
    site = await Site.start();
    agent = await site.agentRunning({}, { file: { monitor: { port: 0 } } });
    url = agent.log.map((line) => JSON.parse(line)).find(({ msg }) => msg === 'the monitor listens').url;
  });
  afterAll(() => site?.stop());

  it('tells of its first synchronization, with the domain', () => {
    const { dnsDomain } = facts();
    const own = events().filter(({ connector }) => connector !== undefined);
    for (const event of own) expect(event).toMatchObject({ connector: dnsDomain, partitionName: dnsDomain });
    // Of single users only where a page has few.
    const batches = [650, 651, 656, 657];
    expect(own.map(({ event }) => event).filter((number) => !batches.includes(number))).toEqual([617, 618, 622, 623]);
    expect(events().map(({ event }) => event)).toContain(601);
    expect(own.find(({ event }) => event === 622)).toMatchObject({ failed: 0, seen: expect.any(Number) });
  });

  it('is ready, and names the domain controller that it uses', async () => {
    expect(JSON.parse(await text('/readyz'))).toMatchObject({ status: 'ok' });
    const metrics = await text('/metrics');
    const { dnsDomain, dnsHostName } = facts();
    expect(metrics).toMatch(
      new RegExp(`^phsync_directory_info{connector="${dnsDomain}",directory="${dnsHostName}[ "].*} 1$`, 'm'),
    );
    const completed = events().find(({ event }) => event === 622);
    expect(metrics).toContain(`phsync_credentials_sent_total{connector="${dnsDomain}"} ${completed.credentialsSent}\n`);
    expect(metrics).toContain(`phsync_objects_seen_total{connector="${dnsDomain}"} ${completed.seen}\n`);
  });

  it("keeps a user's results, and tells of a changed password", async () => {
    const user = special('expired');
    const guid = guidFromText(user.objectGUID);
    const { dnsDomain } = facts();
    const history = () => read((reader) => reader.history(dnsDomain, guid, 10));
    const [first] = history();
    expect(first).toMatchObject({ status: 'Success', reason: undefined });
    try {
      setPasswords([{ dn: user.dn, password: 'A.New.Passw0rd' }]);
      const config = join(site.directory, 'agent.yaml');
      expect((await site.run(['sync-object', '--config', config, '--dn', user.dn])).code).toBe(0);
      const anchor = Buffer.from(guid).toString('base64');
      // The line comes by another way than the command's end.
      const last = () =>
        events()
          .filter((event) => event.anchor === anchor)
          .slice(-2);
      await expect.poll(() => last().map(({ event }) => event)).toEqual([656, 657]);
      const told = last();
      expect(told[0].dn.toLowerCase()).toBe(user.dn.toLowerCase());
      expect(told[1]).toMatchObject({ result: 'Success', pwdChangeOnLogon: false });
      const results = history();
      expect(results.map(({ status }) => status)).toEqual(['Success', 'Success']);
      expect(results[1]).toEqual(first);
      expect(results[0]!.passwordChanged).toBeGreaterThanOrEqual(first!.passwordChanged!);
      expect(results[0]!.at).toBeGreaterThan(first!.at);
      // Events are stored together, once a second.
      await expect
        .poll(() => read((reader) => reader.events(1, { numbers: [657], connector: dnsDomain })))
        .toEqual([expect.objectContaining({ number: 657, fields: expect.objectContaining({ anchor }) })]);
    } finally {
      setPasswords([{ dn: user.dn, password: user.password! }]);
    }
  });

  it('ends with the agent', async () => {
    process.kill(agent.pid, 'SIGTERM');
    await expect.poll(() => events().map(({ event }) => event), { timeout: 60_000 }).toContain(609);
    await expect.poll(() => text('/healthz').catch(() => 'gone')).toBe('gone');
    expect(read((reader) => reader.events(2)).map(({ number }) => number)).toEqual([609, 602]);
  });
});
