/** `phsync domain-services`: what it refuses before it does anything, and with which exit code. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { makeCertificate } from '../domain-services/keys/certificates.js';
import { execute } from '../package/tools.js';

const main = join(fileURLToPath(new URL('../..', import.meta.url)), 'dist/cli/main.js');
const folder = mkdtempSync(join(tmpdir(), 'phsync-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const yaml = `
stateDir: ./state
tenant: { url: https://127.0.0.1:1, auth: { clientId: ds, clientSecret: { env: DS_SECRET } } }
keys: [{ certificate: now.pem, privateKey: { file: now.key, passphrase: { env: DS_PASSPHRASE } } }]
managedDomain: { type: samba, smbConf: /nowhere/smb.conf }
`;
const run = (text: string, ...args: string[]) => {
  writeFileSync(join(folder, 'ds.yaml'), text);
  const env = { PATH: process.env.PATH, DS_SECRET: 'secret', DS_PASSPHRASE: 'of the tests' };
  return execute(process.execPath, [main, 'domain-services', '--config', 'ds.yaml', ...args], { cwd: folder, env });
};

it.each([
  ['--json', /--json goes with --once/],
  ['--dry-run', /--dry-run goes with --once/],
])('refuses %s without --once', async (option, words) => {
  const { status, stdout, stderr } = await run(yaml, option);
  expect([status, `${stdout}${stderr}`]).toEqual([2, expect.stringMatching(words)]);
});

const wrong: [string, string, RegExp][] = [
  ['type: samba', 'type: windows', /line 5: managedDomain\.type: expected "samba"/],
  ['https://127', 'http://127', /tenant\.url: expected an https URL/],
  ['stateDir: ./state', 'waitSeconds: 31\nstateDir: ./state', /waitSeconds: expected number to be <=30/],
  ['stateDir: ./state', 'stateDirr: ./state', /stateDirr: unknown key; did you mean stateDir\?/],
  [
    ', passphrase: { env: DS_PASSPHRASE }',
    '',
    /keys\[0\]\.privateKey: expected \{ file: PATH, passphrase: .+ or \{ pkcs11/,
  ],
  ['certificate: now.pem', 'certificate: none.pem', /keys\[0\]\.certificate: cannot read .+none\.pem/],
];
it.each(wrong)('says what is wrong where %s is %s', async (from, to, words) => {
  const { status, stderr } = await run(yaml.replace(from, to), '--once');
  expect(stderr).toMatch(words);
  expect(status).toBe(2);
});

it('names the domain controller that is none, with exit code 3', async () => {
  makeCertificate(folder, 'now', 'of the tests');
  const { status, stderr, stdout } = await run(yaml, '--once', '--json');
  expect(status, stderr).toBe(3);
  expect(JSON.parse(stdout)).toMatchObject({
    error: { code: expect.stringMatching(/^managed-domain-(not-a-dc|helper)$/) },
  });
  expect(stderr).not.toMatch(/of the tests|"secret"/);
});
