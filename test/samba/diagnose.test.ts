/** `phsync diagnose` on a real system with one fault at a time: each is found and named, with what to do, and no other is. */

import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createProvisioningClient } from '#src/provisioning/client.js';
import { createClientCredentials } from '#src/provisioning/client-credentials.js';
import { createAuthority } from '#src/tenant/tls/certificates.js';
import { describeDc, facts, modify, special, users } from './dc.js';
import { DiagnosisSite, directoryOf, type Fault, findings, type Plan } from './diagnosis.js';
import { upnOf } from './harness.js';
import { TroubledDc } from './proxy.js';

describeDc('phsync diagnose', () => {
  let at: DiagnosisSite;
  beforeAll(async () => {
    at = await DiagnosisSite.start();
  });
  afterAll(() => at?.stop());

  it('finds nothing where nothing is wrong, and leaves nothing unchecked', async () => {
    const healthy = await at.diagnose(() => undefined);
    expect(findings(healthy)).toEqual([]);
    expect(healthy.checks.filter(({ status }) => status !== 'ok')).toEqual([]);
    expect(healthy.code).toBe(0);
    expect(healthy.stderr).toBe('');
  });

  it('finds nothing, not even with --strict, before the first cycle', async () => {
    const fresh = await at.diagnose(({ config }) => {
      config.stateDir = './no-state-yet';
    }, '--strict');
    expect(findings(fresh)).toEqual([]);
    expect(fresh.code).toBe(0);
    expect(fresh.checks.find(({ id }) => id === 'state-directory')!.finding).toMatch(/the first cycle makes it/);
  });

  it('finds nothing while an agent runs, and says that it does', async () => {
    const { pid } = await at.site.agentRunning();
    try {
      const healthy = await at.diagnose(() => undefined);
      expect(findings(healthy)).toEqual([]);
      const agent = healthy.checks.find(({ id }) => id === 'agent')!;
      expect(agent.facts).toMatchObject({ running: true, pid });
      expect(agent.finding).toMatch(new RegExp(`process ${pid}: phs\\.test waiting$`));
    } finally {
      process.kill(pid, 'SIGTERM');
    }
  });

  it('says so in words, too', async () => {
    const { file } = await at.plant(({ config }) => {
      config.connectors[0]!.directory.address = '127.255.1.1';
    });
    const { code, stdout } = await at.site.run(['diagnose', '--config', file]);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^ERROR {4}Domain controller reachable: .*127\.255\.1\.1:135.*\n {9}-> Check that dc1\.phs\.test is up/m,
    );
    expect(stdout).toMatch(/\n\n1 error, 0 warnings\.\n$/);
  });

  const logOnAs = (kind: string, password?: string, mechanism = 'ntlm') => {
    return ({ config, env }: Plan) => {
      const account = special(kind);
      directoryOf(config).auth = { mechanism, user: account.name, password: { env: 'ACCOUNT_PASSWORD' } };
      env.ACCOUNT_PASSWORD = password ?? account.password!;
    };
  };

  /** Password hash synchronization in the tenant, until the test is over. */
  async function setFeatures(features: number): Promise<number> {
    const { url, tokenUrl, ca: caFile } = at.site.tenant;
    const ca = readFileSync(caFile, 'utf8');
    const clientSecret = 'agent-secret-of-the-tests';
    const credentials = createClientCredentials({ tokenUrl, clientId: 'agent-1', clientSecret, ca });
    const client = createProvisioningClient({
      url: `${url}/provisioningservice.svc`,
      ca,
      token: (f) => credentials.token(f),
    });
    try {
      const { dirSyncFeatures } = await client.getCompanyConfiguration();
      await client.setCompanyDirsyncFeatures(features);
      return dirSyncFeatures;
    } finally {
      await Promise.all([client.close(), credentials.close()]);
    }
  }

  /** The tenant at another address, for which its certificate is not. */
  async function elsewhere(address: string): Promise<{ url: string; server: Server }> {
    const { port } = new URL(at.site.tenant.url);
    const server = createServer((socket) => {
      const tenant = connect(Number(port), '127.0.0.1');
      socket.pipe(tenant).pipe(socket);
      for (const each of [socket, tenant]) each.on('error', () => each.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    return { url: `https://${address}:${(server.address() as AddressInfo).port}/provisioningservice.svc`, server };
  }

  function changeState(path: string, sql: string): void {
    const db = new Database(join(path, 'agent.sqlite'));
    db.exec(sql);
    db.close();
  }

  /** A synchronization with a user whose userPrincipalName is of another domain; the path of its state. */
  async function refuseOne({ copyState, sync, undo }: Plan): Promise<string> {
    const path = copyState();
    const { name, dn } = special('long');
    const upn = (value: string) =>
      modify(`dn: ${dn}\nchangetype: modify\nreplace: userPrincipalName\nuserPrincipalName: ${value}\n-\n\n`);
    upn(`${name}@elsewhere.test`);
    undo(() => upn(upnOf(name)));
    expect((await sync()).stdout).toContain('"retryQueue":1');
    return path;
  }

  const HOURS_4 = 4 * 3_600_000;

  const FAULTS: readonly Fault[] = [
    [
      'a secret that is not there',
      ['secrets'],
      /AD_PASSWORD_OF_NOBODY is not set/,
      /environment that the agent has/,
      ({ config }) => {
        directoryOf(config).auth = { user: 'phs.sync', password: { env: 'AD_PASSWORD_OF_NOBODY' } };
      },
    ],
    [
      'the hasher without its addon',
      ['warning:hasher'],
      /not used/,
      /Reinstall phsync/,
      ({ env }) => {
        env.PHSYNC_BACKEND = 'fallback';
      },
    ],
    [
      'a state directory that is open to others',
      ['warning:state-directory'],
      /open to other users .*mode 0755/,
      /chmod 700/,
      ({ copyState }) => chmodSync(copyState(), 0o755),
    ],
    [
      'a state that is no database',
      ['state-directory'],
      /not a database/,
      /same user/,
      ({ copyState }) =>
        writeFileSync(join(copyState(), 'agent.sqlite'), 'garbage, and more of it than a header holds'.repeat(99)),
    ],
    [
      'a tenant that is not there',
      ['tenant-reachable'],
      /nothing listens there/,
      /tenant\.url.*firewalls/,
      ({ config }) => {
        config.tenant.url = 'https://127.255.1.1:8443/provisioningservice.svc';
      },
    ],
    [
      'a certificate by an authority that is not trusted',
      ['tenant-tls'],
      /signed by nobody who is trusted here.*issuer phsync tenant CA/,
      /Name the certificate of the authority .* in tenant\.ca/,
      async ({ config }) => {
        const { cert } = await createAuthority('somebody else', new Date());
        writeFileSync(join(at.site.directory, 'other-ca.pem'), cert);
        config.tenant.ca = './other-ca.pem';
      },
    ],
    [
      'a certificate for another name',
      ['tenant-tls'],
      /for another name.*127\.0\.0\.1/,
      /one of these names in tenant\.url/,
      async ({ config, undo }) => {
        const { url, server } = await elsewhere('127.9.9.9');
        undo(() => void server.close());
        config.tenant.url = url;
      },
    ],
    [
      'a clock that is ten minutes ahead',
      ['tenant-clock', 'dc-clock'],
      /10 minutes ahead/,
      /time server/,
      (plan) => {
        plan.before = ['faketime', '-f', '+10m'];
      },
    ],
    [
      'a clock that is two minutes behind',
      ['warning:tenant-clock', 'warning:dc-clock'],
      /2 minutes behind/,
      /time server/,
      (plan) => {
        plan.before = ['faketime', '-f', '-2m'];
      },
    ],
    [
      'a wrong client secret',
      ['tenant-token'],
      /gives agent-1 no token: invalid_client/,
      /tenant\.auth.*clientSecret/,
      ({ env }) => {
        env.PHSYNC_AGENT_SECRET = 'not-the-secret-of-this-agent';
      },
    ],
    [
      'the feature PasswordHashSync off',
      ['tenant-feature'],
      /off in the tenant/,
      /turn the feature PasswordHashSync on/,
      async ({ undo }) => {
        const before = await setFeatures(0);
        undo(async () => void (await setFeatures(before)));
      },
    ],
    [
      'staging mode on',
      ['warning:staging'],
      /nothing is sent/,
      /staging: false/,
      async ({ config, copyState, sync }) => {
        config.staging = true;
        copyState();
        expect((await sync()).code).toBe(0);
      },
    ],
    [
      'staging mode on, in which no cycle has run',
      ['warning:staging', 'warning:first-sync'],
      /no cycle has begun yet/,
      /Start the agent/,
      ({ config }) => {
        config.staging = true;
      },
    ],
    [
      'a connector that is disabled',
      ['warning:connector-enabled'],
      /none of its users/,
      /enabled: true for other\.test/,
      ({ config }) => {
        const [first] = config.connectors;
        config.connectors.push({ ...first!, name: 'other.test', enabled: false });
      },
    ],
    [
      'no connector enabled',
      ['connector-enabled'],
      /no other is enabled/,
      /enabled: true/,
      ({ config }) => {
        config.connectors[0]!.enabled = false;
      },
    ],
    [
      'a first synchronization that was cut off',
      ['first-sync'],
      /never come to its end/,
      /let the agent run/,
      ({ copyState }) => changeState(copyState(), 'UPDATE connector SET full_sync_at = NULL, running = 1'),
    ],
    [
      'a last cycle that failed',
      ['last-cycle'],
      /refused the logon/,
      /account's name or password/,
      async (plan) => {
        plan.copyState();
        plan.env.PHSYNC_AD_PASSWORD = 'Wrong.Passw0rd';
        expect((await plan.sync()).code).toBe(3);
        delete plan.env.PHSYNC_AD_PASSWORD;
      },
    ],
    [
      'an agent that ended four hours ago',
      ['heartbeat'],
      /none for 4 hours/,
      /Start the agent/,
      ({ copyState }) =>
        changeState(
          copyState(),
          `UPDATE cycle SET started = started - ${HOURS_4}, finished = finished - ${HOURS_4};
           UPDATE connector SET heartbeat_at = heartbeat_at - ${HOURS_4}, completed_at = completed_at - ${HOURS_4}`,
        ),
    ],
    [
      'more deletions than the tenant allows',
      ['last-cycle', 'deletions'],
      /threshold is 500/,
      /--allow-deletions/,
      async ({ config, copyState, sync }) => {
        expect(users().length).toBeGreaterThan(520);
        copyState();
        config.connectors[0]!.scope = { exclude: [`OU=Bulk,${facts().baseDn}`] };
        expect((await sync()).stdout).toContain('too-many-deletions');
      },
    ],
    [
      'a user whom the tenant does not take',
      ['warning:last-cycle', 'warning:retry-queue'],
      /1 object not synchronized, the oldest for \d+ seconds?: 1 × .*not a domain of this tenant/,
      /phsync diagnose --dn.*phsync sync-object --dn/,
      async (plan) => void (await refuseOne(plan)),
    ],
    [
      'a user whom the tenant has not taken for four hours',
      ['warning:last-cycle', 'retry-queue'],
      /1 object not synchronized, the oldest for 4 hours/,
      /phsync diagnose --dn/,
      async (plan) => changeState(await refuseOne(plan), `UPDATE retry SET first_failure = first_failure - ${HOURS_4}`),
    ],
    [
      'a keytab that cannot be read',
      ['secrets', 'dc-logon'],
      /keytab/,
      /Write the keytab anew/,
      ({ config }) => {
        directoryOf(config).auth = { mechanism: 'kerberos', user: 'phs.sync', keytab: './nowhere.keytab' };
      },
    ],
    [
      'a domain controller that is down',
      ['dc-reachable'],
      /127\.255\.1\.1:135.*ECONNREFUSED/,
      /is up.*firewalls/,
      ({ config }) => {
        directoryOf(config).address = '127.255.1.1';
      },
    ],
    [
      'a domain controller that does not answer',
      ['dc-reachable'],
      /sent nothing for 1 s/,
      /is up/,
      async ({ config, undo }) => {
        const then = 'stall';
        const proxy = await TroubledDc.start({ afterBytes: 0, then });
        undo(() => proxy.close());
        Object.assign(directoryOf(config), { address: proxy.address, timeoutSeconds: 1 });
      },
    ],
    [
      'one of two domain controllers down',
      ['warning:dc-reachable'],
      /another domain controller is used/,
      /dc2\.phs\.test is up/,
      ({ config }) => {
        const { server, address, ...rest } = directoryOf(config);
        const servers = [
          { server: 'dc2.phs.test', address: '127.255.1.1' },
          { server, address },
        ];
        config.connectors[0]!.directory = { ...rest, servers };
      },
    ],
    [
      'a domain controller whose name nobody knows',
      ['dc-reachable'],
      /dc9\.does-not-exist\.invalid has no address/,
      /Correct the name, let this machine use the domain's DNS/,
      ({ config }) => {
        const { address: _, ...rest } = directoryOf(config);
        config.connectors[0]!.directory = { ...rest, server: 'dc9.does-not-exist.invalid' };
      },
    ],
    [
      'DNS that names no domain controller',
      ['dc-found'],
      /DNS names no domain controller of phs\.test.*_ldap\._tcp\.dc\._msdcs\.phs\.test/,
      /directory\.dnsServers/,
      ({ config }) => {
        const { address: _, server: __, ...rest } = directoryOf(config);
        config.connectors[0]!.directory = { ...rest, dnsServers: ['127.255.1.1'] };
      },
    ],
    [
      'a domain that the controller does not hold',
      ['dc-domain'],
      /does not hold the domain other\.test/,
      /Correct directory\.domain/,
      ({ config }) => {
        directoryOf(config).domain = 'other.test';
        directoryOf(config).auth = { user: 'PHS\\phs.sync', password: { env: 'PHSYNC_AD_PASSWORD' } };
      },
    ],
    [
      'a scope with OUs that the directory does not have',
      ['scope-ous'],
      /the scope names OU=Staf,DC=phs,DC=test; OU=Gone,DC=phs,DC=test, which the directory does not have/,
      /Correct the connector's scope\.include/,
      ({ config }) => {
        const { baseDn } = facts();
        config.connectors[0]!.scope = {
          include: [`OU=Bulk,${baseDn}`, `CN=Users,${baseDn}`, `OU=Staf,${baseDn}`],
          exclude: [`OU=Gone,${baseDn}`],
        };
      },
    ],
    ['a wrong password', ['dc-logon'], /phs\.sync/, /password/, logOnAs('sync-account', 'Wrong.Passw0rd')],
    ['an account that is disabled', ['dc-logon'], /phs\.disabled/, /enabled/, logOnAs('disabled')],
    ['an account that has expired', ['dc-logon'], /phs\.expired/, /expire/, logOnAs('expired')],
    [
      'a wrong password, by Kerberos',
      ['dc-logon'],
      /phs\.sync: the password is wrong/,
      /Correct the password/,
      logOnAs('sync-account', 'Wrong.Passw0rd', 'kerberos'),
    ],
    [
      'an account that is disabled, by Kerberos',
      ['dc-logon'],
      /phs\.disabled: the account is disabled/,
      /Enable/,
      logOnAs('disabled', undefined, 'kerberos'),
    ],
    [
      'an account without the right Replicating Directory Changes',
      ['right-get-changes'],
      /phs\.norights lacks the right "Replicating Directory Changes" on phs\.test/,
      /dsacls "DC=phs,DC=test" \/G "PHS\\phs\.norights:CA;Replicating Directory Changes" /,
      logOnAs('no-rights'),
    ],
    [
      'an account without the right Replicating Directory Changes All',
      ['right-get-changes-all'],
      /phs\.changesonly lacks the right "Replicating Directory Changes All" on phs\.test/,
      /dsacls "DC=phs,DC=test" \/G "PHS\\phs\.changesonly:CA;Replicating Directory Changes All" /,
      logOnAs('changes-without-all'),
    ],
  ];

  it.each(FAULTS)('names %s (%j)', (...fault) => at.expectFault(fault));

  it('names a configuration that is wrong, and exits with 2', async () => {
    const wrong = await at.diagnose(({ config }) => {
      config.nonsense = 1;
    });
    expect(wrong.code).toBe(2);
    const [first, ...others] = findings(wrong);
    expect([first!.id, others]).toEqual(['configuration', []]);
    expect(first!.finding).toMatch(/nonsense: unknown key/);
  });

  it('counts warnings with --strict', async () => {
    const strict = await at.diagnose(({ config }) => {
      config.staging = true;
    }, '--strict');
    expect(strict.code).toBe(1);
  });
});
