/** What the diagnosis says of the secrets that a configuration names, with real files. */

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { agentConfigSchema } from '#src/agent/config.js';
import { checkSecrets } from '#src/agent/diagnosis/configuration.js';
import { parseConfig } from '#src/config/load-config.js';

const directory = mkdtempSync(join(tmpdir(), 'phsync-secrets.'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, mode: number): string {
  const path = join(directory, name);
  writeFileSync(path, 'a secret');
  chmodSync(path, mode);
  return path;
}

/** With these as the client's secret and as the logon of the only connector. */
function check(clientSecret: object, auth: object, env: NodeJS.ProcessEnv = {}) {
  const text = JSON.stringify({
    stateDir: './state',
    tenant: { url: 'https://t.test/p.svc', auth: { clientId: 'a', clientSecret } },
    connectors: [{ name: 'phs.test', directory: { type: 'drs', server: 'dc1.phs.test', domain: 'phs.test', auth } }],
  });
  return checkSecrets(parseConfig(text, join(directory, 'agent.yaml'), agentConfigSchema), env);
}

const logon = (password: object) => ({ user: 'phs.sync', password });

describe('the secrets', () => {
  it('are well in files of their owner alone, and in variables', async () => {
    const well = await check({ file: file('closed', 0o600) }, logon({ env: 'P' }), { P: 'x' });
    expect(well).toMatchObject({ status: 'ok', finding: 'all 2 can be read' });
  });

  it('and keytabs that others may read are a warning', async () => {
    const [group, all] = [file('group', 0o640), file('agent.keytab', 0o604)];
    const keytab = { mechanism: 'kerberos', user: 'phs.sync', keytab: './agent.keytab' };
    const { status, finding, advice } = await check({ file: group }, keytab);
    expect([status, finding]).toEqual([
      'warning',
      `open to other users of this machine: ${group} (mode 0640), ${all} (mode 0604)`,
    ]);
    expect(advice).toContain(`chmod 600 ${group} ${all}`);
  });

  it("are systemd's affair where it hands them out", async () => {
    const handedOut = join(directory, 'handed-out');
    mkdirSync(handedOut);
    const path = file('handed-out/ad-password', 0o440);
    const env = { CREDENTIALS_DIRECTORY: handedOut };
    expect(await check({ file: path }, logon({ credential: 'ad-password' }), env)).toMatchObject({ status: 'ok' });
  });

  it('that are credentials need CREDENTIALS_DIRECTORY, which the advice says', async () => {
    const both = await check({ credential: 'client-secret' }, logon({ credential: 'ad-password' }));
    expect(both.status).toBe('error');
    expect(both.advice).toMatch(
      /^Set CREDENTIALS_DIRECTORY to the directory that holds the files client-secret, ad-password: .*LoadCredential=/,
    );
    expect(both.advice).not.toContain('Run this as the user');
    const mixed = await check({ credential: 'client-secret' }, logon({ env: 'P' }));
    expect(mixed.advice).toMatch(/the file client-secret: .*Run this as the user and with the environment/);
  });

  it('that are not there are named in words', async () => {
    const { status, finding, advice } = await check(
      { file: './none' },
      {
        mechanism: 'kerberos',
        user: 'phs.sync',
        keytab: './none.keytab',
      },
    );
    expect(status).toBe('error');
    expect(finding).toMatch(/secret's file .*none: no such file; .*the keytab .*none\.keytab: no such file$/);
    expect(advice).toMatch(/^Run this as the user/);
  });
});
