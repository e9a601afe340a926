/** Tenant and agent of a fault run, as processes of the command line. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { stringify } from 'yaml';
import type { CycleReport } from '#src/agent/agent.js';
import type { DcFacts } from '../samba/dc.js';

const here = dirname(fileURLToPath(import.meta.url));
const main = join(here, '..', '..', 'dist', 'cli', 'main.js');
const fast = pathToFileURL(join(here, 'fast-agent.mjs')).href;

const secrets = { PHSYNC_AGENT_SECRET: 'agent-secret-of-the-faults', PHSYNC_AD_PASSWORD: 'Sync.Passw0rd.1' };
/** A stop settles what is in hand, and takes no longer; the machine may be busy. */
const STOP_MS = 30_000;

/** The child ends with this process, also where that is killed. */
function start(args: readonly string[], log: string, stdout: 'pipe' | 'ignore'): ChildProcess {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, ...args], {
    env: { ...process.env, ...secrets },
    stdio: ['ignore', stdout, 'pipe'],
  });
  child.stderr!.on('data', (bytes: Buffer) => appendFileSync(log, bytes));
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
}

export class TenantProcess {
  readonly url: string;
  readonly ca: string;
  readonly database: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ready: { readonly url: string; readonly ca: string }, directory: string) {
    this.#child = child;
    this.url = ready.url;
    this.ca = readFileSync(ready.ca, 'utf8');
    this.database = join(directory, 'tenant-state', 'tenant.sqlite');
  }

  static async start(directory: string, domain: string): Promise<TenantProcess> {
    const config = join(directory, 'tenant.yaml');
    writeFileSync(
      config,
      stringify({
        stateDir: './tenant-state',
        listen: { host: '127.0.0.1', port: 0 },
        domains: [{ name: domain }],
        agents: [{ clientId: 'agent-1', clientSecret: { env: 'PHSYNC_AGENT_SECRET' } }],
        logLevel: 'warn',
      }),
    );
    const log = join(directory, 'tenant.log');
    const child = start([main, 'tenant', '--config', config, '--json'], log, 'pipe');
    const [line] = (await Promise.race([
      once(createInterface({ input: child.stdout! }), 'line'),
      once(child, 'close').then(() => Promise.reject(new Error(`the tenant ended: ${readFileSync(log, 'utf8')}`))),
    ])) as [string];
    return new TenantProcess(child, JSON.parse(line), directory);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await ended(this.#child);
  }
}

export interface AgentPlace {
  readonly directory: string;
  readonly stateDir: string;
  readonly tenantUrl: string;
  readonly ca: string;
  /** The network before the DC. */
  readonly address: string;
  readonly dc: DcFacts;
  readonly account: string;
  readonly pageSize: number;
}

export interface OnceRun {
  readonly code: number | null;
  readonly report: CycleReport | undefined;
  readonly text: string;
}

/** The agent: as a service that is started again whenever it has ended, until it is stopped; and in single cycles. */
export class AgentProcess {
  readonly stateDir: string;
  readonly log: string;
  /** How often it ended by itself, as it does where its state cannot be opened. */
  ends = 0;
  kills = 0;
  /** Cycles that came to a good end. */
  cycles = 0;
  readonly #config: string;
  #child: ChildProcess | undefined;
  #running = false;

  constructor(place: AgentPlace) {
    const { directory, stateDir, tenantUrl, ca, address, dc, account, pageSize } = place;
    this.stateDir = stateDir;
    this.log = join(directory, 'agent.log');
    this.#config = join(directory, 'agent.yaml');
    const caFile = join(directory, 'ca.pem');
    writeFileSync(caFile, ca);
    writeFileSync(
      this.#config,
      stringify({
        stateDir,
        tenant: {
          url: `${tenantUrl}/provisioningservice.svc`,
          ca: caFile,
          auth: { clientId: 'agent-1', clientSecret: { env: 'PHSYNC_AGENT_SECRET' } },
        },
        connectors: [
          {
            name: dc.dnsDomain,
            directory: {
              type: 'drs',
              server: dc.dnsHostName,
              address,
              domain: dc.dnsDomain,
              pageSize,
              timeoutSeconds: 5,
              auth: { mechanism: 'ntlm', user: account, password: { env: 'PHSYNC_AD_PASSWORD' } },
            },
            scope: { include: [`OU=Bulk,${dc.baseDn}`] },
          },
        ],
      }),
    );
  }

  /** Keeps it running, with short waits. */
  run(): void {
    this.#running = true;
    const child = start(['--import', fast, main, 'agent', '--config', this.#config], this.log, 'ignore');
    this.#child = child;
    child.stderr!.on('data', (bytes: Buffer) => {
      this.cycles += bytes.toString('latin1').split('"msg":"cycle done"').length - 1;
    });
    child.once('close', (_code, signal) => {
      if (!this.#running) return;
      if (signal === null) this.ends++;
      setTimeout(() => this.#running && this.run(), 200);
    });
  }

  /** Resolves after a cycle that came to a good end. @throws where none comes within a minute */
  async firstCycle(): Promise<void> {
    for (const until = Date.now() + 60_000; this.cycles === 0; await sleep(20)) {
      if (Date.now() > until) throw new Error('no cycle came to its end, though nothing was wrong');
    }
  }

  /** Without warning; it is started again. */
  kill(): void {
    this.kills++;
    this.#child?.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.#running = false;
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGTERM');
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, STOP_MS);
    await ended(child);
    clearTimeout(timer);
    if (late) throw new Error(`the agent did not stop within ${STOP_MS} ms of SIGTERM`);
  }

  /** One cycle with its usual patience. */
  async once(): Promise<OnceRun> {
    const child = start([main, 'agent', '--config', this.#config, '--once', '--json'], this.log, 'pipe');
    let text = '';
    child.stdout!.on('data', (bytes) => (text += bytes));
    const timer = setTimeout(() => child.kill('SIGKILL'), 120_000);
    await ended(child);
    clearTimeout(timer);
    const [report] = (text === '' ? {} : JSON.parse(text)).connectors ?? [];
    return { code: child.exitCode, report, text };
  }

  /** The last lines of its log. */
  get said(): string {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8').split('\n').slice(-25).join('\n') : '';
  }
}
