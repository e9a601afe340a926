/** `phsync domain-services`: what it refuses before it does anything, and with which exit code. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { makeCertificate, makeToken } from '../domain-services/keys/certificates.js';
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

const softhsm = existsSync('/usr/lib/softhsm/libsofthsm2.so');
it.skipIf(!softhsm && process.env.CI !== 'true').each([
  ['a single run', ['--once']],
  ['the service', []],
])(
  'ends %s with exit code 2 where a token refuses the PIN: it is not to be started again and again',
  async (_, args) => {
    const { plainKey } = makeCertificate(folder, 'now', 'of the tests');
    const { module, label } = makeToken(folder, `cli${args.length}`, [plainKey]);
    const place = `pkcs11: { module: ${module}, token: ${label}, pin: { env: DS_PASSPHRASE } }`;
    const text = yaml.replace(/privateKey: \{ .+? \} \}/, `privateKey: { ${place} }`);
    const { SOFTHSM2_CONF } = process.env;
    writeFileSync(join(folder, 'ds.yaml'), text);
    const env = { PATH: process.env.PATH, DS_SECRET: 'secret', DS_PASSPHRASE: '999999', SOFTHSM2_CONF };
    const command = [main, 'domain-services', '--config', 'ds.yaml', ...args];
    const { status, stderr } = await execute(process.execPath, command, { cwd: folder, env });
    expect(stderr).toMatch(/CKR_PIN_INCORRECT/);
    expect(stderr).not.toContain('999999');
    expect(status).toBe(2);
  },
);

it('goes on at SIGHUP, and says that it has to be started again for what is new', async () => {
  makeCertificate(folder, 'now', 'of the tests');
  writeFileSync(join(folder, 'ds.yaml'), yaml);
  const child = spawn(process.execPath, [main, 'domain-services', '--config', 'ds.yaml'], {
    cwd: folder,
    env: { PATH: process.env.PATH, DS_SECRET: 'secret', DS_PASSPHRASE: 'of the tests' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'close');
  const events: unknown[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    const { event } = JSON.parse(line);
    // Twice: the second one ends nothing either.
    if (event === 'starts') child.kill('SIGHUP');
    if (event === 'reload-ignored') {
      child.kill(events.includes(event) ? 'SIGTERM' : 'SIGHUP');
    }
    events.push(event);
  }
  expect(await ended).toEqual([0, null]);
  expect(events.filter((event) => event === 'reload-ignored')).toHaveLength(2);
  expect(events.at(-1)).toBe('ends');
});
