/** `phsync sync-object` on a real system: what it says it did is done when it ends, with an agent and without one. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDc, facts, setPasswords, special } from './dc.js';
import { DiagnosisSite, directoryOf, type Plant } from './diagnosis.js';
import { upnOf } from './harness.js';

describeDc('phsync sync-object', () => {
  let at: DiagnosisSite;
  beforeAll(async () => {
    at = await DiagnosisSite.start();
  });
  afterAll(() => at?.stop());

  async function sync(dn: string, work: Plant = () => undefined) {
    try {
      const { file, env } = await at.plant(work);
      const { code, stdout } = await at.site.run(['sync-object', '--config', file, '--dn', dn, '--json'], env);
      const document = JSON.parse(stdout) as Record<string, unknown>;
      return { ...document, code, reason: document.reason };
    } finally {
      await at.undo();
    }
  }

  it.each([
    ['Success', 'unicode', 0, undefined],
    ['FilteredByTarget', 'must-change', 1, /must be changed/],
    ['NoPassword', 'no-password', 1, /no password/],
    ['NoTargetConnection', 'inetOrgPerson', 1, /class/],
    ['NoTargetConnection', 'computer', 1, /class/],
  ])('ends with %s for the account of the kind %s', async (status, kind, code, reason) => {
    const result = await sync(special(kind).dn);
    expect(result).toMatchObject({ code, status, done: code === 0, by: 'this process', connector: facts().dnsDomain });
    if (reason !== undefined) expect(result.reason).toMatch(reason);
  });

  it('says that the directory has no such object', async () => {
    const result = await sync(`CN=nobody,${facts().baseDn}`);
    expect(result).toMatchObject({ code: 1, status: 'SourceConnectorNotPresent', user: 'unchanged' });
  });

  it('fails where directory or tenant cannot be asked', async () => {
    const { dn } = special('plain');
    const noDirectory = await sync(dn, ({ config }) => {
      directoryOf(config).address = '127.255.1.1';
    });
    expect(noDirectory).toMatchObject({ code: 3, error: { code: 'dc-unreachable' } });
    const noTenant = await sync(dn, ({ config }) => {
      config.tenant.url = 'https://127.255.1.1:8443/provisioningservice.svc';
    });
    expect(noTenant).toMatchObject({ code: 3, error: { code: 'token-unreachable' } });
  });

  it('refuses a connector that is disabled, and a call without --dn', async () => {
    const disabled = await sync(special('plain').dn, ({ config }) => {
      config.connectors[0]!.enabled = false;
    });
    expect(disabled).toMatchObject({ code: 2, error: { code: 'usage-connector' } });
    const { file } = await at.plant(() => undefined);
    expect((await at.site.run(['sync-object', '--config', file])).code).toBe(2);
  });

  it('has the tenant take a new password, by itself, by a running agent, and after that one was killed', async () => {
    const { dn, name, password } = special('long');
    const signIn = (text: string) => at.site.signIn(upnOf(name), text);
    const change = async (text: string, by: string) => {
      setPasswords([{ dn, password: text }]);
      expect(await signIn(text)).not.toBe(0);
      expect(await sync(dn)).toMatchObject({ code: 0, status: 'Success', passwordSent: true, by });
      expect(await signIn(text)).toBe(0);
    };
    try {
      await change('Sync.Object.1', 'this process');
      const { pid } = await at.site.agentRunning();
      await change('Sync.Object.2', 'the running agent');
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => sync(dn)).toMatchObject({ code: 0, by: 'this process' });
      expect(existsSync(join(at.site.agentState, 'agent.sock'))).toBe(true);
      await change('Sync.Object.3', 'this process');
    } finally {
      setPasswords([{ dn, password: password! }]);
    }
  });
});
