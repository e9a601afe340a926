/** `phsync systemd`: the units, what systemd itself says of them, and agent and tenant within their sandbox. */

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { agentConfigSchema } from '#src/agent/config.js';
import { readSambaPaths, sambaPaths } from '#src/cli/systemd/samba-paths.js';
import { agentService, domainServicesService, tenantService } from '#src/cli/systemd/service.js';
import { systemdUnit } from '#src/cli/systemd/unit.js';
import { parseConfig } from '#src/config/load-config.js';
import { domainServicesConfigSchema } from '#src/domain-services/config.js';
import { createHasher } from '#src/hasher/create-hasher.js';
import type { Hasher } from '#src/hasher/types.js';
import { tenantSchema } from '#src/tenant/config.js';
import { describeWithTools } from '../native/tools.js';
import { execute } from '../package/tools.js';
import { AGENT, startTestTenant } from '../tenant/harness.js';

const main = join(fileURLToPath(new URL('../..', import.meta.url)), 'dist/cli/main.js');

const yaml = (auth: string, secret: string, stateDir = '/var/lib/phsync') => `
stateDir: ${stateDir}
tenant:
  url: https://tenant.example/provisioningservice.svc
  auth: { clientId: agent-1, clientSecret: ${secret} }
connectors:
  - name: phs.test
    directory: { type: drs, domain: phs.test, auth: ${auth} }
`;
const NTLM = '{ user: phs.sync, password: { credential: ad-password } }';

function unit(
  text: string,
  { file = '/etc/phsync/agent.yaml', program = ['/usr/bin/node', '/opt/phsync/main.js'] } = {},
) {
  const service = agentService(parseConfig(text, file, agentConfigSchema));
  return systemdUnit({ file, service, user: 'phsync', program });
}

const tenantYaml = (more = '', port = 8443) => `
stateDir: /var/lib/phsync-tenant
listen: { host: 0.0.0.0, port: ${port} }
domains: [{ name: phs.test }]
agents: [{ clientId: agent-1, clientSecret: { credential: agent-secret } }]
${more}
`;

function tenantUnit(text: string, file = '/etc/phsync-tenant/tenant.yaml') {
  const service = tenantService(parseConfig(text, file, tenantSchema));
  return systemdUnit({ file, service, user: 'phsync-tenant', program: ['/usr/bin/node', '/opt/phsync/main.js'] });
}

describe('the unit', () => {
  it('gets each secret in its way', () => {
    const { text, warnings } = unit(yaml(NTLM, '{ env: PHSYNC_AGENT_SECRET }'));
    expect(warnings).toEqual([]);
    expect(text).toContain('\nLoadCredential=ad-password:/etc/phsync/ad-password\n');
    expect(text).toContain('\nEnvironmentFile=/etc/phsync/environment\n');
    expect(text).toContain('\n#   chown root:phsync /etc/phsync/agent.yaml\n');
    expect(unit(yaml('{ user: u, password: { file: ad } }', '{ file: cs }')).text).toMatch(
      /# {3}chown phsync: \/etc\/phsync\/cs\n# {3}chown phsync: \/etc\/phsync\/ad\n/,
    );
  });

  it('says where the certificate of the tenant must be for its user to read it', () => {
    const withCa = (ca: string) => unit(yaml(NTLM, '{ file: cs }').replace('tenant:\n', `tenant:\n  ca: ${ca}\n`));
    const beside = withCa('./ca.pem');
    expect(beside.warnings).toEqual([]);
    expect(beside.text).toContain('\n#   chmod 0644 /etc/phsync/ca.pem\n');
    const closed = withCa('/srv/tenant-state/ca.pem');
    expect(closed.warnings).toEqual([
      expect.stringMatching(/^\/srv\/tenant-state\/ca\.pem .*copy it to \/etc\/phsync /),
    ]);
    expect(closed.text).toContain('\n#   runuser -u phsync -- test -r /srv/tenant-state/ca.pem || echo "copy it ');
    expect(closed.text).not.toContain('chmod 0644');
  });

  it('keeps the state where it is', () => {
    expect(unit(yaml(NTLM, '{ file: cs }')).text).toContain('\nStateDirectory=phsync\nStateDirectoryMode=0700\n');
    const elsewhere = unit(yaml(NTLM, '{ file: cs }', '/srv/phsync'));
    expect(elsewhere.text).toContain('\nReadWritePaths=/srv/phsync\n');
    expect(elsewhere.warnings).toEqual([expect.stringContaining('/srv/phsync is not below /var/lib')]);
  });

  it('opens its sandbox where a file lies outside of it, and says so', () => {
    const nvm = unit(yaml(NTLM, '{ file: /tmp/cs }'), { program: ['/home/me/.nvm/node', '/opt/phsync/main.js'] });
    expect(nvm.text).toMatch(/^ProtectHome=read-only\n(.*\n)*PrivateTmp=no$/m);
    expect(nvm.warnings).toHaveLength(2);
    const keyring = unit(yaml('{ mechanism: kerberos, credentialCache: "KEYRING:persistent:990" }', '{ file: cs }'));
    expect(keyring.text).not.toContain('PrivateUsers');
    expect(unit(yaml(NTLM, '{ file: cs }')).text).toContain('\nPrivateUsers=yes\n');
  });

  it('has a command line that systemd reads as it was meant', () => {
    const program = ['/opt/no de/node', '/opt/100%/$HOME/main.js'];
    expect(unit(yaml(NTLM, '{ file: cs }'), { program }).text).toContain(
      '\nExecStart="/opt/no de/node" /opt/100%%/$$HOME/main.js agent --config /etc/phsync/agent.yaml\n',
    );
  });

  it('quotes a path where systemd takes the quotes off again, and nowhere else', () => {
    const { text } = unit(yaml(NTLM, '{ env: S }', '/srv/my state/$x'), { file: '/etc/my phsync/100%.yaml' });
    expect(text).toContain('\nLoadCredential=ad-password:/etc/my phsync/ad-password\n');
    expect(text).toContain('\nEnvironmentFile=/etc/my phsync/environment\n');
    expect(text).toContain('\nReadWritePaths="/srv/my state/$x"\n');
    expect(text).toContain("\n#   chown root:phsync '/etc/my phsync/100%.yaml'\n");
    expect(text).toContain("\n#   chmod 0600 '/etc/my phsync/ad-password'\n");
    expect(text).toContain(" --home-dir '/srv/my state/$x' --no-create-home ");
  });

  it('leaves the agent the time that it needs to stop, and does not start a wrong configuration again', () => {
    const { text } = unit(yaml(NTLM, '{ file: cs }'));
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(text)![1])).toBeGreaterThan(10);
    expect(text).toMatch(/^RestartPreventExitStatus=2$/m);
    expect(text).toMatch(/^ExecReload=\/bin\/kill -HUP \$MAINPID$/m);
  });
});

describe("the tenant's unit", () => {
  it('is of its own name, user and state, and hands out its secrets', () => {
    const more =
      'store: { type: postgres, url: { credential: database-url } }\napplications: [{ clientId: a, clientSecret: { file: app } }]';
    const { text, warnings } = tenantUnit(tenantYaml(more));
    expect(warnings).toEqual([]);
    expect(text).toMatch(/^# phsync-tenant\.service, /);
    expect(text).toContain(
      '\nExecStart=/usr/bin/node /opt/phsync/main.js tenant --config /etc/phsync-tenant/tenant.yaml\n',
    );
    expect(text).toContain('\nUser=phsync-tenant\nStateDirectory=phsync-tenant\n');
    expect(text).toContain('\nLoadCredential=database-url:/etc/phsync-tenant/database-url\n');
    expect(text).toContain('\nLoadCredential=agent-secret:/etc/phsync-tenant/agent-secret\n');
    expect(text).toContain('\n#   chown phsync-tenant: /etc/phsync-tenant/app\n');
    expect(text).toContain('\nAfter=network-online.target postgresql.service\n');
    expect(text).toMatch(/# {3}systemctl enable --now phsync-tenant$/m);
    // SIGHUP would end it.
    expect(text).not.toContain('ExecReload');
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(text)![1])).toBeGreaterThan(10);
  });

  it('may listen below port 1024 where it is told to, and nothing else more', () => {
    const low = tenantUnit(tenantYaml('', 443)).text;
    expect(low).toContain('\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n');
    expect(low).toContain('\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n');
    // A privilege of a user namespace opens no port of the machine's.
    expect(low).not.toContain('PrivateUsers');
    const high = tenantUnit(tenantYaml()).text;
    expect(high).toContain('\nCapabilityBoundingSet=\nAmbientCapabilities=\n');
    expect(high).toContain('\nPrivateUsers=yes\n');
  });

  it('takes a certificate beside the configuration, and says what to do about one elsewhere', () => {
    const beside = tenantUnit(tenantYaml('tls: { cert: cert.pem, key: key.pem }'));
    expect(beside.warnings).toEqual([]);
    expect(beside.text).toContain('\n#   chown phsync-tenant: /etc/phsync-tenant/key.pem\n');
    expect(beside.text).toContain('\n#   chmod 0644 /etc/phsync-tenant/cert.pem\n');
    const live = tenantUnit(tenantYaml('tls: { cert: /etc/le/live/c.pem, key: /etc/le/live/k.pem }'));
    expect(live.warnings).toEqual([
      expect.stringMatching(/^\/etc\/le\/live\/k\.pem \(tls\.key\) .*a copy of its own in \/etc\/phsync-tenant$/),
      expect.stringMatching(/^\/etc\/le\/live\/c\.pem \(tls\.cert\) .*such as \/etc\/letsencrypt\/live/),
    ]);
    expect(live.text).not.toMatch(/chown .*k\.pem/);
  });
});

function managedUnit(key: string, { more = '', ca = '', smbConf = '' } = {}) {
  const file = '/etc/phsync-domain-services/domain-services.yaml';
  const text = `
stateDir: ${more || '/var/lib/phsync-domain-services'}
tenant: { url: https://tenant.example, ${ca} auth: { clientId: ds, clientSecret: { credential: client-secret } } }
keys: [{ certificate: now.pem, privateKey: ${key} }]
managedDomain: { type: samba }
`;
  const service = domainServicesService(
    parseConfig(text, file, domainServicesConfigSchema),
    readSambaPaths(smbConf, '/smb.conf'),
  );
  return systemdUnit({ file, service, user: 'root', program: ['/usr/bin/node', '/opt/phsync/main.js'] });
}
const KEY_FILE = '{ file: now.key, passphrase: { credential: passphrase } }';

describe('the unit of domain-services', () => {
  it("runs as root, who owns the domain controller's database, and writes there and into its state alone", () => {
    const { text, warnings } = managedUnit(KEY_FILE);
    expect(warnings).toEqual([]);
    expect(text).toContain('/main.js domain-services --config /etc/phsync-domain-services/domain-services.yaml\n');
    expect(text).toContain('\nUser=root\nStateDirectory=phsync-domain-services\n');
    expect(text).toContain('\n# Opens the keys anew.\nExecReload=/bin/kill -HUP $MAINPID\n');
    expect(text).toMatch(/^ReadWritePaths=-\/var\/lib\/samba /m);
    expect(text).toContain('\nCapabilityBoundingSet=\n');
    expect(text).toContain('\nLoadCredential=passphrase:/etc/phsync-domain-services/passphrase\n');
    expect(text).toContain('\n#   chmod 0600 /etc/phsync-domain-services/now.key\n');
    expect(text).not.toContain('useradd');
  });

  it("lets it write where the domain controller's own smb.conf has its database", () => {
    const smbConf = `
      [global]
      # private dir = /srv/comment
      Private Dir = /srv/dc one/private
      state directory = /srv/dc/state/
      lock dir = /var/lib/samba/lock
      cache directory = /srv/dc\\
/cache
      log file = /srv/dc/log/log.%m
      server role = active directory domain controller
    `;
    const { text, warnings } = managedUnit(KEY_FILE, { smbConf });
    expect(warnings).toEqual([]);
    const [, paths] = /^ReadWritePaths=.* -\/usr\/local\/samba (.+)$/m.exec(text)!;
    expect(paths).toBe('"-/srv/dc one/private" -/srv/dc/state -/srv/dc/cache -/srv/dc/log');
    expect(text).toContain('\nPrivateTmp=yes\n');
    expect(managedUnit(KEY_FILE, { smbConf: 'private dir = /tmp/dc/private' }).text).toContain('\nPrivateTmp=no\n');
    expect(managedUnit(KEY_FILE, { smbConf: 'include = /etc/samba/%m.conf\nprivate dir = %P' }).warnings).toEqual([
      expect.stringMatching(/^\/smb\.conf: include = \/etc\/samba\/%m\.conf: .+ReadWritePaths=/),
      expect.stringMatching(/^\/smb\.conf: private dir = %P: .+ReadWritePaths=/),
    ]);
  });

  it('says of an smb.conf that cannot be read what is to be done', async () => {
    const { writes, warnings } = await sambaPaths('/nowhere/smb.conf');
    expect([writes, warnings]).toEqual([[], [expect.stringMatching(/^\/nowhere\/smb\.conf .+ReadWritePaths=/)]]);
  });

  it('says of the CA and the state directory what is to be done, where it is not done', () => {
    const folder = mkdtempSync(join(tmpdir(), 'phsync-systemd-'));
    try {
      chmodSync(folder, 0o755);
      const [path, state] = [join(folder, 'ca.pem'), join(folder, 'state')];
      const about = () => managedUnit(KEY_FILE, { ca: `ca: ${path},`, more: state }).warnings;
      const [ca, directory] = [
        expect.stringContaining('(tenant.ca) must be readable'),
        expect.stringContaining('make it'),
      ];
      const temporary = expect.stringContaining('PrivateTmp=no');
      expect(about()).toEqual(expect.arrayContaining([ca, directory, temporary]));
      writeFileSync(path, '');
      chmodSync(path, 0o644);
      expect(about()).not.toContainEqual(ca);
      chmodSync(path, 0);
      expect(about()).toContainEqual(ca);
      mkdirSync(state, { mode: 0o755 });
      expect(about()).toContainEqual(directory);
      chmodSync(state, 0o700);
      // Whose it is counts as well.
      if (process.getuid?.() === 0) expect(about()).not.toContainEqual(directory);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('says what a token may want besides', () => {
    const { warnings } = managedUnit('{ pkcs11: { module: /opt/hsm.so, token: t, pin: { credential: pin } } }');
    expect(warnings).toEqual([expect.stringMatching(/^\/opt\/hsm\.so: .+ReadWritePaths=/)]);
  });
});

describeWithTools('systemd', { 'systemd-analyze': 'systemd' }, () => {
  let folder: string;
  let file: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'phsync-systemd-'));
    const config = join(folder, 'agent.yaml');
    writeFileSync(config, yaml(NTLM, '{ env: PHSYNC_AGENT_SECRET }'));
    const made = await execute(process.execPath, [main, 'systemd', '--config', config], {
      cwd: folder,
      env: process.env,
    });
    expect(made.status).toBe(0);
    // What this machine's own paths want open is none of the unit's making.
    const text = made.stdout
      .replace('PrivateTmp=no', 'PrivateTmp=yes')
      .replace('ProtectHome=read-only', 'ProtectHome=yes');
    file = join(folder, 'phsync.service');
    writeFileSync(file, text);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const analyze = (...args: string[]) =>
    execute('systemd-analyze', [...args, '--no-pager', file], { cwd: folder, env: { PATH: process.env.PATH } });

  it('finds nothing wrong with it', async () => {
    expect(await analyze('verify')).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  it.each([8443, 443])(
    "finds nothing wrong with the tenant's, on port %i, and calls its exposure low",
    async (port) => {
      const tenant = join(folder, `tenant-${port}.service`);
      writeFileSync(tenant, tenantUnit(tenantYaml('', port)).text.replace(/^ExecStart=.*$/m, 'ExecStart=/bin/true'));
      const run = (...args: string[]) =>
        execute('systemd-analyze', [...args, '--no-pager', tenant], { cwd: folder, env: { PATH: process.env.PATH } });
      expect(await run('verify')).toMatchObject({ status: 0, stdout: '', stderr: '' });
      expect((await run('security', '--offline=yes', `--threshold=${port === 443 ? 20 : 15}`)).status).toBe(0);
    },
  );

  it("finds nothing wrong with domain-services', and calls its exposure low", async () => {
    const managed = join(folder, 'managed.service');
    writeFileSync(managed, managedUnit(KEY_FILE).text.replace(/^ExecStart=.*$/m, 'ExecStart=/bin/true'));
    const run = (...args: string[]) =>
      execute('systemd-analyze', [...args, '--no-pager', managed], { cwd: folder, env: { PATH: process.env.PATH } });
    expect(await run('verify')).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect((await run('security', '--offline=yes', '--threshold=20')).status).toBe(0);
  });

  it('takes paths with blanks', async () => {
    const { text } = unit(yaml(NTLM, '{ env: S }', '/srv/my state'), { file: '/etc/my phsync/agent.yaml' });
    const blanks = join(folder, 'blanks.service');
    writeFileSync(blanks, text.replace(/^ExecStart=.*$/m, 'ExecStart=/bin/true'));
    const { stderr } = await execute('systemd-analyze', ['verify', blanks], {
      cwd: folder,
      env: { PATH: process.env.PATH },
    });
    expect(stderr).toBe('');
  });

  it('would find a mistyped setting', async () => {
    const { text } = unit(yaml(NTLM, '{ file: cs }'));
    const wrong = join(folder, 'wrong.service');
    writeFileSync(wrong, text.replace('ProtectHome', 'ProtectHoem'));
    const { stderr } = await execute('systemd-analyze', ['verify', wrong], {
      cwd: folder,
      env: { PATH: process.env.PATH },
    });
    expect(stderr).toContain('ProtectHoem');
  });

  // systemd 252 says 1.1; 10 is worst, and without the sandbox it says 9.2.
  it('calls its exposure low, and would not without the sandbox', async () => {
    const low = await analyze('security', '--offline=yes', '--threshold=15');
    expect({ status: low.status, said: low.stdout.trim().split('\n').at(-1) }).toMatchObject({ status: 0 });
    const bare = join(folder, 'bare.service');
    const { text } = unit(yaml(NTLM, '{ file: cs }'));
    writeFileSync(bare, text.replace(/^NoNewPrivileges=[\s\S]*(?=^\[Install\])/m, ''));
    const open = await execute('systemd-analyze', ['security', '--offline=yes', '--threshold=15', '--no-pager', bare], {
      cwd: folder,
      env: { PATH: process.env.PATH },
    });
    expect(open.status).toBe(1);
    expect(open.stdout).toMatch(/exposure level .*: 9\.\d UNSAFE/);
  });
});

/** libseccomp comes with systemd; namespaces and the bounding set are root's to change. */
const isRoot = process.geteuid?.() === 0;
describe.skipIf(!isRoot)(isRoot ? 'as root' : 'as root (not root)', () => {
  describeWithTools('the sandbox', { 'systemd-analyze': 'systemd', python3: 'python3', curl: 'curl' }, () => {
    const sandbox = fileURLToPath(new URL('sandbox.py', import.meta.url));
    let folder: string;
    let hasher: Hasher;
    let tenant: Awaited<ReturnType<typeof startTestTenant>>;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'phsync-sandbox-'));
      hasher = createHasher({ threads: 1 });
      const config = { domains: [{ name: 'lab.test' }] };
      tenant = await startTestTenant({ stateDir: join(folder, 'tenant'), hasher, config });
      writeFileSync(
        join(folder, 'agent.yaml'),
        stringify({
          stateDir: './state',
          tenant: {
            url: `${tenant.url}/provisioningservice.svc`,
            ca: tenant.caPath,
            auth: { clientId: AGENT.clientId, clientSecret: { env: 'AGENT_SECRET' } },
          },
          connectors: [{ name: 'lab', directory: { type: 'lab', users: 300 } }],
        }),
      );
    });
    afterAll(async () => {
      await tenant?.close();
      await hasher?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    function within(text: string, ...command: string[]) {
      const file = join(folder, 'phsync.service');
      writeFileSync(file, text);
      const env = { PATH: process.env.PATH, AGENT_SECRET: AGENT.secret };
      return execute('python3', [sandbox, file, ...command], { cwd: folder, env });
    }
    const agent = [process.execPath, main, 'agent', '--config', 'agent.yaml', '--once', '--json'];
    const { text } = unit(yaml(NTLM, '{ file: cs }'));

    it('lets the agent do a whole cycle', { timeout: 120_000 }, async () => {
      const { status, stdout, stderr } = await within(text, ...agent);
      expect([status, stderr.match(/"level":"(warn|error)".*/g)], stderr).toEqual([0, null]);
      const { done, connectors } = JSON.parse(stdout);
      expect({ done, failed: connectors[0].failed }).toEqual({ done: true, failed: 0 });
      expect(connectors[0].credentialsSent).toBeGreaterThan(290);
    });

    it('lets the tenant start, check a password and stop', { timeout: 120_000 }, async () => {
      const yaml = tenantYaml()
        .replace('/var/lib/phsync-tenant', './served')
        .replace('0.0.0.0, port: 8443', '127.0.0.1, port: 0');
      writeFileSync(join(folder, 'tenant.yaml'), yaml.replace('{ credential: agent-secret }', '{ env: AGENT_SECRET }'));
      const script = `
        "$@" > ready & pid=$!
        until grep -q tokenUrl ready; do kill -0 $pid || exit 9; sleep 0.1; done
        url=$(sed -n 's/.*"tokenUrl": *"\\([^"]*\\)".*/\\1/p' ready)
        curl -s --cacert served/ca.pem "$url" -d grant_type=password -d client_id=a -d username=x@phs.test -d password=y
        kill -TERM $pid && wait $pid`;
      const served = [process.execPath, main, 'tenant', '--config', 'tenant.yaml', '--json'];
      const { status, stdout, stderr } = await within(
        tenantUnit(tenantYaml()).text,
        'sh',
        '-c',
        script,
        'sh',
        ...served,
      );
      expect([status, stderr.match(/"level":"(warn|error)".*/g)], stderr).toEqual([0, null]);
      expect(stdout).toContain('AADSTS50126');
    });

    it('is there: mounts, other sockets and what is not in the filter are refused', { timeout: 240_000 }, async () => {
      const netlink = 'import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)';
      expect((await within(text, 'python3', '-c', netlink)).stderr).toMatch(/PermissionError/);
      expect((await within(text, 'mount', '--bind', '/tmp', '/mnt')).status).not.toBe(0);
      expect((await within(text, 'ls', '/proc/meminfo')).status).not.toBe(0);
      const closed = text.replace(
        'SystemCallFilter=@system-service',
        'SystemCallFilter=@basic-io @process @file-system',
      );
      expect((await within(closed, ...agent)).status).not.toBe(0);
    });
  });
});
