/**
 * Domain Services from end to end: two real domains, and between them tenant, agent and managed side as people run them.
 * Whoever has a password in the first domain logs on to the second with it, by programs that know nothing of phsync.
 */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseKerbStoredCredentialNew } from '#src/protocol/samr/kerb-stored-credential-new.js';
import { decodePropertyValue } from '#src/protocol/samr/property-value.js';
import { parseUserProperties } from '#src/protocol/samr/user-properties.js';
import { type KnownHash, SecretScanner } from '../secrets/secret-scan.js';
import { type DcUser, describeDc } from './dc.js';
import { type RunningCommand, Site, upnOf } from './harness.js';
import { type Answer, LogOn } from './log-on.js';
import { Look } from './look.js';
import { OwnDc } from './own-dc.js';

const PEOPLE = 200;
const env = { PHSYNC_FEED_SECRET: 'feed-secret-of-the-tests', PHSYNC_KEY_PASSPHRASE: 'passphrase of the tests' };

/** Every way of logging on, and which of the two secrets it needs. */
const WAYS = ['aes256', 'aes128', 'rc4', 'ntlm', 'ldap'] as const;
type Way = (typeof WAYS)[number];
const KERBEROS: readonly Way[] = ['aes256', 'aes128'];
/** What the NT hash opens. */
const NTLM: readonly Way[] = ['rc4', 'ntlm', 'ldap'];
/** Put into the tenant's environment, and so into its memory: the search must find this one. */
const PLANTED = '5ca1ab1e0ddba11deadbeef0c0ffee98';

interface Person {
  readonly name: string;
  readonly dn: string;
  readonly password: string;
}

/** Thousands of log-ons, each of them a process. */
const LONG = { timeout: 600_000 };

describeDc('Domain Services, from one domain into another', () => {
  let first: OwnDc;
  let managed: OwnDc;
  let site: Site;
  /** What Samba keeps in the first domain. */
  let firstLook: Look;
  let logOn: LogOn;
  let people: Person[];
  let managedSide: RunningCommand;

  beforeAll(async () => {
    [first, managed] = await Promise.all([
      OwnDc.start({ realm: 'FIRST.TEST', users: PEOPLE }),
      OwnDc.start({ realm: 'MANAGED.TEST', host: 'mdc1' }),
    ]);
    logOn = new LogOn(managed.facts);
    firstLook = new Look(first.directory);
    people = first.users.filter(({ kind }) => kind === 'bulk').map(personOf);
    site = await Site.start([first.facts.dnsDomain], {
      tenant: { domainServices: { clients: [{ clientId: 'managed-1', clientSecret: { env: 'PHSYNC_FEED_SECRET' } }] } },
      env: { ...env, PHSYNC_TEST_PLANTED: PLANTED },
    });
    makeCertificate('first');
    makeCertificate('second');
  });
  afterAll(async () => {
    firstLook?.close();
    await site?.stop();
    await Promise.all([first?.close(), managed?.close()]);
  });

  const personOf = ({ name, dn, password }: DcUser): Person => ({ name, dn, password: password! });

  /** NAME.crt and NAME.key, the key encrypted, by OpenSSL's command line. */
  function makeCertificate(name: string): void {
    const key = join(site.directory, `${name}.key`);
    const certificate = join(site.directory, `${name}.crt`);
    const subject = ['-subj', '/CN=managed.test', '-days', '30', '-sha256'];
    const files = ['-keyout', key, '-out', certificate, '-passout', 'env:PHSYNC_KEY_PASSPHRASE'];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', ...subject, ...files], {
      env: { ...process.env, ...env },
      stdio: 'ignore',
    });
  }

  function managedConfig(keys: readonly string[]): string {
    const { url, ca } = site.tenant;
    const file = join(site.directory, 'domain-services.yaml');
    const config = {
      stateDir: './managed-state',
      waitSeconds: 2,
      tenant: { url, ca, auth: { clientId: 'managed-1', clientSecret: { env: 'PHSYNC_FEED_SECRET' } } },
      keys: keys.map((name) => ({
        certificate: `./${name}.crt`,
        privateKey: { file: `./${name}.key`, passphrase: { env: 'PHSYNC_KEY_PASSPHRASE' } },
      })),
      managedDomain: { type: 'samba', smbConf: join(managed.directory, 'smb.conf') },
    };
    writeFileSync(file, JSON.stringify(config));
    return file;
  }

  async function administer(...args: string[]): Promise<string> {
    const run = await site.run(['tenant', 'domain-services', ...args, '--config', site.tenantConfig], env);
    expect(run.code, run.stderr).toBe(0);
    return run.stdout;
  }

  async function agentOnce(...args: string[]) {
    const run = await site.agentOnce({ dc: first, args, env });
    expect(run.code, run.stderr).toBe(0);
    return run.report;
  }

  const ask = (way: Way, { name }: Person, password: string): Promise<Answer> =>
    ({
      aes256: () => logOn.kinit(name, password, 'aes256-cts-hmac-sha1-96'),
      aes128: () => logOn.kinit(name, password, 'aes128-cts-hmac-sha1-96'),
      rc4: () => logOn.kinit(name, password, 'arcfour-hmac'),
      ntlm: () => logOn.ntlm(name, password),
      ldap: () => logOn.ldap(upnOf(name, first.facts.dnsDomain), password),
    })[way]();

  /** How many of them get which answer by which way, e.g. `{ 'aes256: in': 200, … }`. */
  async function answers(who: readonly Person[], passwordOf: (person: Person) => string, ways: readonly Way[] = WAYS) {
    const counts: Record<string, number> = {};
    const todo = who.flatMap((person) => ways.map((way) => ({ person, way })));
    const one = async () => {
      for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
        const key = `${next.way}: ${await ask(next.way, next.person, passwordOf(next.person))}`;
        counts[key] = (counts[key] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: 6 }, one));
    return counts;
  }
  const each = (answer: Answer, count: number, ways: readonly Way[] = WAYS) =>
    Object.fromEntries(ways.map((way) => [`${way}: ${answer}`, count]));

  const right = ({ password }: Person) => password;

  /** The managed side has taken what the tenant has: the last of them can log on. */
  const arrived = (person: Person, password: string, answer: Answer = 'in', way: Way = 'aes256') =>
    expect.poll(() => ask(way, person, password), { timeout: 60_000, interval: 250 }).toBe(answer);

  /** How many of them the managed side has brought in, by one way that both secrets' arrival opens. */
  const countIn = async (who: readonly Person[]) => (await answers(who, right, ['aes256']))['aes256: in'] ?? 0;

  /** NT hashes and AES keys of people, as the first domain's own database has them. */
  async function secretsOf(who: readonly Person[]): Promise<KnownHash[]> {
    const rows = await firstLook.secrets(who.map(({ name }) => name));
    return [...rows.values()].flatMap(({ name, ntHash, supplementalCredentials }) => {
      const { properties } = parseUserProperties(Buffer.from(supplementalCredentials!, 'hex'));
      const newer = properties.find((property) => nameOf(property.name) === 'Primary:Kerberos-Newer-Keys');
      const { credentials } = parseKerbStoredCredentialNew(decodePropertyValue(newer!.value));
      const keys = credentials.filter(({ key }) => key.length >= 16);
      expect(keys).toHaveLength(2);
      // 16 bytes of each are enough to know it by.
      const hex = keys.map(({ key }) => Buffer.from(key.subarray(0, 16)).toString('hex'));
      return [ntHash!, ...hex].map((secret) => ({ name, ntHash: secret }));
    });
  }
  const nameOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf16le');

  /** Looks at the command lines of all processes, time and again, until it is stopped. */
  function watchProcesses(scanner: SecretScanner) {
    const found = new Set<string>();
    let looks = 0;
    const timer = setInterval(() => {
      looks += 1;
      for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
        try {
          const line = readFileSync(`/proc/${pid}/cmdline`);
          for (const { form } of scanner.scan(line, pid)) found.add(`${form} in ${line.toString().slice(0, 40)}`);
        } catch (error) {
          // It has ended meanwhile.
          if (!(error instanceof Error && 'code' in error)) throw error;
        }
      }
    }, 50);
    return {
      stop: () => {
        clearInterval(timer);
        expect(looks).toBeGreaterThan(5);
        return [...found];
      },
    };
  }

  it(
    'sends nothing for it before it is enabled, and everything once it is, by a full synchronization of its own',
    LONG,
    async () => {
      const before = await agentOnce();
      expect(before.credentialsSent).toBeGreaterThan(PEOPLE);
      expect(site.log('agent.log')).not.toMatch(/"event":658/);
      const off = await site.run(['domain-services', '--config', managedConfig(['first']), '--once'], env);
      expect(off.code).not.toBe(0);
      expect(off.stderr).toMatch(/not enabled/);

      await administer(
        'enable',
        '--domain',
        managed.facts.dnsDomain,
        '--certificate',
        join(site.directory, 'first.crt'),
      );
      const after = await agentOnce();
      expect(after.credentialsSent).toBe(before.credentialsSent);
      expect(site.log('agent.log')).toMatch(/"event":658/);
      managedSide = await site.running(
        ['domain-services', '--config', managedConfig(['first'])],
        /"event":"all-read"/,
        env,
      );
      await arrived(people.at(-1)!, people.at(-1)!.password);
      expect(await answers(people, right)).toEqual(each('in', PEOPLE));
    },
  );

  it('follows a changed password within one cycle: the new one opens every way, the old one none', LONG, async () => {
    const known = await secretsOf(people);
    const watch = watchProcesses(new SecretScanner(known));
    const old = people.map((person) => ({ ...person }));
    people = people.map((person) => ({ ...person, password: `Changed-${person.name}-Pw9` }));
    first.setPasswords(people);
    const report = await agentOnce();
    expect(report.credentialsSent).toBe(PEOPLE);
    await expect.poll(() => countIn(people.slice(-20)), { timeout: 60_000, interval: 250 }).toBe(20);
    expect(watch.stop()).toEqual([]);
    expect(await answers(people, right)).toEqual(each('in', PEOPLE));
    expect(await answers(old, right)).toEqual(each('wrong password', PEOPLE));
  });

  it('leaves no NT hash and no Kerberos key with the agent or the tenant', LONG, async () => {
    const scanner = new SecretScanner([...(await secretsOf(people)), { name: 'planted', ntHash: PLANTED }]);
    const tenant = scanner.scanProcess(site.tenant.pid);
    expect(tenant.findings.filter(({ name }) => name === 'planted')).not.toEqual([]);
    expect(tenant.findings.filter(({ name }) => name !== 'planted')).toEqual([]);
    const agent = await site.running(
      ['agent', '--config', site.agentConfig({ dc: first }), '--full'],
      /"msg":"cycle (done|failed)/,
      { ...env, PHSYNC_BACKEND: 'native', PHSYNC_TEST_PLANTED: PLANTED },
    );
    try {
      const { findings } = scanner.scanProcess(agent.pid);
      expect(findings.filter(({ name }) => name === 'planted')).not.toEqual([]);
      expect(findings.filter(({ name }) => name !== 'planted')).toEqual([]);
    } finally {
      await agent.stop();
    }
    // Databases, logs, configurations and what programs left in TMPDIR.
    const { findings, files } = scanner.scanFiles(site.directory);
    expect(findings).toEqual([]);
    expect(files.map((path) => path.slice(site.directory.length))).toEqual(
      expect.arrayContaining([
        '/agent-state/agent.sqlite',
        '/tenant-state/tenant.sqlite',
        '/tenant-state/tenant.sqlite-wal',
        '/logs/agent.log',
        '/logs/tenant.log',
        '/logs/domain-services.log',
      ]),
    );
  });

  it(
    'takes a new certificate from the next cycle on, and what was sealed for the old one is still opened',
    LONG,
    async () => {
      await administer('add-certificate', '--certificate', join(site.directory, 'second.crt'));
      const [changed, stays] = people as [Person, Person];
      const password = 'After-the-rotation-1';
      first.setPasswords([{ ...changed, password }]);
      await agentOnce();
      // The managed side has only the old key: it says so, keeps the user for later, and goes on with the others.
      await expect.poll(() => site.log('domain-services.log'), { timeout: 60_000 }).toMatch(/unknown-certificate/);
      expect(await ask('aes256', changed, changed.password)).toBe('in');
      await managedSide.stop();
      managedSide = await site.running(
        ['domain-services', '--config', managedConfig(['second', 'first']), '--full'],
        /"event":"all-read"/,
        env,
      );
      await expect.poll(() => ask('aes256', changed, password), { timeout: 60_000 }).toBe('in');
      people[0] = { ...changed, password };
      expect(await answers([people[0], stays], right)).toEqual(each('in', 2));
    },
  );

  it(
    'waits for a domain controller that is gone for a while, and loses nothing of what came meanwhile',
    LONG,
    async () => {
      const [changed, stays] = people.slice(2, 4) as [Person, Person];
      await managed.stop();
      const [database, away] = ['private', 'private.away'].map((name) => join(managed.directory, name));
      renameSync(database!, away!);
      const before = site.log('domain-services.log').length;
      // Twice: the later one is what must stand at the end.
      for (const password of ['While-it-was-gone-1', 'While-it-was-gone-2']) {
        first.setPasswords([{ ...changed, password }]);
        people[2] = { ...changed, password };
        await agentOnce();
      }
      await expect
        .poll(() => site.log('domain-services.log').slice(before), { timeout: 60_000 })
        .toMatch(/database-gone|managed-domain-/);
      renameSync(away!, database!);
      await managed.restart();
      await expect.poll(() => ask('aes256', people[2]!, people[2]!.password), { timeout: 90_000 }).toBe('in');
      expect(await answers([people[2]!, stays], right)).toEqual(each('in', 2));
    },
  );

  it('gives Kerberos alone once NTLM passwords are no longer synchronized', LONG, async () => {
    const [changed, ...others] = people.slice(0, 20) as [Person, ...Person[]];
    await administer('set', '--setting', 'SyncNtlmPasswords=Disabled');
    const password = 'Without-NTLM-1';
    first.setPasswords([{ ...changed, password }]);
    people[0] = { ...changed, password };
    await agentOnce();
    await expect.poll(() => ask('aes256', people[0]!, password), { timeout: 60_000 }).toBe('in');
    // With the next change; who has not changed it keeps what is stored.
    const without = { ...each('in', 1, KERBEROS), ...each('wrong password', 1, NTLM) };
    expect(await answers([people[0]!], right)).toEqual(without);
    expect(await answers(others.slice(0, 2), right)).toEqual(each('in', 2));
    // Or with a full synchronization.
    await agentOnce('--full');
    await expect
      .poll(() => answers(others, right, ['ntlm']), { timeout: 60_000 })
      .toEqual(each('wrong password', others.length, ['ntlm']));
    expect(await answers(people, right)).toEqual({
      ...each('in', PEOPLE, KERBEROS),
      ...each('wrong password', PEOPLE, NTLM),
    });
  });
});
