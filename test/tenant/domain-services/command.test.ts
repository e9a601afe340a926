/** `phsync tenant domain-services` as it is typed: what it says, its exit codes, and what it leaves in the audit log. */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { recipientOf } from '#src/provisioning/ad-auth-info.js';
import { createCertificate, type TestCertificate } from '../../provisioning/certificates.js';
import { temporaryDirectory } from '../harness.js';
import { openSqlite } from '../open-sqlite.js';

const main = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let certificate: TestCertificate;
beforeAll(async () => {
  directory = await temporaryDirectory();
  certificate = await createCertificate(2048);
  const file = (name: string, text: string | Buffer) => writeFileSync(join(directory.path, name), text);
  file('certificate.der', certificate.der);
  const ended = await createCertificate(2048, { from: Date.now() - 7_200_000, to: Date.now() - 3_600_000 });
  file('ended.der', ended.der);
  file('tenant.yaml', 'stateDir: .\nlisten: { port: 0 }\ndomains: [{ name: phs.test }]\n');
});
afterAll(() => directory.remove());

function phsync(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [main, 'tenant', 'domain-services', ...args, '--config', 'tenant.yaml'],
    { cwd: directory.path, encoding: 'utf8' },
  );
  return { status, stdout, stderr };
}

it('enables, shows, sets and disables, beside a tenant', { timeout: 240_000 }, async () => {
  expect(phsync('show')).toMatchObject({ status: 3, stderr: expect.stringContaining('no tenant has run') });
  const store = openSqlite(directory.path);
  try {
    expect(phsync('show', '--json')).toMatchObject({ status: 0, stdout: expect.stringContaining('"enabled":false') });
    const named = ['--domain', 'aadds.phs.test', '--certificate', 'certificate.der'];
    const enabled = phsync('enable', ...named, '--setting', 'SyncNtlmPasswords=Disabled', 'kerberosArmoring=enabled');
    expect(enabled).toMatchObject({ status: 0, stderr: '' });
    const thumbprint = recipientOf(certificate.der).thumbprint.toString('hex');
    expect(enabled.stdout).toContain('agents send NT hashes and Kerberos keys');
    expect(enabled.stdout).toContain(`certificate ${thumbprint}, the newest`);
    expect(enabled.stdout).toMatch(/ {2}syncNtlmPasswords Disabled\n(.*\n)*? {2}kerberosArmoring Enabled\n/);
    expect(enabled.stdout).toMatch(/^Warning: .* in 0 days: add a new one\.$/m);
    const ntlm = (value: string) => phsync('set', '--setting', `SyncNtlmPasswords=${value}`).stdout;
    expect(ntlm('Disabled')).toMatch(/^Domain Services for/);
    expect(ntlm('Enabled')).toMatch(/^Agents seal the NT hashes again .*\nagent .*: phsync agent .* --once --full\n/);
    expect(ntlm('Disabled')).toMatch(/^Agents seal random NT hashes .*\nagent .*: phsync agent .* --once --full\n/);
    const ended = phsync('add-certificate', '--certificate', 'ended.der');
    expect(ended).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('agents would send no keys for anybody'),
    });
    expect(phsync('show').stdout).toBe(phsync('enable').stdout.replace(/^From .*\n/, ''));
    expect(phsync('add-certificate', '--certificate', 'ended.der', '--force')).toMatchObject({ status: 0 });
    expect(JSON.parse(phsync('disable', '--json').stdout)).toMatchObject({ enabled: false, deleted: 0 });
    expect(ntlm('Enabled')).toMatch(/^Domain Services are disabled: .*\nDomain Services for/);
    expect(phsync('disable')).toMatchObject({ status: 3, stderr: expect.stringContaining('not enabled') });
    const acts = await store.database.run((queries) =>
      queries.selectFrom('audit_events').select(['actor_kind', 'actor_id', 'activity']).orderBy('id').execute(),
    );
    expect(acts.map(({ actor_kind, actor_id }) => `${actor_kind} ${actor_id}`)).toEqual([
      'system phsync tenant domain-services enable',
      ...Array.from({ length: 3 }, () => 'system phsync tenant domain-services set'),
      'system phsync tenant domain-services enable',
      'system phsync tenant domain-services add-certificate',
      'system phsync tenant domain-services disable',
      'system phsync tenant domain-services set',
    ]);
  } finally {
    await store.close();
  }
});

it.each([
  [['set'], "required option '--setting <name=value>' not specified"],
  [['set', '--setting', 'NtlmV1=Perhaps'], '--setting: expected NAME=Enabled or NAME=Disabled'],
  [['remove-certificate', '--thumbprint', 'xy'], '--thumbprint: expected 40 hexadecimal digits'],
  [
    ['disable', '--force'],
    "option '--force' belongs to phsync tenant domain-services enable and add-certificate and remove-certificate",
  ],
  [['enable', '--certificate', 'nowhere.pem'], 'cannot read nowhere.pem'],
  [[], 'what of Domain Services? Expected one of show, enable'],
])('says what is wrong with %j', (args, words) => {
  expect(phsync(...args)).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining(words) });
});

it('names the file that is no certificate for it, and tells a private key', { timeout: 240_000 }, async () => {
  const small = await createCertificate(1024);
  const curve = await createCertificate('P-256');
  const key = certificate.privateKey;
  const expected = 'expected a certificate (PEM or DER); it is a private key';
  const files: readonly [string, string | Buffer, string][] = [
    ['small.der', small.der, 'an RSA key of 2048 to 16384 bits expected, not rsa of 1024'],
    ['curve.der', curve.der, 'an RSA key of 2048 to 16384 bits expected, not ec'],
    ['text.pem', 'certificate', 'X.509 expected, which these 11 bytes are not'],
    ['pkcs8.key', key.export({ type: 'pkcs8', format: 'pem' }), expected],
    ['pkcs1.key', key.export({ type: 'pkcs1', format: 'der' }), expected],
    ['pkcs8.der', key.export({ type: 'pkcs8', format: 'der' }), expected],
    ['sec1.der', curve.privateKey.export({ type: 'sec1', format: 'der' }), expected],
    ['locked.key', key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'phsync' }), expected],
  ];
  for (const [name, bytes, words] of files) {
    writeFileSync(join(directory.path, name), bytes);
    const { status, stdout, stderr } = phsync('enable', '--domain', 'aadds.phs.test', '--certificate', name);
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(new RegExp(`^phsync: ${name}: `));
    expect(stderr).toContain(words);
  }
});
