/**
 * Domain Services from end to end between two running Samba DCs: what the Kerberos keys cost the agent's first
 * synchronization, and how fast the managed side writes, beside Samba's own library adding accounts with NT hashes alone.
 * One round: afterwards the managed domain is full.
 */

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { AgentRun } from '../agent-process.js';
import type { Case, SuiteOptions } from '../result.js';
import { childrenCpu, phsync, type Site, withTenant } from '../site.js';
import { agentEnv, type Dc, dcTools, ended, readDc, syncOnce } from '../whole-sync.js';

const env = { ...agentEnv, PHSYNC_FEED_SECRET: 'feed', PHSYNC_KEY_PASSPHRASE: 'passphrase' };
/** Of Samba's own. */
const USERS = 2000;
const TENANT_KEYS =
  'domainServices: { clients: [{ clientId: managed-1, clientSecret: { env: PHSYNC_FEED_SECRET } }] }\n';

interface Written {
  readonly users: number;
  readonly seconds: number;
  /** Of node and of the helper with Samba's modules. */
  readonly cpuSeconds: number;
}

function directoryOf(option: string, directory: string | undefined): Dc {
  if (directory === undefined || !existsSync(join(directory, 'facts.json'))) {
    throw new RangeError(`${option}: expected the directory of a running Samba DC (test/samba/dc/start)`);
  }
  return readDc(directory);
}

/** RSA-2048; the key encrypted. */
function makeCertificate({ directory }: Site): void {
  const files = ['-keyout', join(directory, 'key.pem'), '-out', join(directory, 'certificate.pem')];
  const more = ['-subj', '/CN=managed', '-days', '365', '-passout', 'env:PHSYNC_KEY_PASSPHRASE'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', ...more, ...files], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  });
}

function administer({ tenantConfig, env }: Site, ...args: string[]): void {
  const command = [phsync, 'tenant', 'domain-services', ...args, '--config', tenantConfig];
  execFileSync(process.execPath, command, { env, stdio: ['ignore', 'ignore', 'inherit'] });
}

function managedConfig({ directory, url }: Site, managed: Dc): string {
  const file = join(directory, 'domain-services.yaml');
  writeFileSync(
    file,
    `stateDir: ./managed-state
logLevel: warn
tenant:
  url: ${url}
  ca: ./tenant-state/ca.pem
  auth: { clientId: managed-1, clientSecret: { env: PHSYNC_FEED_SECRET } }
keys: [{ certificate: ./certificate.pem, privateKey: { file: ./key.pem, passphrase: { env: PHSYNC_KEY_PASSPHRASE } } }]
managedDomain: { type: samba, smbConf: ${join(managed.directory, 'smb.conf')} }
`,
  );
  return file;
}

/** `phsync domain-services --once`, a process from start to end. */
async function write(site: Site, managed: Dc): Promise<Written> {
  const args = [phsync, 'domain-services', '--config', managedConfig(site, managed), '--once', '--json'];
  const cpuBefore = childrenCpu();
  const began = process.hrtime.bigint();
  const child = spawn(process.execPath, args, { env: site.env, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (part: Buffer) => {
    text += part;
  });
  await ended(child, 'the managed side');
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const { passwordsWritten, failed } = JSON.parse(text) as { passwordsWritten: number; failed: number };
  if (failed > 0) throw new Error(`${failed} users could not be written`);
  return { users: passwordsWritten, seconds, cpuSeconds: childrenCpu() - cpuBefore };
}

/** Accounts with NT hashes and no Kerberos keys, by Samba's library, a thousand in a transaction. */
async function sambaAdds(managed: Dc): Promise<Written> {
  const cpuBefore = childrenCpu();
  const args = [managed.directory, String(USERS), '--nt-only', '--from', '1000001'];
  const child = spawn(join(dcTools, 'add-users'), args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.on('data', (part: Buffer) => {
    text += part;
  });
  await ended(child, 'add-users');
  const [, users, seconds] = /added (\d+) users in ([\d.]+) s/.exec(text)!;
  return { users: Number(users), seconds: Number(seconds), cpuSeconds: childrenCpu() - cpuBefore };
}

const microseconds = ({ cpuSeconds, users }: Pick<Written, 'cpuSeconds' | 'users'>) => (cpuSeconds * 1e6) / users;

function agentCase(name: string, run: AgentRun, ratios: Record<string, number>): Case {
  const perSecond = run.users / run.seconds;
  return {
    name,
    kernel: undefined,
    threads: availableParallelism(),
    perSecond,
    ratios,
    samples: [perSecond],
    more: { users: run.users, agentCpuMicrosecondsPerUser: microseconds(run), agentPeakRssMiB: run.peakRssMiB },
  };
}

function writtenCase(name: string, written: Written, ratios: Record<string, number>): Case {
  const perSecond = written.users / written.seconds;
  return {
    name,
    kernel: undefined,
    threads: 1,
    perSecond,
    ratios,
    samples: [perSecond],
    more: { users: written.users, seconds: written.seconds, cpuMicrosecondsPerUser: microseconds(written) },
  };
}

export async function managedDomain({ dc, managedDc, say }: SuiteOptions): Promise<Case[]> {
  const first = directoryOf('--dc', dc);
  const managed = directoryOf('--managed-dc', managedDc);
  const rate = ({ users, seconds }: Pick<Written, 'users' | 'seconds'>) => users / seconds;
  const told = (what: string, run: Pick<Written, 'users' | 'seconds'>) =>
    say(`${what}: ${run.users} users, ${Math.round(rate(run))}/s`);

  // Before the managed side, whose users have the names of add-users' special accounts.
  const theirs = await sambaAdds(managed);
  told("Samba's library", theirs);
  const off = await withTenant(first.dnsDomain, env, (site) => syncOnce(first, site), undefined, TENANT_KEYS);
  told('agent, Domain Services off', off);
  return withTenant(
    first.dnsDomain,
    env,
    async (site) => {
      makeCertificate(site);
      administer(
        site,
        'enable',
        '--domain',
        managed.dnsDomain,
        '--certificate',
        join(site.directory, 'certificate.pem'),
      );
      const on = await syncOnce(first, site);
      told('agent, Domain Services on', on);
      const made = await write(site, managed);
      told('managed side, users made', made);
      administer(site, 'set', '--setting', 'SyncNtlmPasswords=Disabled');
      await syncOnce(first, site, { full: true });
      const written = await write(site, managed);
      told('managed side, passwords alone', written);
      const beside = "Samba's library, NT hashes alone";
      return [
        agentCase('first synchronization, Domain Services off', off, {}),
        agentCase('first synchronization, Domain Services on', on, { off: rate(on) / rate(off) }),
        writtenCase('managed side, users made', made, { [beside]: rate(made) / rate(theirs) }),
        writtenCase('managed side, passwords alone', written, { [beside]: rate(written) / rate(theirs) }),
        writtenCase(beside, theirs, {}),
      ];
    },
    undefined,
    TENANT_KEYS,
  );
}
