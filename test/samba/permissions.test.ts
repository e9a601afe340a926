/** `phsync permissions` against a real domain controller: the commands that it prints do what they are to do. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CheckResult } from '#src/agent/diagnosis/check.js';
import { describeDc, facts, modify } from './dc.js';
import { DiagnosisSite, directoryOf } from './diagnosis.js';

describeDc('phsync permissions', () => {
  let at: DiagnosisSite;
  beforeAll(async () => {
    at = await DiagnosisSite.start(false);
  });
  afterAll(() => at?.stop());

  it('prints the commands that grant the rights, which a real domain controller takes', async () => {
    const password = Buffer.from('"Grantee.Passw0rd.1"', 'utf16le').toString('base64');
    const dn = `CN=phs grantee,OU=Special,${facts().baseDn}`;
    modify(
      `dn: ${dn}\nchangetype: add\nobjectClass: user\nsAMAccountName: phs.grantee\nuserAccountControl: 512\n` +
        `unicodePwd:: ${password}\n\n`,
    );
    try {
      const { file, env } = await at.plant(({ config, env: own }) => {
        directoryOf(config).auth = { user: 'phs.grantee', password: { env: 'ACCOUNT_PASSWORD' } };
        own.ACCOUNT_PASSWORD = 'Grantee.Passw0rd.1';
      });
      const check = async () => {
        const { code, stdout } = await at.site.run(['permissions', '--config', file, '--check', '--json'], env);
        const { checks } = JSON.parse(stdout) as { checks: CheckResult[] };
        return [code, ...checks.map(({ id, status }) => `${id} ${status}`)];
      };
      expect(await check()).toEqual([1, 'right-get-changes error', 'right-get-changes-all skipped']);
      const { stdout } = await at.site.run(['permissions', '--config', file, '--grant-command'], env);
      expect(stdout).toContain('dsacls "DC=phs,DC=test" /G "PHS\\phs.grantee:CA;Replicating Directory Changes All"\n');
      const [sid, changes, all] = stdout.slice(stdout.indexOf('sid=')).split('\n');
      const onTheController = (...lines: (string | undefined)[]) => {
        const script = lines.join('\n');
        const environment = { ...process.env, SMB_CONF_PATH: join(facts().directory, 'smb.conf') };
        execFileSync('/bin/sh', ['-e', '-c', script], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
      };
      onTheController(sid, all);
      expect(await check()).toEqual([1, 'right-get-changes error', 'right-get-changes-all skipped']);
      onTheController(sid, changes);
      expect(await check()).toEqual([0, 'right-get-changes ok', 'right-get-changes-all ok']);
    } finally {
      await at.undo();
      modify(`dn: ${dn}\nchangetype: delete\n\n`);
    }
  });
});
