/** `phsync init`: the file it writes, from options and by questions on a real pseudo-terminal. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { agentConfigSchema, loadAgentConfig } from '#src/agent/config.js';
import { wholeProgram } from '#src/cli/commands.js';
import { describeProgram } from '#src/cli/describe-commands.js';
import { parseAccount } from '#src/cli/init/account.js';
import { leaveOutOwnAccounts } from '#src/cli/init/own-account.js';
import { type DescribedNode, describeSchema } from '#src/config/describe-schema.js';
import { parseConfig } from '#src/config/load-config.js';
import { configSchemas } from '#src/config/schemas.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const main = join(root, 'dist/cli/main.js');
/** The account that replicates, left out of the tenant by either of its names. */
const own = (domain: string) => [
  { attribute: 'sAMAccountName', equals: 'phs.sync' },
  { attribute: 'userPrincipalName', equals: `phs.sync@${domain}` },
];
const OWN = own('phs.test');
const GIVEN = [
  ...['--account', 'phs.sync@dc1.phs.test', '--client-id', 'agent-1'],
  ...['--tenant-url', 'https://tenant.example/provisioningservice.svc'],
];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'phsync-init-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function init(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'init', ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    encoding: 'utf8',
    timeout: 100_000,
  });
  return { status, stdout, stderr };
}

const written = (name = 'agent.yaml') => readFileSync(join(folder, name), 'utf8');
const mode = (name: string) => statSync(join(folder, name)).mode & 0o777;

/** Every key of a mapping and of those below it, `a.b.c`; the simulated directory has no place in this file. */
function keysOf(node: DescribedNode, path = ''): string[] {
  const shapes = node.alternatives.filter(({ keys }) => !keys.some(({ name }) => name === 'users'));
  return [...node.keys, ...shapes.flatMap(({ keys }) => keys)].flatMap(({ name, node: below }) => [
    `${path}${name}`,
    ...keysOf(below.items ?? below, `${path}${name}.`),
  ]);
}

describe('phsync init --non-interactive', () => {
  it('writes what is given, and every default as a comment', async () => {
    const { status, stdout, stderr } = init(['--non-interactive', ...GIVEN]);
    expect([status, stderr]).toEqual([0, '']);
    expect(mode('agent.yaml')).toBe(0o600);
    expect(parse(written())).toEqual({
      stateDir: './agent-state',
      tenant: {
        url: 'https://tenant.example/provisioningservice.svc',
        auth: { clientId: 'agent-1', clientSecret: { env: 'PHSYNC_AGENT_SECRET' } },
      },
      connectors: [
        {
          name: 'phs.test',
          directory: {
            type: 'drs',
            server: 'dc1.phs.test',
            domain: 'phs.test',
            auth: { mechanism: 'negotiate', user: 'phs.sync', password: { env: 'PHSYNC_AD_PASSWORD' } },
          },
          scope: { include: [], exclude: [], cloudFiltered: OWN },
        },
      ],
    });
    await expect(loadAgentConfig(join(folder, 'agent.yaml'))).resolves.toMatchObject({ staging: false });
    const steps = [...stdout.matchAll(/^ {2}phsync (\S+) --config agent\.yaml(.*)$/gm)];
    expect(steps.map(([, name]) => name)).toEqual(['permissions', 'diagnose', 'agent', 'systemd']);
    const { commands } = describeProgram(await wholeProgram());
    for (const [, name, rest] of steps) {
      const known = commands.find((command) => command.name === name)!.options.map(({ long }) => long);
      expect(known).toEqual(expect.arrayContaining(rest!.match(/--[\w-]+/g) ?? []));
    }
  });

  it('has every key of the schema in the file, and each comment is taken when it is made a setting', () => {
    init(['--non-interactive', ...GIVEN]);
    const lines = written().split('\n');
    const found = lines.flatMap((line) => /^ *(?:- |#)?(\w+):(?: |$)/.exec(line)?.[1] ?? []);
    const keys = keysOf(describeSchema(agentConfigSchema(configSchemas('/'))));
    const inline =
      /(auth\.(client|password)|proxy\.|monitor\.|domainServices\.|asswordWriteback\.|servers\.|Servers\.|cloudFiltered\.)|\.(env|file|credential)$/;
    expect(keys.length).toBeGreaterThan(50);
    expect(keys.filter((key) => !inline.test(key) && !found.includes(key.split('.').at(-1)!))).toEqual([]);

    const comments = lines.flatMap((line, i) => (/^ *#\w+: /.test(line) ? [i] : []));
    expect(comments.length).toBeGreaterThan(15);
    const refused = comments.flatMap((i) => {
      const text = lines.with(i, lines[i]!.replace('#', '')).join('\n');
      try {
        parseConfig(text, '/etc/phsync/agent.yaml', agentConfigSchema);
        return [];
      } catch (error) {
        return [(error as Error).message.replace(/^.*?: line \d+: /, '')];
      }
    });
    // Alternatives to what is set: the domain controller by name, the password.
    expect(refused.map((message) => message.split(':')[0]!.split('.').at(-1)).sort()).toEqual([
      'credentialCache',
      'keytab',
      'preferredServers',
      'servers',
      'site',
    ]);
  });

  it('takes environment variables for options, and paths as the working directory has them', () => {
    const env = {
      PHSYNC_INIT_ACCOUNT: 'PHS\\phs.sync@phs.test',
      PHSYNC_INIT_TENANT_URL: 'https://tenant.example/p.svc',
      PHSYNC_INIT_TENANT_CA: 'ca.pem',
      PHSYNC_INIT_KEYTAB: '../other/phs.keytab',
      PHSYNC_INIT_CLIENT_ID: 'agent-1',
    };
    const { stdout, status } = init(
      ['--json', '--config', 'conf/agent.yaml', '--staging', '--monitor-port', '9464'],
      env,
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ config: join(folder, 'conf/agent.yaml'), secrets: [] });
    expect(parse(written('conf/agent.yaml'))).toMatchObject({
      staging: true,
      monitor: { port: 9464 },
      tenant: { ca: join(folder, 'ca.pem') },
      // A domain of two labels: its domain controllers are DNS's affair.
      connectors: [{ directory: { domain: 'phs.test', auth: { user: 'PHS\\phs.sync' } } }],
    });
    const { directory } = parse(written('conf/agent.yaml')).connectors[0];
    expect(directory).not.toHaveProperty('server');
    expect(directory.auth).not.toHaveProperty('password');
    expect(directory.auth.keytab).toBe(join(folder, '../other/phs.keytab'));
  });

  it('names all that is missing or wrong at once, as options, and writes nothing', () => {
    const { status, stderr } = init([
      '--non-interactive',
      '--tenant-url',
      'http://tenant.example',
      '--include',
      'Staff',
    ]);
    expect(status).toBe(2);
    for (const words of [
      '--tenant-url (or PHSYNC_INIT_TENANT_URL): expected an https URL',
      '--client-id (or PHSYNC_INIT_CLIENT_ID) is missing',
      '--domain (or PHSYNC_INIT_DOMAIN) is missing',
      '--include: expected a distinguished name',
      '--account (or PHSYNC_INIT_ACCOUNT) gives',
    ]) {
      expect(stderr).toContain(words);
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  it('wants no secret as an option, and does not repeat one', () => {
    const { status, stderr } = init(['--non-interactive', ...GIVEN, '--password', 'hunter2']);
    expect(status).toBe(2);
    expect(stderr).toContain('--password: expected env:NAME, file:PATH or credential:NAME');
    expect(stderr).not.toContain('hunter2');
  });

  it('says next which secret goes where, and hands credentials to commands by hand', () => {
    const { status, stdout } = init([
      '--non-interactive',
      ...GIVEN,
      ...['--password', 'credential:ad-password', '--client-secret', 'env:TENANT_SECRET'],
    ]);
    expect(status).toBe(0);
    expect(stdout).toContain("# TENANT_SECRET: the agent's client secret at the tenant");
    expect(stdout).toContain(`# ${join(folder, 'ad-password')}: the directory account's password`);
    expect(stdout).toContain(`printf %s "$SECRET" > ${join(folder, 'ad-password')})`);
    for (const command of ['permissions', 'diagnose', 'agent']) {
      expect(stdout).toMatch(new RegExp(`^  CREDENTIALS_DIRECTORY=${folder} phsync ${command} `, 'm'));
    }
  });

  it('keeps secrets in files of their own where it is asked to', async () => {
    const env = { PHSYNC_AD_PASSWORD: 'päss "w0rd"', PHSYNC_AGENT_SECRET: 'hunter2' };
    const { status, stdout } = init(['--json', ...GIVEN, '--write-secrets'], env);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).secrets.sort()).toEqual([join(folder, 'ad-password'), join(folder, 'client-secret')]);
    expect(written('ad-password')).toBe('päss "w0rd"\n');
    expect([mode('ad-password'), mode('client-secret'), mode('agent.yaml')]).toEqual([0o600, 0o600, 0o600]);
    expect(written() + stdout).not.toMatch(/hunter2|w0rd/);
    const { connectors, tenant } = await loadAgentConfig(join(folder, 'agent.yaml'));
    expect(connectors[0]!.directory).toMatchObject({ auth: { password: { file: join(folder, 'ad-password') } } });
    expect(tenant.auth.clientSecret).toEqual({ file: join(folder, 'client-secret') });

    const { stderr } = init(['--force', '--non-interactive', ...GIVEN, '--write-secrets'], { PHSYNC_AD_PASSWORD: 'x' });
    expect(stderr).toContain('the environment variable PHSYNC_AGENT_SECRET is not set');
  });

  it.each(['agent.yaml', 'client-secret'])('overwrites no %s unasked', (name) => {
    writeFileSync(join(folder, name), 'mine');
    const env = { PHSYNC_AD_PASSWORD: 'a', PHSYNC_AGENT_SECRET: 'b' };
    const args = ['--non-interactive', ...GIVEN, '--write-secrets'];
    const { status, stderr } = init(args, env);
    expect([status, stderr]).toEqual([3, `phsync: ${join(folder, name)} is there already; --force overwrites it\n`]);
    expect([written(name), readdirSync(folder)]).toEqual(['mine', [name]]);
    expect(init([...args, '--force'], env).status).toBe(0);
    expect(readdirSync(folder).sort()).toEqual(['ad-password', 'agent.yaml', 'client-secret']);
    expect(mode(name)).toBe(0o600);
  });

  it('asks only on a terminal', () => {
    const { status, stderr } = init(GIVEN);
    expect(status).toBe(2);
    expect(stderr).toContain('--non-interactive');
  });
});

describe("the agent's own account", () => {
  const conditionsOf = (user: string, cloudFiltered?: unknown) => {
    const connector = { directory: { domain: 'phs.test', auth: { user } }, scope: { cloudFiltered } };
    leaveOutOwnAccounts({ connectors: [connector] });
    // Once more changes nothing.
    leaveOutOwnAccounts({ connectors: [connector] });
    return connector.scope.cloudFiltered;
  };

  it('is left out of the tenant, where it is one of the domain', () => {
    expect(conditionsOf('phs.sync')).toEqual(OWN);
    const [, principal] = OWN;
    expect(conditionsOf('repl.svc@phs.test')).toEqual([
      { attribute: 'sAMAccountName', equals: 'repl.svc' },
      { attribute: 'userPrincipalName', equals: 'repl.svc@phs.test' },
    ]);
    expect(conditionsOf('sync@contoso.com')).toEqual([{ ...principal, equals: 'sync@contoso.com' }]);
    expect(conditionsOf('OTHER\\phs.sync')).toBeUndefined();
    const sales = { attribute: 'department', equals: 'Sales' };
    expect(conditionsOf('phs.sync', [sales])).toEqual([sales, ...OWN]);
    const others = { attribute: 'sAMAccountName', startsWith: 'svc.' };
    expect(conditionsOf('phs.sync', [others])).toEqual([others, ...OWN]);
    const upper = OWN.map((each) => ({ ...each, equals: each.equals.toUpperCase() }));
    expect(conditionsOf('phs.sync', upper)).toEqual(upper);
  });
});

describe('an account that agent.yaml does not name', () => {
  const args = [...GIVEN.slice(2), '--server', 'dc1.phs.test', '--mechanism', 'kerberos'];

  it('is to be left out by hand, and the end says so', () => {
    const cache = ['--credential-cache', 'FILE:/run/phsync/krb5cc'];
    const { status, stdout } = init(['--non-interactive', ...args, ...cache]);
    expect([status, parse(written()).connectors[0].scope.cloudFiltered]).toEqual([0, undefined]);
    expect(written()).not.toContain('Written by phsync init');
    expect(stdout).toContain('\nNote: phs.test: whose the credential cache is cannot be told here. That account may');
    const { notes } = JSON.parse(init(['--json', '--force', ...args, ...cache]).stdout);
    expect(notes).toEqual([expect.stringContaining('scope.cloudFiltered')]);
  });

  it('is no matter where it does', () => {
    const cache = ['--credential-cache', 'FILE:/run/phsync/krb5cc'];
    const { stdout } = init(['--non-interactive', ...GIVEN, '--mechanism', 'kerberos', ...cache]);
    expect(stdout).not.toContain('Note:');
    const lines = written().split('\n');
    const at = lines.findIndex((line) => line.startsWith('      cloudFiltered: '));
    expect(lines[at - 1]).toMatch(/^ {6}# Written by phsync init: leaves out the account above/);
    expect(parse(written()).connectors[0].scope.cloudFiltered).toEqual(OWN);
  });
});

describe('an account and where it replicates', () => {
  it.each([
    ['phs.sync@dc1.phs.test', 'phs.sync', 'dc1.phs.test', 'phs.test'],
    ['phs.sync dc1.emea.phs.test', 'phs.sync', 'dc1.emea.phs.test', 'emea.phs.test'],
    ['phs.sync@phs.test', 'phs.sync', undefined, 'phs.test'],
    ['phs.sync@phs.test@dc1.phs.test', 'phs.sync@phs.test', 'dc1.phs.test', 'phs.test'],
    ['PHS\\sync@dc1.phs.test', 'PHS\\sync', 'dc1.phs.test', 'phs.test'],
    ['phs.sync@192.0.2.10', 'phs.sync', '192.0.2.10', undefined],
  ])('%s', (text, user, server, domain) => {
    expect(parseAccount(text)).toEqual({ user, server, domain });
  });

  it.each(['', 'phs.sync', 'phs.sync@', '@dc1.phs.test', 'phs.sync@dc1', 'phs.sync@dc1..test', 'a b c'])(
    'not %j',
    (text) => {
      expect(parseAccount(text)).toBeUndefined();
    },
  );
});

const DOWN = '\u001b[B';
const CLEAR = '\u0015';

describe('phsync init on a terminal', () => {
  function onTerminal(args: readonly string[], steps: readonly (readonly [string, string])[]) {
    const { status, stdout, stderr } = spawnSync(
      'python3',
      [join(root, 'test/cli/terminal.py'), JSON.stringify(steps), process.execPath, main, 'init', ...args],
      { cwd: folder, env: { PATH: process.env.PATH }, encoding: 'utf8', timeout: 120_000 },
    );
    return { status, stdout, stderr };
  }

  it('express: account, tenant, and where the secrets are', { timeout: 120_000 }, async () => {
    const { status, stdout, stderr } = onTerminal(
      [],
      [
        ['express', '\r'],
        ['Which account', 'phs.sync\r'],
        ['expected ACCOUNT@DOMAIN-CONTROLLER', '@dc1.phs.test\r'],
        ["account's password", '\r'],
        ['auth.password', 'hunter2\r'],
        ['tenant.url', 'http://tenant.example\r'],
        ['expected an https URL', `${CLEAR}https://tenant.example\r`],
        ['tenant.ca', '\r'],
        ['tenant.auth.clientId', 'agent-1\r'],
        ['Where is tenant.auth.clientSecret', `${DOWN}${DOWN}\r`],
        ['Name of the variable', '\r'],
        ['Write this?', '\r'],
      ],
    );
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).not.toContain('hunter2');
    expect(written()).not.toContain('hunter2');
    expect(written('ad-password')).toBe('hunter2\n');
    expect([mode('ad-password'), mode('agent.yaml')]).toEqual([0o600, 0o600]);
    const { directory } = (await loadAgentConfig(join(folder, 'agent.yaml'))).connectors[0]!;
    expect(directory).toMatchObject({
      server: 'dc1.phs.test',
      domain: 'phs.test',
      auth: { mechanism: 'negotiate', user: 'phs.sync', password: { file: join(folder, 'ad-password') } },
    });
  });

  it('express: what options say is not asked', { timeout: 120_000 }, () => {
    const given = [...GIVEN, '--password', 'env:P', '--client-secret', 'env:S', '--tenant-ca', 'ca.pem'];
    const { status, stdout } = onTerminal(['--express', ...given], [['Write this?', '\r']]);
    expect(status).toBe(0);
    expect(stdout).not.toMatch(/Which account|tenant\.url:|Where is/);
    expect(parse(written()).tenant.ca).toBe('./ca.pem');
  });

  it('Ctrl-C writes nothing, and neither does No', { timeout: 120_000 }, () => {
    const { status, stdout } = onTerminal(['--express'], [['Which account', '\u0003']]);
    expect(status).toBe(3);
    expect(stdout).toContain('nothing was written');
    const given = [...GIVEN, '--password', 'env:P', '--client-secret', 'env:S', '--tenant-ca', 'ca.pem'];
    expect(onTerminal(['--express', ...given], [['Write this?', 'n']]).stdout).toContain('Nothing was written.');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('custom: asks for every key', { timeout: 120_000 }, async () => {
    const scope: [string, string][] = [
      ['scope.exclude', '\r'],
      ['condition 1', '\r'],
      ['scope.passwords', '\r'],
    ];
    const { status, stdout, stderr } = onTerminal(
      ['--custom'],
      [
        ['stateDir', `${CLEAR}/var/lib/phsync\r`],
        ['logLevel', '\r'],
        ['allowMd5InFips', '\r'],
        ['staging', 'y'],
        ['monitor', 'y'],
        ['monitor.host', `${CLEAR}192.0.2.1\r`],
        ['expected a loopback address', `${CLEAR}127.0.0.1\r`],
        ['monitor.port', '70000\r'],
        ['expected number to be <=65535', `${CLEAR}9464\r`],
        ['monitor.readyMinutes', '\r'],
        ['tenant.url', 'https://tenant.example\r'],
        ['tenant.ca', './ca.pem\r'],
        ['tenant.auth.clientId', 'agent-1\r'],
        ['Where is tenant.auth.clientSecret', `${DOWN}\r`],
        ['Path of the file', '\r'],
        ['tenant.proxy', 'y'],
        ['tenant.proxy.url', 'http://proxy.phs.test:3128\r'],
        ['tenant.proxy.user', 'phsync\r'],
        ['Where is tenant.proxy.password', `${DOWN}${DOWN}\r`],
        ['Name of the variable', '\r'],
        ['tenant.healFeature', '\r'],
        ['domainServices.send', '\r'],
        ['domainServices.certificates', './domain-services.pem\r'],
        ['passwordWriteback.enabled', 'y'],
        // One domain controller, NTLM, a credential of the service.
        ['directory.domain', 'phs.test\r'],
        ['connectors.name', '\r'],
        ['connectors.enabled', '\r'],
        ['connectors.phaseSeconds', `${CLEAR}30\r`],
        ['disableExpiredAccounts', 'y'],
        ['Which domain controllers', '\r'],
        ['directory.server', 'dc1.phs.test\r'],
        ['directory.address', '192.0.2.10\r'],
        ['directory.dnsServers', '\r'],
        ['auth.mechanism', `${DOWN}${DOWN}\r`],
        ['auth.user', 'phs.sync\r'],
        ["account's password", `${DOWN}${DOWN}${DOWN}\r`],
        ['Name of the credential', '\r'],
        ['directory.pageSize', '500\r'],
        ['directory.timeoutSeconds', '30\r'],
        ['scope.include', 'OU=Staff,DC=phs,DC=test; OU=More,DC=phs,DC=test\r'],
        ['scope.exclude', 'Staff\r'],
        ['expected a distinguished name', `${CLEAR}OU=X,OU=Staff,DC=phs,DC=test\r`],
        ['condition 1', 'department is Sales\r'],
        ['expected ATTRIBUTE', `${CLEAR}department equals Sales\r`],
        ['condition 2', 'mail present false\r'],
        ['condition 3', '\r'],
        ['scope.passwords', `${DOWN}\r`],
        ['connectors.passwordWriteback.enabled', '\r'],
        ['passwordWriteback.tls', `${DOWN}\r`],
        ['passwordWriteback.port', '\r'],
        ['passwordWriteback.ca', './dc-ca.pem\r'],
        ['passwordWriteback.auth.user', 'phs.writeback\r'],
        ['password of the account that sets passwords', `${DOWN}\r`],
        ['Path of the file', '\r'],
        ['Another domain?', 'y'],
        // Several, and a keytab.
        ['directory.domain', 'emea.phs.test\r'],
        ['connectors.name', '\r'],
        ['connectors.enabled', 'n'],
        ['connectors.phaseSeconds', '\r'],
        ['disableExpiredAccounts', '\r'],
        ['Which domain controllers', `${DOWN}\r`],
        ['directory.servers', 'dc1.emea.phs.test; dc2.emea.phs.test=192.0.2.11\r'],
        ['directory.dnsServers', '\r'],
        ['auth.mechanism', '\r'],
        ['auth.user', 'phs.sync\r'],
        ["account's password", `${DOWN}${DOWN}${DOWN}${DOWN}\r`],
        ['auth.keytab', './phs.keytab\r'],
        ['auth.realm', 'EMEA.PHS.TEST\r'],
        ['auth.allowRc4', 'y'],
        ['directory.pageSize', '\r'],
        ['directory.timeoutSeconds', '\r'],
        ['scope.include', '\r'],
        ...scope,
        ['connectors.passwordWriteback.enabled', 'n'],
        ['Another domain?', 'y'],
        // DNS, and a credential cache.
        ['directory.domain', 'apac.phs.test\r'],
        ['connectors.name', '\r'],
        ['connectors.enabled', '\r'],
        ['connectors.phaseSeconds', '\r'],
        ['disableExpiredAccounts', '\r'],
        ['Which domain controllers', `${DOWN}${DOWN}\r`],
        ['directory.preferredServers', 'dc1.apac.phs.test\r'],
        ['directory.site', 'Sydney\r'],
        ['directory.dnsServers', '192.0.2.53\r'],
        ['auth.mechanism', `${DOWN}\r`],
        ['auth.user', '\r'],
        ["account's password", `${DOWN}${DOWN}${DOWN}${DOWN}${DOWN}\r`],
        ['auth.credentialCache', 'KEYRING:persistent:990\r'],
        ['auth.realm', '\r'],
        ['auth.allowRc4', '\r'],
        ['directory.pageSize', '\r'],
        ['directory.timeoutSeconds', '\r'],
        ['scope.include', '\r'],
        ...scope,
        ['connectors.passwordWriteback.enabled', 'n'],
        ['Another domain?', 'n'],
        ['Write this?', '\r'],
      ],
    );
    expect([status, stderr], stdout.slice(-2000)).toEqual([0, '']);
    const keys = keysOf(describeSchema(agentConfigSchema(configSchemas('/'))));
    const leaves = keys.filter((key) => !keys.some((other) => other.startsWith(`${key}.`)));
    // Parts of an answer, and the kind of directory, of which there is one.
    const parts = /ervers\.|cloudFiltered\.|\.(env|file|credential)$|directory\.type$/;
    expect(leaves.filter((key) => !parts.test(key) && !stdout.includes(`${key}:`))).toEqual([]);

    await loadAgentConfig(join(folder, 'agent.yaml'));
    const { tenant, connectors, ...others } = parse(written());
    expect(others).toEqual({
      stateDir: '/var/lib/phsync',
      staging: true,
      monitor: { port: 9464 },
      domainServices: { certificates: './domain-services.pem' },
      passwordWriteback: { enabled: true },
    });
    expect(tenant.proxy).toEqual({
      url: 'http://proxy.phs.test:3128',
      user: 'phsync',
      password: { env: 'PHSYNC_PROXY_PASSWORD' },
    });
    expect(tenant.auth.clientSecret).toEqual({ file: './client-secret' });
    expect(connectors).toEqual([
      {
        name: 'phs.test',
        phaseSeconds: 30,
        disableExpiredAccounts: true,
        directory: {
          type: 'drs',
          server: 'dc1.phs.test',
          address: '192.0.2.10',
          domain: 'phs.test',
          auth: { user: 'phs.sync', password: { credential: 'ad-password' } },
          pageSize: 500,
          timeoutSeconds: 30,
        },
        scope: {
          include: ['OU=Staff,DC=phs,DC=test', 'OU=More,DC=phs,DC=test'],
          exclude: ['OU=X,OU=Staff,DC=phs,DC=test'],
          cloudFiltered: [{ attribute: 'department', equals: 'Sales' }, { attribute: 'mail', present: false }, ...OWN],
          passwords: 'PHSFiltered',
        },
        passwordWriteback: {
          tls: 'starttls',
          ca: './dc-ca.pem',
          auth: { user: 'phs.writeback', password: { file: './writeback-password' } },
        },
      },
      {
        name: 'emea.phs.test',
        enabled: false,
        directory: {
          type: 'drs',
          servers: ['dc1.emea.phs.test', { server: 'dc2.emea.phs.test', address: '192.0.2.11' }],
          domain: 'emea.phs.test',
          auth: {
            mechanism: 'negotiate',
            user: 'phs.sync',
            keytab: './phs.keytab',
            realm: 'EMEA.PHS.TEST',
            allowRc4: true,
          },
        },
        scope: { include: [], exclude: [], cloudFiltered: own('emea.phs.test') },
        passwordWriteback: { enabled: false },
      },
      {
        name: 'apac.phs.test',
        directory: {
          type: 'drs',
          preferredServers: ['dc1.apac.phs.test'],
          site: 'Sydney',
          dnsServers: ['192.0.2.53'],
          domain: 'apac.phs.test',
          auth: { mechanism: 'kerberos', credentialCache: 'KEYRING:persistent:990' },
        },
        scope: { include: [], exclude: [] },
        passwordWriteback: { enabled: false },
      },
    ]);
  });
});
