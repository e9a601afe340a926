/** Keys for Domain Services of a real domain controller's accounts: agent and tenant as processes, blobs opened with the private key. */

import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { defaultSalt, KerberosKeyType, stringToKey } from '#src/crypto/string-to-key.js';
import { Dam } from '../dam.js';
import { createCertificate, type TestCertificate } from '../provisioning/certificates.js';
import { type OpenedKeys, openKeys } from '../provisioning/open-keys.js';
import { type KnownHash, SecretScanner } from '../secrets/secret-scan.js';
import { type DcUser, describeDc, facts, setPasswords, special, users } from './dc.js';
import { type AgentRun, type DirectoryOptions, Site } from './harness.js';

/** Of the special accounts, those of which no password is in the tenant. */
const WITHOUT = ['inetOrgPerson', 'computer', 'must-change', 'no-password'];
/** Bulk users that are looked at: string-to-key takes some milliseconds each. */
const LOOKED_AT = 200;
/** Put into the agent's environment, and so into its memory: the search must find this one. */
const PLANTED = '0ddba115ca1ab1e1deadbeef0c0ffee9';
/** What a user's two blobs take on the wire, about. */
const BYTES_OF_KEYS = 1400;
const PASSWORDS = join(dirname(fileURLToPath(import.meta.url)), 'dc', 'passwords.py');

interface Stored {
  readonly legacy: Buffer | null;
  readonly supplemental: Buffer | null;
}

/** As an old tool does, or a migration: the domain controller makes no Kerberos keys of it. */
function setHash({ dn }: DcUser, ntHash: string): void {
  const input = `${JSON.stringify({ set: [{ dn, ntHash }] })}\n`;
  const { stdout, stderr } = spawnSync(PASSWORDS, [facts().directory], { input, encoding: 'utf8' });
  if (JSON.parse(stdout).done !== 1) throw new Error(`passwords.py: ${stdout}${stderr}`);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** What the domain controller has made of a user's password, by its own words and by the RFCs. */
function keysOf({ name }: DcUser, password: string): ReadonlyMap<number, string> {
  const salt = defaultSalt({ realm: facts().realm, sAMAccountName: name });
  const types = [KerberosKeyType.aes256Sha1, KerberosKeyType.aes128Sha1];
  return new Map(types.map((type) => [type, hex(stringToKey(type, password, salt))]));
}

describeDc('keys for Domain Services', () => {
  let site: Site;
  let certificate: TestCertificate;
  let other: TestCertificate;
  const withKeys = () => users().filter(({ kind }) => !WITHOUT.includes(kind));
  const lookedAt = () => [
    ...withKeys().filter(({ kind }) => kind !== 'bulk'),
    ...withKeys()
      .filter(({ kind }) => kind === 'bulk')
      .slice(-LOOKED_AT),
  ];
  const bulk = (n: number) => users().filter(({ kind }) => kind === 'bulk')[n]!;

  beforeAll(async () => {
    [site, certificate, other] = await Promise.all([Site.start(), createCertificate(2048), createCertificate(3072)]);
  });
  afterAll(() => site?.stop());

  async function domainServices(...args: string[]): Promise<void> {
    const { code, stderr } = await site.run(['tenant', 'domain-services', ...args, '--config', site.tenantConfig]);
    expect([code, stderr]).toEqual([0, '']);
  }
  function pem({ der }: TestCertificate, name: string): string {
    const file = join(site.directory, name);
    const text = der.toString('base64').replaceAll(/.{64}/g, '$&\n');
    writeFileSync(file, `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`);
    return file;
  }
  function stored(): Map<string, Stored> {
    const db = new Database(join(site.tenantState, 'tenant.sqlite'), { readonly: true });
    const rows = db
      .prepare(
        `SELECT sam_account_name AS name, legacy, supplemental FROM windows_credentials
         JOIN users ON users.id = user_id`,
      )
      .all() as (Stored & { name: string })[];
    db.close();
    return new Map(rows.map(({ name, ...blobs }) => [name, blobs]));
  }
  async function opened({ name }: DcUser, by = certificate, all = stored()): Promise<OpenedKeys> {
    const { legacy = null, supplemental = null } = all.get(name) ?? {};
    return openKeys(
      {
        windowsLegacyCredentials: legacy?.toString('base64'),
        windowsSupplementalCredentials: supplemental?.toString('base64'),
      },
      by.privateKey,
    );
  }
  async function once(options: DirectoryOptions & { args?: string[] } = {}): Promise<AgentRun['report']> {
    const { code, report, error } = await site.agentOnce(options);
    expect([code, error]).toEqual([0, undefined]);
    return report;
  }
  /** A run that ends by SIGKILL when some have their keys, and not all. */
  async function killedInTheMiddle(): Promise<void> {
    const dam = await Dam.before(site.tenant.url);
    const agent = site.start(['agent', '--config', site.agentConfig({ tenantUrl: dam.url }), '--once', '--json']);
    while (stored().size === 0 && agent.child.exitCode === null) {
      dam.allow(100 * BYTES_OF_KEYS);
      await sleep(10);
    }
    agent.child.kill('SIGKILL');
    expect(await agent.ended).toMatchObject({ code: null });
    await dam.close();
    expect(stored().size).toBeGreaterThan(0);
    expect(stored().size).toBeLessThan(withKeys().length / 2);
  }
  const tell = async (...args: string[]) => {
    const { stdout } = await site.run([...args, '--config', site.agentConfig(), '--json']);
    return JSON.parse(stdout);
  };
  const checkOf = async (id: string, ...args: string[]) =>
    (await tell('diagnose', ...args)).checks.find((each: { id: string }) => each.id === id);

  it('are not sent while they are off', async () => {
    expect(await once()).toMatchObject({ credentialsSent: withKeys().length, sealed: 0 });
    expect(stored().size).toBe(0);
    expect(await checkOf('domain-services')).toMatchObject({ status: 'ok', facts: { state: 'off' } });
  });

  it('are sent of everybody by themselves when they are switched on, also by an agent that is killed meanwhile', async () => {
    const file = pem(certificate, 'first.pem');
    await domainServices('enable', '--domain', 'aadds.phs.test', '--certificate', file);
    const dryRun = await tell('agent', '--once', '--dry-run');
    expect(dryRun.users).toHaveLength(withKeys().length + WITHOUT.length - 2);
    expect(
      dryRun.users.filter(({ domainServices: keys }: { domainServices: string }) => keys === 'ntHash, kerberos'),
    ).toHaveLength(withKeys().length);
    expect(stored().size).toBe(0);
    await killedInTheMiddle();
    await once();
    const all = stored();
    expect([...all.keys()].sort()).toEqual(
      withKeys()
        .map(({ name }) => name)
        .sort(),
    );
    expect([...all.values()].filter(({ legacy, supplemental }) => legacy === null || supplemental === null)).toEqual(
      [],
    );
  });

  it('are those that the accounts have, and none of their other secrets', async () => {
    const all = stored();
    for (const user of lookedAt()) {
      const { ntHash, kerberos, properties } = await opened(user, certificate, all);
      expect(ntHash, user.name).toBe(user.ntHash);
      for (const [type, key] of keysOf(user, user.password!)) {
        expect(kerberos!.get(type), `${user.name}, ${type}`).toBe(key);
      }
      expect([...properties].sort(), user.name).toEqual([
        'Packages',
        'Primary:Kerberos',
        'Primary:Kerberos-Newer-Keys',
      ]);
    }
  });

  it('are on in the diagnosis, which says since when all have them', async () => {
    const { checks } = await tell('diagnose');
    const check = (wanted: string) => checks.find(({ id }: { id: string }) => id === wanted);
    expect(check('domain-services')).toMatchObject({
      status: 'warning',
      finding: expect.stringContaining('CN=Domain Services'),
      facts: { state: 'on', ntlm: true, kerberos: true },
    });
    expect(check('domain-services-sync')).toMatchObject({ status: 'ok', facts: { keysMissing: 0 } });
    expect(await checkOf('object-keys', '--dn', bulk(0).dn)).toMatchObject({
      status: 'ok',
      finding: 'NT hash and Kerberos keys sealed, sent with the password',
      facts: { supplementalCredentials: true, kerberosKeys: true },
    });
  });

  it('go along with a new password', async () => {
    const user = bulk(0);
    const password = 'Another.Passw0rd-ä';
    setPasswords([{ dn: user.dn, password }]);
    try {
      expect(await once()).toMatchObject({ credentialsSent: 1, sealed: 1, keysMissing: 0 });
      const { kerberos } = await opened(user);
      for (const [type, key] of keysOf(user, password)) expect(kerberos!.get(type)).toBe(key);
    } finally {
      setPasswords([{ dn: user.dn, password: user.password! }]);
    }
    await once();
    expect((await opened(user)).ntHash).toBe(user.ntHash);
  });

  it('are missing of an account with an NT hash alone, which is said, and come with its next password', async () => {
    const user = bulk(1);
    const ntHash = '00112233445566778899aabbccddeeff';
    setHash(user, ntHash);
    try {
      expect(await once()).toMatchObject({ credentialsSent: 1, sealed: 1, keysMissing: 1, failed: 0 });
      expect(await opened(user)).toEqual({ ntHash, kerberos: undefined, properties: [] });
      expect(await tell('sync-object', '--dn', user.dn)).toMatchObject({ done: true, status: 'MissingAttribute' });
      expect(await checkOf('object-keys', '--dn', user.dn)).toMatchObject({
        status: 'warning',
        facts: { kerberosKeys: false, outcome: 'MissingAttribute' },
      });
    } finally {
      setPasswords([{ dn: user.dn, password: user.password! }]);
    }
    expect(await once()).toMatchObject({ sealed: 1, keysMissing: 0 });
    expect((await opened(user)).kerberos).toBeDefined();
  });

  it('are sealed for another certificate and without NTLM from the next cycle on', async () => {
    const [user, untouched] = [bulk(2), bulk(3)];
    await domainServices('add-certificate', '--certificate', pem(other, 'second.pem'));
    await domainServices('set', '--setting', 'syncNtlmPasswords=Disabled');
    setPasswords([{ dn: user.dn, password: user.password! }]);
    expect(await once()).toMatchObject({ credentialsSent: 1, sealed: 1 });
    const { ntHash, kerberos } = await opened(user, other);
    expect(ntHash).toMatch(/^[0-9a-f]{32}$/);
    expect(ntHash).not.toBe(user.ntHash);
    for (const [type, key] of keysOf(user, user.password!)) expect(kerberos!.get(type)).toBe(key);
    expect((await opened(untouched)).ntHash).toBe(untouched.ntHash);
    // A full synchronization takes the real ones away.
    await once({ args: ['--full'] });
    const all = stored();
    for (const each of withKeys()) {
      expect((await opened(each, other, all)).ntHash, each.name).not.toBe(each.ntHash);
    }
  });

  it('are not sent for a certificate that agent.yaml does not allow, and passwords go on', async () => {
    const user = bulk(4);
    const file = { domainServices: { certificates: pem(certificate, 'allowed.pem') } };
    setPasswords([{ dn: user.dn, password: user.password! }]);
    const run = await site.agentOnce({ file });
    expect(run.report).toMatchObject({ credentialsSent: 1, sealed: 0 });
    expect(run.stderr).toContain('"code":"domain-services-certificate-not-allowed"');
    const { stdout } = await site.run(['diagnose', '--config', site.agentConfig({ file }), '--json']);
    const { checks } = JSON.parse(stdout) as { checks: { id: string; status: string; finding: string }[] };
    expect(checks.filter(({ status }) => status === 'error')).toMatchObject([
      { id: 'domain-services', finding: expect.stringContaining('none of domainServices.certificates') },
    ]);
    // Allowed again: everything.
    expect(await once()).toMatchObject({ sealed: withKeys().length });
  });

  it('are in no memory and in no file of an agent that has sent all of them', async () => {
    await domainServices('set', '--setting', 'syncNtlmPasswords=Enabled');
    const known: KnownHash[] = users().flatMap(({ name, ntHash }) => (ntHash === null ? [] : [{ name, ntHash }]));
    for (const user of lookedAt()) {
      for (const [type, key] of keysOf(user, user.password!)) {
        known.push({ name: `${user.name}, ${type}`, ntHash: key.slice(0, 32) });
      }
    }
    const scanner = new SecretScanner([...known, { name: 'planted', ntHash: PLANTED }]);
    rmSync(site.agentState, { recursive: true });
    const { pid, log, stop } = await site.agentRunning({ PHSYNC_TEST_PLANTED: PLANTED });
    expect(log.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ msg: 'cycle done', sealed: withKeys().length }),
    );
    const { findings } = scanner.scanProcess(pid);
    expect(findings.filter(({ name }) => name === 'planted')).not.toEqual([]);
    expect(findings.filter(({ name }) => name !== 'planted')).toEqual([]);
    expect(scanner.scanFiles(site.directory).findings).toEqual([]);
    await stop();
  });

  it('are forgotten when Domain Services are switched off', async () => {
    await domainServices('disable');
    const user = special('plain');
    setPasswords([{ dn: user.dn, password: user.password! }]);
    expect(await once()).toMatchObject({ credentialsSent: 1, sealed: 0 });
    expect(stored().size).toBe(0);
  });
});
