/**
 * Password write-back whole: a person changes the password at the tenant, the real agent sets it in a real domain over LDAP
 * with TLS, and the synchronization that follows leaves it in place. MIT Kerberos' kinit says what the domain's password is.
 */

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import type { CheckResult } from '#src/agent/diagnosis/check.js';
import type { Hasher } from '#src/hasher/types.js';
import { DirSyncFeature } from '#src/provisioning/types.js';
import { setFeatures } from '../tenant/features.js';
import { AGENT, startTestTenant, type TestTenant, testHasher } from '../tenant/harness.js';
import { describeDc, facts, modify, special } from './dc.js';
import { secrets } from './harness.js';

const main = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist', 'cli', 'main.js');
const run = promisify(execFile);
const MUST_CHANGE = 50055;
const WRONG = 50126;
const WAIT = { timeout: 60_000, interval: 20 };
const FEATURES = DirSyncFeature.PasswordHashSync | DirSyncFeature.EnableUserForcePasswordChangeOnLogon;
/** Every password that people have or choose here: none may be found anywhere afterwards. */
const passwords = new Set<string>();
const secret = (text: string) => {
  passwords.add(text);
  return text;
};

/** `phsync agent`, as a service. */
class AgentProcess {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor(config: string) {
    // ldapts tells of every message under NODE_DEBUG: the passwords must not be in them.
    const env = { ...process.env, ...secrets, PHSYNC_AGENT_SECRET: AGENT.secret, NODE_DEBUG: 'ldapts' };
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, main, 'agent', '--config', config], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#closed = once(this.#child, 'close');
    createInterface({ input: this.#child.stderr! }).on('line', (line) => this.lines.push(line));
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** Events by number, with their fields. */
  events(number: number): Record<string, unknown>[] {
    return this.lines.filter((line) => line.includes(`"event":${number},`)).map((line) => JSON.parse(line));
  }

  async until(text: string, count = 1): Promise<void> {
    const found = () => this.lines.filter((line) => line.includes(text)).length;
    await vi.waitFor(() => expect(found(), this.lines.slice(-20).join('\n')).toBeGreaterThanOrEqual(count), WAIT);
  }

  async reload(): Promise<void> {
    const text = '"msg":"configuration reloaded"';
    const before = this.lines.filter((line) => line.includes(text)).length;
    this.#child.kill('SIGHUP');
    await this.until(text, before + 1);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal);
    if (signal !== 'SIGSTOP') await this.#closed;
  }
}

describeDc('password write-back', () => {
  let directory: string;
  let hasher: Hasher;
  let tenant: TestTenant;
  let agent: AgentProcess;
  const ou = () => `OU=Write-back,${facts().baseDn}`;
  const dnOf = (name: string) => `CN=${name},${ou()}`;
  const upnOf = (name: string) => `${name}@${facts().dnsDomain}`;
  const config = () => join(directory, 'agent.yaml');
  const quoted = (password: string) => Buffer.from(`"${password}"`, 'utf16le').toString('base64');

  const add = (name: string, password: string, lines: readonly string[] = []) =>
    modify(
      [
        `dn: ${dnOf(name)}`,
        'changetype: add',
        'objectClass: user',
        `sAMAccountName: ${name}`,
        `userPrincipalName: ${upnOf(name)}`,
        `unicodePwd:: ${quoted(secret(password))}`,
        'userAccountControl: 512',
        ...lines,
        '\n',
      ].join('\n'),
    );
  const policy = (values: Readonly<Record<string, string>>) =>
    modify(
      `dn: ${facts().baseDn}\nchangetype: modify\n${Object.entries(values)
        .map(([name, value]) => `replace: ${name}\n${name}: ${value}\n-`)
        .join('\n')}\n\n`,
    );
  const RELAXED = { minPwdLength: '0', minPwdAge: '0', pwdProperties: '0', pwdHistoryLength: '0' };

  /** What the domain's KDC says. */
  const logsOn = (name: string, password: string): boolean => {
    const { status, error } = spawnSync('kinit', ['-c', `MEMORY:${name}`, `${name}@${facts().realm}`], {
      input: `${password}\n`,
      env: { ...process.env, KRB5_CONFIG: facts().krb5Config, LC_ALL: 'C' },
      encoding: 'utf8',
    });
    if (error !== undefined) throw error;
    return status === 0;
  };

  function configure(writeback: Readonly<Record<string, unknown>> = {}): void {
    const { dnsHostName, dnsDomain, host } = facts();
    writeFileSync(
      config(),
      stringify({
        stateDir: './agent-state',
        tenant: {
          url: tenant.provisioningUrl,
          ca: tenant.caPath,
          auth: { clientId: AGENT.clientId, clientSecret: { env: 'PHSYNC_AGENT_SECRET' } },
        },
        passwordWriteback: { enabled: true },
        connectors: [
          {
            name: dnsDomain,
            directory: {
              type: 'drs',
              server: dnsHostName,
              address: host,
              domain: dnsDomain,
              auth: { user: special('sync-account').name, password: { env: 'PHSYNC_AD_PASSWORD' } },
            },
            scope: { include: [ou()] },
            passwordWriteback: { ca: join(facts().directory, 'private/tls/ca.pem'), ...writeback },
          },
        ],
      }),
    );
  }

  /** Replication's times are whole seconds: two changes of one second are in order once the second has been synchronized. */
  const nextSecond = () => setTimeout(1100 - (Date.now() % 1000));

  /** As the sign-in page does it. */
  async function change(name: string, oldPassword: string, newPassword: string) {
    const user = await tenant.store.findSignInUser(upnOf(name));
    return tenant.passwords.change({
      user: user!,
      oldPassword,
      newPassword: secret(newPassword),
      clientId: 'app',
      address: '192.0.2.7',
      correlationId: '7f1f3bd4-43a6-4d9c-9d53-0c7ae2a7a4ff',
    });
  }

  async function signIn(name: string, password: string): Promise<number> {
    const { status, json } = await tenant.signIn(upnOf(name), password);
    return status === 200 ? 0 : json.error_codes[0];
  }

  const polls = async (count: number) => expect((await tenant.writeback.status()).polls).toBe(count);
  const polling = () => vi.waitFor(() => polls(1), WAIT);

  const OLD = 'Ann.Starts.1';
  beforeAll(async () => {
    directory = mkdtempSync(join(facts().directory, 'wb.'));
    modify(`dn: ${ou()}\nchangetype: add\nobjectClass: organizationalUnit\n\n`);
    for (const name of ['wb.ann', 'wb.bob', 'wb.eve']) add(name, OLD);
    add('wb.must', 'Temporary.1', ['pwdLastSet: 0']);
    add('wb.writer', 'Writer.Passw0rd.1');
    hasher = testHasher();
    tenant = await startTestTenant({
      stateDir: join(directory, 'tenant-state'),
      hasher,
      config: { passwordWriteback: { timeoutSeconds: 10 }, domains: [{ name: facts().dnsDomain }] },
    });
    await setFeatures(tenant.store, FEATURES | DirSyncFeature.PasswordWriteBack);
    configure();
    agent = new AgentProcess(config());
    await agent.until('"msg":"cycle done"');
    await polling();
  });
  beforeEach(() => policy(RELAXED));
  afterAll(async () => {
    await agent?.end('SIGKILL');
    policy(RELAXED);
    for (const name of ['wb.ann', 'wb.bob', 'wb.eve', 'wb.must', 'wb.writer'])
      modify(`dn: ${dnOf(name)}\nchangetype: delete\n\n`);
    modify(`dn: ${ou()}\nchangetype: delete\n\n`);
    await tenant?.close();
    await hasher?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('a person who must change the temporary password does so at the tenant, and the next synchronization leaves it', async () => {
    expect(await signIn('wb.must', 'Temporary.1')).toBe(MUST_CHANGE);
    expect(await change('wb.must', 'Temporary.1', 'Chosen-Währung-€-1')).toEqual({ status: 'changed' });
    expect(await signIn('wb.must', 'Chosen-Währung-€-1')).toBe(0);
    expect(logsOn('wb.must', 'Chosen-Währung-€-1')).toBe(true);
    expect(logsOn('wb.must', 'Temporary.1')).toBe(false);
    // The agent reads the object at once, and a full synchronization reads all of them.
    await agent.until('"msg":"one object synchronized"');
    const full = spawnSync(process.execPath, [main, 'agent', '--config', config(), '--full'], { encoding: 'utf8' });
    expect(full.stdout).toContain('begins a full synchronization');
    await agent.until('"event":622', 2);
    expect(await signIn('wb.must', 'Chosen-Währung-€-1')).toBe(0);
    expect(await signIn('wb.must', 'Temporary.1')).toBe(WRONG);
    expect(agent.events(31006)).toHaveLength(1);
    expect(agent.events(31007)).toMatchObject([{ dn: dnOf('wb.must'), partitionName: facts().dnsDomain }]);
  });

  it.each([
    ['too short', { minPwdLength: '12' }, 'Short.1', 'at least 12 characters'],
    ['too simple', { pwdProperties: '1' }, 'onlysmallletters', 'more kinds of characters'],
    ['used before', { pwdHistoryLength: '5' }, `${OLD}`, 'sameAsOld'],
  ])('a password that is %s is refused by the domain, in words', async (_, values, password, words) => {
    policy(values);
    const refused = await change('wb.ann', OLD, password);
    if (password === OLD) expect(refused).toMatchObject({ reason: words });
    else expect(refused).toMatchObject({ reason: 'onPremisesPolicy', message: expect.stringContaining(words) });
    expect(await signIn('wb.ann', OLD)).toBe(0);
  });

  it('one from the history, one too soon, and a wrong one are refused, in words', async () => {
    expect(await change('wb.bob', OLD, 'Bob.Second.2')).toEqual({ status: 'changed' });
    await nextSecond();
    policy({ pwdHistoryLength: '5' });
    const tomorrow = () => new Date(Date.now() + 24 * 3_600_000).toISOString().slice(0, 10);
    const days = [tomorrow()];
    expect(await change('wb.bob', 'Bob.Second.2', 'Bob.Third.3')).toEqual({ status: 'changed' });
    // Midnight may be in between.
    days.push(tomorrow());
    await nextSecond();
    expect(await change('wb.bob', 'Bob.Third.3', 'Bob.Second.2')).toMatchObject({
      reason: 'onPremisesPolicy',
      message: expect.stringContaining('not used before'),
    });
    policy({ minPwdAge: String(-864_000_000_000) });
    expect(await change('wb.bob', 'Bob.Third.3', 'Bob.Fourth.4')).toMatchObject({
      reason: 'onPremisesPolicy',
      message: expect.stringMatching(`possible from (${days.join('|')})`),
    });
    policy(RELAXED);
    // Changed on premises meanwhile: the tenant still knows the former one.
    modify(
      `dn: ${dnOf('wb.bob')}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: ${quoted(secret('Bob.Fifth.5'))}\n-\n\n`,
    );
    expect(await change('wb.bob', 'Bob.Third.3', 'Bob.Sixth.6')).toMatchObject({ reason: 'wrongPassword' });
    expect(logsOn('wb.bob', 'Bob.Fifth.5')).toBe(true);
    expect(agent.events(33007)).toHaveLength(1);
    expect(agent.events(33008).map(({ reason }) => reason)).toEqual(['tooShort', 'complexity', 'history', 'tooYoung']);
  });

  it('a reset needs the right, which the printed commands give, and which diagnose looks at', async () => {
    const user = (await tenant.store.findSignInUser(upnOf('wb.eve')))!;
    const reset = () => tenant.writeback.write({ user, newPassword: secret('Eve.Reset.1') });
    const phsync = async (...args: string[]) => {
      const env = { ...process.env, ...secrets, PHSYNC_AGENT_SECRET: AGENT.secret };
      // Diagnose exits with 1 where it finds something.
      const { stdout } = await run(process.execPath, [main, ...args, '--config', config()], { env }).catch(
        (error) => error,
      );
      return String(stdout);
    };
    const diagnosis = async () => {
      const { checks } = JSON.parse(await phsync('diagnose', '--json')) as { checks: CheckResult[] };
      return checks.filter(({ id }) => id.startsWith('writeback-')).map(({ id, status }) => `${id} ${status}`);
    };
    writeFileSync(join(directory, 'writer-password'), 'Writer.Passw0rd.1', { mode: 0o600 });
    configure({ auth: { user: 'wb.writer', password: { file: './writer-password' } }, tls: 'starttls' });
    await agent.reload();
    await polling();
    const others = ['writeback-feature ok', 'writeback-agent ok', 'writeback-ldap ok'];
    expect(await diagnosis()).toEqual([...others, 'writeback-right warning']);
    expect(await reset()).toMatchObject({ status: 'unavailable', message: expect.stringContaining('does not permit') });
    expect(agent.events(33004)).toMatchObject([{ dn: dnOf('wb.eve') }]);

    const printed = await phsync('permissions', '--grant-command', '--write-back');
    expect(printed).toContain('dsacls "DC=phs,DC=test" /I:S /G "PHS\\wb.writer:CA;Reset Password;user"\n');
    const script = printed.slice(printed.indexOf('sid='));
    const env = { ...process.env, SMB_CONF_PATH: join(facts().directory, 'smb.conf') };
    await run('/bin/sh', ['-e', '-c', script], { env });
    expect(await diagnosis()).toEqual([...others, 'writeback-right ok']);
    expect(await reset()).toMatchObject({ status: 'done', changedAt: expect.any(Date) });
    expect(agent.events(31002)).toMatchObject([{ dn: dnOf('wb.eve') }]);
    expect(logsOn('wb.eve', 'Eve.Reset.1')).toBe(true);
    await nextSecond();
    // The domain does not know a password that an administrator sets in the cloud: to change that one is a reset there.
    await tenant.passwords.reset({
      objectId: user.objectId,
      newPassword: secret('Cloud.Temporary.1'),
      forceChangeNextSignIn: true,
      actor: 'administrator',
    });
    expect(await signIn('wb.eve', 'Cloud.Temporary.1')).toBe(MUST_CHANGE);
    expect(await change('wb.eve', 'Cloud.Temporary.1', 'Eve.Chosen.1')).toEqual({ status: 'changed' });
    expect(await signIn('wb.eve', 'Eve.Chosen.1')).toBe(0);
    expect(logsOn('wb.eve', 'Eve.Chosen.1')).toBe(true);
    configure();
    await agent.reload();
    await polling();
  });

  it.each(['ldaps', 'starttls'])(
    'a domain controller whose certificate nobody trusts is told no password (%s)',
    async (tls) => {
      configure({ ca: tenant.caPath, tls });
      await agent.reload();
      await polling();
      expect(await change('wb.ann', OLD, 'Ann.Second.2')).toMatchObject({
        reason: 'writebackUnavailable',
        message: expect.stringContaining('was not changed'),
      });
      expect(agent.events(33001).at(-1)).toMatchObject({ code: 'ldap-tls' });
      expect(logsOn('wb.ann', OLD)).toBe(true);
      configure();
      await agent.reload();
      await polling();
    },
  );

  it('somebody who has left the scope since the last cycle is told no', async () => {
    const move = (from: string, to: string) =>
      modify(`dn: CN=wb.eve,${from}\nchangetype: modrdn\nnewrdn: CN=wb.eve\ndeleteoldrdn: 1\nnewsuperior: ${to}\n\n`);
    move(ou(), facts().baseDn);
    const user = (await tenant.store.findSignInUser(upnOf('wb.eve')))!;
    try {
      expect(await tenant.writeback.write({ user, newPassword: secret('Eve.Reset.2') })).toMatchObject({
        status: 'unavailable',
        message: expect.stringContaining('cannot be changed here'),
      });
    } finally {
      move(facts().baseDn, ou());
    }
    expect(agent.events(33002)).toMatchObject([{ reason: 'outOfScope' }]);
    expect(logsOn('wb.eve', 'Eve.Chosen.1')).toBe(true);
  });

  it('with the feature off nothing is written back, and the agent waits for it', async () => {
    await setFeatures(tenant.store, FEATURES);
    expect(await change('wb.ann', OLD, 'Ann.Second.2')).toMatchObject({ reason: 'writebackOff' });
    expect(logsOn('wb.ann', OLD)).toBe(true);
    await setFeatures(tenant.store, FEATURES | DirSyncFeature.PasswordWriteBack);
  });

  it('an agent that is killed in the middle leaves the person without an answer, and the domain without the password', async () => {
    // Stopped, it has its poll open and reads nothing: what the tenant hands over gets lost with it.
    await agent.end('SIGSTOP');
    const changing = change('wb.ann', OLD, 'Ann.Second.2');
    await vi.waitFor(() => polls(0), WAIT);
    await agent.end('SIGKILL');
    expect(await changing).toMatchObject({
      reason: 'writebackUnavailable',
      message: expect.stringContaining('did not say in time'),
    });
    expect(logsOn('wb.ann', OLD)).toBe(true);
  });

  it('without an agent the person is told so at once, and the next agent goes on', async () => {
    await vi.waitFor(async () => expect((await tenant.writeback.status()).agents).toBe(0), WAIT);
    expect(await change('wb.ann', OLD, 'Ann.Second.2')).toMatchObject({
      reason: 'writebackUnavailable',
      message: expect.stringContaining('no connection'),
    });
    const before = agent.lines;
    agent = new AgentProcess(config());
    await polling();
    expect(await change('wb.ann', OLD, 'Ann.Second.2')).toEqual({ status: 'changed' });
    expect(logsOn('wb.ann', 'Ann.Second.2')).toBe(true);
    await agent.end('SIGTERM');
    expect(agent.exitCode).toBe(0);
    expect(agent.events(31016)).toHaveLength(1);
    agent.lines.unshift(...before);
  });

  it('none of the passwords is in a log, in the agent’s state, in the tenant’s database or in any event', () => {
    const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .map((name) => join(directory, name))
      .filter((path) => statSync(path).isFile())
      .map((path) => ({ path, bytes: readFileSync(path) }));
    expect(files.map(({ path }) => path).join()).toMatch(/agent\.sqlite.*tenant-state/s);
    files.push({ path: 'agent.log', bytes: Buffer.from(agent.lines.join('\n')) });
    files.push({ path: 'tenant.log', bytes: Buffer.from(tenant.logText()) });
    // The debug output is there, or its being clean would say nothing.
    expect(agent.lines.join('\n')).toContain('[redacted]');
    expect(passwords.size).toBeGreaterThan(11);
    for (const password of passwords) {
      const texts = (['utf8', 'utf16le'] as const).map((encoding) => Buffer.from(password, encoding));
      // As JSON has a Buffer: [34,0,80,0,…
      const needles = texts.flatMap((bytes) => [
        bytes,
        bytes.join(','),
        bytes.toString('hex'),
        bytes.toString('base64').slice(0, -4),
      ]);
      for (const { path, bytes } of files.filter(({ path }) => !path.endsWith('writer-password'))) {
        expect(
          needles.filter((needle) => bytes.includes(needle)),
          path,
        ).toEqual([]);
      }
    }
  });
});
