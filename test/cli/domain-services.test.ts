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
  [', passphrase: { env: DS_PASSPHRASE }', '', /keys\[0\]\.privateKey\.passphrase: expected \{ env: NAME \}/],
  [
    '{ env: DS_PASSPHRASE }',
    'geheim',
    /keys\[0\]\.privateKey\.passphrase: expected \{ env: .+ never written into the configuration itself\n$/,
  ],
  [
    'privateKey: { file',
    'privateKey: { fille',
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
    expect(stderr).toMatch(
      /the token refuses the PIN, .+ put keys\[0\]\.privateKey\.pkcs11\.pin right \(CKR_PIN_INCORRECT \(C_Login\)\)/,
    );
    expect(stderr).not.toContain('999999');
    expect(status).toBe(2);
  },
);

it('opens its keys anew at SIGHUP, and goes on with the others where that does not work', async () => {
  const next = makeCertificate(folder, 'next', 'of the tests');
  makeCertificate(folder, 'now', 'of the tests');
  writeFileSync(join(folder, 'client-secret'), 'secret', { mode: 0o644 });
  const withFile = yaml.replace('{ env: DS_SECRET }', '{ file: client-secret }');
  const file = join(folder, 'ds.yaml');
  writeFileSync(file, withFile);
  const [entry] = /\{ certificate: now.+\} \} \}/.exec(yaml)!;
  const both = withFile.replace(entry, `${entry}, ${entry.replaceAll('now.', 'next.')}`);
  const child = spawn(process.execPath, [main, 'domain-services', '--config', 'ds.yaml'], {
    cwd: folder,
    env: { PATH: process.env.PATH, DS_SECRET: 'secret', DS_PASSPHRASE: 'of the tests' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'close');
  const events: Record<string, unknown>[] = [];
  /** What is done to the files before each SIGHUP; then it is ended. */
  const steps = [
    () => writeFileSync(file, both),
    // Read at the start, and not needed since.
    () => rmSync(join(folder, 'client-secret')),
    () => writeFileSync(next.key, 'none'),
    () => writeFileSync(file, 'stateDir: ['),
    () => writeFileSync(file, `${withFile}\nnobody: knows`),
  ];
  for await (const line of createInterface({ input: child.stderr })) {
    const told = JSON.parse(line);
    events.push(told);
    if (!['starts', 'keys-reloaded', 'keys-not-reloaded'].includes(told.event)) continue;
    const step = steps.shift();
    step?.();
    child.kill(step === undefined ? 'SIGTERM' : 'SIGHUP');
  }
  expect(await ended).toEqual([0, null]);
  expect(events.filter(({ event }) => /^keys-/.test(String(event)))).toMatchObject([
    { event: 'keys-reloaded', level: 'info', keys: 2 },
    { event: 'keys-reloaded', level: 'info', keys: 2 },
    {
      event: 'keys-not-reloaded',
      level: 'error',
      code: 'config-key',
      msg: expect.stringMatching(/stay .+cannot be opened.+next\.key/),
    },
    {
      event: 'keys-not-reloaded',
      code: 'config-syntax',
      msg: expect.stringContaining('the configuration cannot be read'),
    },
    {
      event: 'keys-not-reloaded',
      code: 'config-invalid',
      msg: expect.stringContaining('configuration cannot be read'),
    },
  ]);
  const open = events.filter(({ event }) => event === 'secret-file-open');
  expect(open.filter(({ file }) => String(file).endsWith('client-secret'))).toMatchObject(
    Array(2).fill({ level: 'warn', mode: '0644' }),
  );
  expect(events.at(-1)!.event).toBe('ends');
});
