/**
 * `phsync domain-services` whole: a real tenant has what an agent sealed of a real domain's users, the program runs on the
 * domain controller of another real domain, and people log on there with the password of the first. Keys in PKCS #8 and in a
 * PKCS #11 token.
 */

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import type { Hasher } from '#src/hasher/types.js';
import { keepKerberosKeys } from '#src/protocol/samr/keep-kerberos-keys.js';
import { makeToken } from '../domain-services/keys/certificates.js';
import { DOMAIN, Site } from '../domain-services/site.js';
import { ADMIN, READER } from '../tenant/domain-services/site.js';
import { testHasher } from '../tenant/harness.js';
import { type DcUser, describeDc, facts, setPasswords, users } from './dc.js';
import { LogOn } from './log-on.js';
import { Look, type StoredSecrets } from './look.js';
import { OwnDc } from './own-dc.js';

const main = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist', 'cli', 'main.js');
const run = promisify(execFile);
const PEOPLE = 12;
/** Others, whom nobody logs on as: enough for several batches; and as often as there are other bulk accounts. */
const CROWD = 450;
const CROWDS = 4;
const softhsm = existsSync('/usr/lib/softhsm/libsofthsm2.so');

let hasher: Hasher;
let site: Site;
let managed: OwnDc;
let logOn: LogOn;
let here: Look;
let there: Look;
let people: DcUser[];
let changing: DcUser[] = [];

const dateOf = (pwdLastSet: string) =>
  new Date(Number(BigInt(pwdLastSet) / 10_000n - 11_644_473_600_000n)).toISOString();

/** What an agent would send of the first domain's users. */
async function send(names: readonly string[]): Promise<void> {
  const stored = await here.secrets(names);
  await site.sendAll(
    names.map((name) => {
      const { ntHash, supplementalCredentials, pwdLastSet } = stored.get(name)!;
      const keys = keepKerberosKeys(Buffer.from(supplementalCredentials!, 'hex'));
      const sealed = site.seal(keys, site.certificate, Buffer.from(ntHash!, 'hex'));
      return { name, changeDate: dateOf(pwdLastSet), ...sealed };
    }),
  );
}

function configuration(name: string, more: object = {}): string {
  const file = join(site.directory, `${name}.yaml`);
  writeFileSync(
    file,
    stringify({
      stateDir: `./${name}`,
      tenant: {
        url: site.tenant.url,
        ca: site.tenant.caPath,
        auth: { clientId: READER.clientId, clientSecret: { file: './secret' } },
      },
      keys: [
        {
          certificate: site.certificate.certificate,
          privateKey: { file: site.certificate.key, passphrase: { file: './passphrase' } },
        },
      ],
      managedDomain: { type: 'samba', smbConf: join(managed.directory, 'smb.conf') },
      ...more,
    }),
  );
  return file;
}

const logs: string[] = [];

/** `phsync domain-services --once --json`, to its end. */
async function onceWith(config: string, ...args: string[]) {
  const all = [main, 'domain-services', '--config', config, '--once', '--json', ...args];
  const ended = await run(process.execPath, all).catch(
    (error) => error as { code: number; stdout: string; stderr: string },
  );
  logs.push(ended.stderr);
  const events = ended.stderr.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line).event] : []));
  return { code: 'code' in ended ? ended.code : 0, events, ...JSON.parse(ended.stdout || '{}') };
}

/** `phsync domain-services` as a service. */
class Service {
  readonly lines: Record<string, unknown>[] = [];
  readonly child: ChildProcess;
  readonly ended: Promise<unknown[]>;

  constructor(config: string) {
    const args = ['--pdeathsig', 'KILL', process.execPath, main, 'domain-services', '--config', config];
    this.child = spawn('setpriv', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.ended = once(this.child, 'close');
    createInterface({ input: this.child.stderr! }).on('line', (line) => {
      logs.push(line);
      this.lines.push(JSON.parse(line));
    });
  }

  event(name: string): Record<string, unknown>[] {
    return this.lines.filter(({ event }) => event === name);
  }
}

/** Whoever of these can log on, in all ways, with the password. */
async function whoGetsIn(wanted: readonly { name: string; password: string }[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = { aes256: 0, aes128: 0, rc4: 0, ntlm: 0, ldap: 0 };
  const queue = [...wanted];
  const one = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { name, password } = next;
      const answers = {
        aes256: await logOn.kinit(name, password, 'aes256-cts-hmac-sha1-96'),
        aes128: await logOn.kinit(name, password, 'aes128-cts-hmac-sha1-96'),
        rc4: await logOn.kinit(name, password, 'arcfour-hmac'),
        ntlm: await logOn.ntlm(name, password),
        ldap: await logOn.ldap(`${name}@phs.test`, password),
      };
      for (const [way, answer] of Object.entries(answers)) if (answer === 'in') counts[way]! += 1;
    }
  };
  await Promise.all([one(), one(), one(), one()]);
  return counts;
}
const everybody = (count: number) => ({ aes256: count, aes128: count, rc4: count, ntlm: count, ldap: count });

describeDc('phsync domain-services', () => {
  beforeAll(async () => {
    managed = await OwnDc.start({ realm: DOMAIN.toUpperCase(), host: 'mdc2' });
    hasher = testHasher();
    site = await Site.start(hasher);
    logOn = new LogOn(managed.facts);
    here = new Look(facts().directory);
    there = new Look(managed.directory);
    people = users()
      .filter(({ kind }) => kind === 'bulk')
      .slice(0, PEOPLE);
    const names = people.map(({ name }) => name);
    await site.provision(names);
    await send(names);
  });
  afterAll(async () => {
    // Other tests know them by the passwords of the manifest.
    setPasswords(changing.map(({ dn, password }) => ({ dn, password: password! })));
    here?.close();
    there?.close();
    await site?.close();
    await hasher?.close();
    await managed?.close();
  });

  const asTheyAre = () => people.map(({ name, password }) => ({ name, password: password! }));

  it('tells what it would do, then does it, then has nothing to do', async () => {
    const config = configuration('state');
    const rehearsal = await onceWith(config, '--dry-run');
    expect(rehearsal).toMatchObject({ code: 0, dryRun: true, created: PEOPLE, passwordsWritten: PEOPLE });
    // Nothing is said to be done.
    const said = rehearsal.events.filter((event: string) => /user|password|create/.test(event));
    expect(said).toEqual(Array(PEOPLE).fill(['would-create', 'would-write-password']).flat());
    expect(await there.find('(objectClass=organizationalUnit)', 'ou')).not.toContainEqual(
      expect.objectContaining({ ou: ['AADDC Users'] }),
    );
    expect(await onceWith(config)).toMatchObject({
      code: 0,
      done: true,
      created: PEOPLE,
      passwordsWritten: PEOPLE,
      failed: 0,
    });
    expect(await whoGetsIn(asTheyAre())).toEqual(everybody(PEOPLE));
    expect(await onceWith(config, '--full')).toMatchObject({
      unchanged: PEOPLE,
      passwordsUnchanged: PEOPLE,
      passwordsWritten: 0,
    });
  });

  it('rehearses that deletions are held, by the rule and with the exit code of what is not rehearsed', async () => {
    const empty = await Site.start(hasher);
    try {
      const [{ name }] = people as [DcUser];
      await empty.provision([name]);
      const auth = { clientId: READER.clientId, clientSecret: { file: './secret' } };
      const emptied = (name: string, more = {}) =>
        configuration(name, { tenant: { url: empty.tenant.url, ca: empty.tenant.caPath, auth }, ...more });
      const config = emptied('emptied');
      const before = (await there.find('(adminDescription=User_*)')).length;
      // The domain has none of this tenant's users, who would be one more of it.
      const heldDeletions = { gone: PEOPLE, all: PEOPLE + 1 };
      const rehearsal = await onceWith(config, '--dry-run');
      expect(rehearsal).toMatchObject({ code: 3, deleted: 0, heldDeletions });
      expect(await onceWith(config, '--dry-run', '--allow-deletions')).toMatchObject({
        deleted: PEOPLE,
        heldDeletions: null,
      });
      const args = [main, 'domain-services', '--config', config, '--once', '--dry-run'];
      const { stdout } = await run(process.execPath, args).catch((error) => error as { stdout: string });
      expect(stdout).toContain(
        `${PEOPLE} users, not in the tenant, would be held (deletionThreshold 50, half of ${PEOPLE + 1}): --allow-deletions`,
      );
      expect((await there.find('(adminDescription=User_*)')).length).toBe(before);
    } finally {
      await empty.close();
    }
  });

  it('rehearses nothing in another domain than the tenant means', async () => {
    const other = await Site.start(hasher);
    try {
      await other.service.disable(ADMIN);
      await other.service.enable({ domainName: 'elsewhere.test' }, ADMIN);
      await other.provision(['somebody']);
      const auth = { clientId: READER.clientId, clientSecret: { file: './secret' } };
      const config = configuration('elsewhere', { tenant: { url: other.tenant.url, ca: other.tenant.caPath, auth } });
      const { events, ...ended } = await onceWith(config, '--dry-run');
      expect(ended).toMatchObject({ code: 3, error: { code: 'domain-services-wrong-domain' } });
      // Of its keys it tells.
      expect(events).toContain('key-open');
      expect(events.filter((event: string) => event.startsWith('would-'))).toEqual([]);
    } finally {
      await other.close();
    }
  });

  it.skipIf(!softhsm && process.env.CI !== 'true')('does it with a key that stays in its token', async () => {
    const token = makeToken(site.directory, 'managed', [site.certificate.plainKey]);
    writeFileSync(join(site.directory, 'pin'), token.pin);
    const pkcs11 = { module: token.module, token: token.label, pin: { file: './pin' } };
    const keys = [{ certificate: site.certificate.certificate, privateKey: { pkcs11 } }];
    const config = configuration('token-state', { keys });
    expect(await onceWith(config)).toMatchObject({ code: 0, unchanged: PEOPLE, passwordsUnchanged: PEOPLE });
  });

  it('brings new passwords while it runs, and goes on after it was killed', async () => {
    const config = configuration('state', { monitor: { port: 0 } });
    const service = new Service(config);
    await vi.waitFor(() => expect(service.event('domain-open')).toHaveLength(1), { timeout: 60_000 });
    changing = people.slice(0, 3);
    const changed = changing.map(({ name, dn }) => ({ name, dn, password: `New.${name}.2` }));
    setPasswords(changed);
    await send(changed.map(({ name }) => name));
    const written = async () => {
      const [first, second] = [
        await here.secrets(changed.map(({ name }) => name)),
        await there.secrets(changed.map(({ name }) => name)),
      ];
      for (const { name } of changed) expect(second.get(name)!.ntHash).toBe(first.get(name)!.ntHash);
    };
    await vi.waitFor(written, { timeout: 60_000, interval: 200 });
    expect(await whoGetsIn(changed)).toEqual(everybody(changed.length));
    expect(await whoGetsIn(changing.map(({ name, password }) => ({ name, password: password! })))).toEqual(
      everybody(0),
    );
    service.child.kill('SIGKILL');
    await service.ended;

    const again = new Service(config);
    const url = await vi.waitFor(
      () => {
        const line = again.lines.find((each) => typeof each.url === 'string');
        expect(line).toBeDefined();
        return String(line!.url);
      },
      { timeout: 60_000 },
    );
    await vi.waitFor(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200), {
      timeout: 60_000,
      interval: 200,
    });
    expect(await (await fetch(`${url}/status`)).json()).toMatchObject({
      domain: { name: DOMAIN },
      users: PEOPLE,
      waiting: 0,
      queue: [],
    });
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(
      new RegExp(`phsync_domain_services_users ${PEOPLE}\\n`),
    );
    again.child.kill('SIGTERM');
    expect(await again.ended).toEqual([0, null]);
  });

  it('makes everybody once, though it is killed on the way', async () => {
    const bulk = users().filter(({ kind }) => kind === 'bulk');
    let crowd: string[] = [];
    const config = configuration('state');
    const ours = () => there.find('(&(objectClass=user)(adminDescription=User_*))', 'sAMAccountName');
    const kills = [true, false];
    while (kills.length > 0) {
      // Where a busy machine let the service come to its end before the signal, it is given another crowd.
      expect(crowd.length).toBeLessThan(CROWDS * CROWD);
      const more = bulk.slice(PEOPLE + crowd.length, PEOPLE + crowd.length + CROWD).map(({ name }) => name);
      crowd = [...crowd, ...more];
      await site.provision(more);
      await send(more);
      const [withHelper] = kills;
      const service = new Service(config);
      // A batch is written, the next one is under way.
      await vi.waitFor(() => expect(service.event('user-created').length).toBeGreaterThan(0), {
        timeout: 60_000,
        interval: 5,
      });
      const helper = execFileSync('pgrep', ['-P', String(service.child.pid)], { encoding: 'utf8' }).trim();
      // Without it: it ends its last batch beside the next run's helper.
      if (withHelper) process.kill(Number(helper), 'SIGKILL');
      service.child.kill('SIGKILL');
      await service.ended;
      if ((await ours()).length < PEOPLE + crowd.length) kills.shift();
    }
    expect(await onceWith(config)).toMatchObject({ code: 0, done: true, waiting: 0 });
    const made = await ours();
    expect(made).toHaveLength(PEOPLE + crowd.length);
    expect(new Set(made.map(({ sAMAccountName }) => sAMAccountName![0]))).toEqual(
      new Set([...crowd, ...people.map(({ name }) => name)]),
    );
    const [first, second] = [await here.secrets(crowd), await there.secrets(crowd)];
    for (const name of crowd) expect(second.get(name)!.ntHash, name).toBe(first.get(name)!.ntHash);
  });

  it('leaves no secret in its files and its log', async () => {
    const files = readdirSync(join(site.directory, 'state')).map((name) =>
      readFileSync(join(site.directory, 'state', name)),
    );
    const everything = Buffer.concat([
      ...files.map((bytes) => new Uint8Array(bytes)),
      new Uint8Array(Buffer.from(logs.join('\n'))),
    ]);
    const text = everything.toString('latin1').toLowerCase();
    expect(text).toContain('domain-open');
    const secrets: StoredSecrets[] = [...(await here.secrets(people.map(({ name }) => name))).values()];
    for (const { ntHash, supplementalCredentials } of secrets) {
      expect(text).not.toContain(ntHash!);
      expect(everything.includes(Buffer.from(ntHash!, 'hex'))).toBe(false);
      // Somewhere within the AES keys, as hexadecimal digits and as bytes.
      const digits = Buffer.from(supplementalCredentials!, 'hex')
        .toString('latin1')
        .toLowerCase()
        .match(/[0-9a-f]{200,}/)![0];
      expect(text).not.toContain(digits.slice(-64, -32));
    }
  });
});
