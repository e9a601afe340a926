/** Tenant and agent as people run them: child processes of the command line, with configuration files in a directory of their own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { Agent as HttpAgent, request } from 'undici';
import { stringify } from 'yaml';
import type { CycleReport } from '#src/agent/agent.js';
import { type DcFacts, type DcUser, facts, special } from './dc.js';

const main = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist', 'cli', 'main.js');

/** Long enough for a first synchronization on a busy machine. */
const RUN_TIMEOUT = 240_000;

export const secrets = {
  PHSYNC_AGENT_SECRET: 'agent-secret-of-the-tests',
  PHSYNC_AD_PASSWORD: 'Sync.Passw0rd.1',
};

export interface CommandRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartedCommand {
  readonly child: ChildProcess;
  /** `code` is null where a signal ended it. */
  readonly ended: Promise<CommandRun>;
}

export interface AgentRun extends CommandRun {
  /** `--json` document. */
  readonly done: boolean;
  /** Of the only connector; undefined where the run did not come so far. */
  readonly report: CycleReport;
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

export interface RunningCommand {
  readonly pid: number;
  /** Lines of its standard error; it grows. */
  readonly log: string[];
  /** SIGTERM, and the end. */
  stop(): Promise<void>;
}

export interface DirectoryOptions {
  /** A domain controller of the test's own. */
  readonly dc?: { readonly facts: DcFacts; special(kind: string): DcUser };
  /** A way to the tenant, where it is not the tenant's own URL. */
  readonly tenantUrl?: string;
  readonly user?: string;
  readonly password?: string;
  readonly server?: string;
  /** null: none, the server's name must be enough. */
  readonly address?: string | null;
  readonly mechanism?: 'ntlm' | 'negotiate' | 'kerberos';
  /** The keys of `scope` in agent.yaml. */
  readonly scope?: Readonly<Record<string, unknown>>;
  /** More keys of `directory`, of the connector, of the file. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly connector?: Readonly<Record<string, unknown>>;
  readonly file?: Readonly<Record<string, unknown>>;
}

export interface TenantOptions {
  /** More keys of tenant.yaml. */
  readonly tenant?: Readonly<Record<string, unknown>>;
  /** More of the tenant's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A directory with a running tenant, and agents with one state between them. */
export class Site {
  /** Inside the domain controller's, so that it goes with it should this process be killed. */
  readonly directory = mkdtempSync(join(facts().directory, 'site.'));
  readonly tenantState = join(this.directory, 'tenant-state');
  readonly agentState = join(this.directory, 'agent-state');
  readonly logs = join(this.directory, 'logs');
  /** TMPDIR of the commands. */
  readonly temporary = join(this.directory, 'tmp');
  readonly tenantConfig = join(this.directory, 'tenant.yaml');
  readonly #children = new Set<ChildProcess>();
  #tenant: { readonly url: string; readonly tokenUrl: string; readonly ca: string; readonly pid: number } | undefined;
  #http: HttpAgent | undefined;

  /** `domains`: of the tenant, besides the domain that all tests share. */
  static async start(domains: readonly string[] = [], options: TenantOptions = {}): Promise<Site> {
    const site = new Site();
    try {
      await site.#startTenant([facts().dnsDomain, ...domains], options);
      return site;
    } catch (error) {
      await site.stop();
      throw error;
    }
  }

  async #startTenant(domains: readonly string[], { tenant = {}, env = {} }: TenantOptions): Promise<void> {
    for (const directory of [this.logs, this.temporary]) mkdirSync(directory);
    writeFileSync(
      this.tenantConfig,
      stringify({
        stateDir: './tenant-state',
        listen: { host: '127.0.0.1', port: 0 },
        tls: 'auto',
        store: { type: 'sqlite' },
        domains: domains.map((name) => ({ name, authenticationType: 'Managed' })),
        agents: [{ clientId: 'agent-1', clientSecret: { env: 'PHSYNC_AGENT_SECRET' } }],
        // All people of the tests sign in from one address.
        rateLimit: { token: 1_000_000 },
        ...tenant,
      }),
    );
    const child = this.#spawn(['tenant', '--config', this.tenantConfig, '--json'], 'tenant.log', env);
    const [line] = (await Promise.race([
      once(createInterface({ input: child.stdout! }), 'line'),
      once(child, 'close').then(([code]) => {
        throw new Error(`the tenant ended with ${code}: ${this.log('tenant.log')}`);
      }),
    ])) as [string];
    const { url, tokenUrl, ca } = JSON.parse(line) as { url: string; tokenUrl: string; ca: string };
    this.#tenant = { url, tokenUrl, ca, pid: child.pid! };
    this.#http = new HttpAgent({ connect: { ca: readFileSync(ca, 'utf8') }, connections: 32 });
  }

  #spawn(
    args: readonly string[],
    log: string,
    env: Readonly<Record<string, string>>,
    before: readonly string[] = [],
  ): ChildProcess {
    // The child ends with us, also when a test run is killed.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...before, process.execPath, main, ...args], {
      env: { ...process.env, TMPDIR: this.temporary, ...secrets, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    child.stderr!.on('data', (bytes: Buffer) => writeFileSync(join(this.logs, log), bytes, { flag: 'a' }));
    return child;
  }

  /** What a command said on standard error so far, e.g. `agent.log`. */
  log(name: string): string {
    return readFileSync(join(this.logs, name), 'utf8');
  }

  /** Where the tenant is, and what it trusts. */
  get tenant(): { readonly url: string; readonly tokenUrl: string; readonly ca: string; readonly pid: number } {
    return this.#tenant!;
  }

  /** A command, from its start. `before` as in `run`. */
  start(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    before: readonly string[] = [],
  ): StartedCommand {
    const child = this.#spawn(args, `${args[0]}.log`, env, before);
    let stdout = '';
    let stderr = '';
    child.stdout!.on('data', (bytes) => (stdout += bytes));
    child.stderr!.on('data', (bytes) => (stderr += bytes));
    const timer = setTimeout(() => child.kill('SIGKILL'), RUN_TIMEOUT);
    const ended = once(child, 'close').then(([code]) => {
      clearTimeout(timer);
      return { code: code as number | null, stdout, stderr };
    });
    return { child, ended };
  }

  /** A command to its end. `before`: a program that runs it, with its options: `faketime`, `-f`, `+10m`. */
  run(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    before: readonly string[] = [],
  ): Promise<CommandRun> {
    return this.start(args, env, before).ended;
  }

  /** Writes agent.yaml for the domain controller; returns its path. */
  agentConfig(options: DirectoryOptions = {}): string {
    const { dnsHostName, dnsDomain, host } = options.dc?.facts ?? facts();
    const account = (options.dc?.special.bind(options.dc) ?? special)('sync-account');
    const { user, password, server = dnsHostName, address = host, mechanism = 'ntlm', scope, more } = options;
    const { connector, file: keys } = options;
    const passwordFile = join(this.directory, 'ad-password');
    if (password !== undefined) writeFileSync(passwordFile, password, { mode: 0o600 });
    const file = join(this.directory, 'agent.yaml');
    writeFileSync(
      file,
      stringify({
        stateDir: './agent-state',
        tenant: {
          url: `${options.tenantUrl ?? this.#tenant!.url}/provisioningservice.svc`,
          ca: this.#tenant!.ca,
          auth: { clientId: 'agent-1', clientSecret: { env: 'PHSYNC_AGENT_SECRET' } },
        },
        connectors: [
          {
            name: dnsDomain,
            enabled: true,
            directory: {
              type: 'drs',
              server,
              ...(address === null ? {} : { address }),
              domain: dnsDomain,
              auth: {
                mechanism,
                user: user ?? account.name,
                password: password === undefined ? { env: 'PHSYNC_AD_PASSWORD' } : { file: passwordFile },
              },
              ...more,
            },
            ...(scope === undefined ? {} : { scope }),
            ...connector,
          },
        ],
        ...keys,
      }),
    );
    return file;
  }

  /** `phsync agent --once --json`, to its end; `words`: without --json. */
  async agentOnce(
    options: DirectoryOptions & {
      readonly args?: readonly string[];
      readonly env?: Readonly<Record<string, string>>;
      readonly words?: boolean;
    } = {},
  ): Promise<AgentRun> {
    const { words = false, args = [], env } = options;
    const config = this.agentConfig(options);
    const run = await this.run(['agent', '--config', config, '--once', ...(words ? [] : ['--json']), ...args], env);
    const { code, stdout, stderr } = run;
    const document = JSON.parse(stdout || '{}');
    const [report] = document.connectors ?? [];
    return { code, stdout, stderr, done: document.done === true, report, error: document.error ?? report?.error };
  }

  /** `phsync agent`, which stays up; resolves after its first cycle. */
  agentRunning(env: Readonly<Record<string, string>> = {}, options: DirectoryOptions = {}): Promise<RunningCommand> {
    return this.running(['agent', '--config', this.agentConfig(options)], /"msg":"cycle (done|failed)/, env);
  }

  /** A command that stays up; resolves at the first line of its log that is `ready`. */
  async running(
    args: readonly string[],
    ready: RegExp,
    env: Readonly<Record<string, string>> = {},
  ): Promise<RunningCommand> {
    const [name] = args;
    const child = this.#spawn(args, `${name}.log`, env);
    const closed = once(child, 'close');
    const log: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not ready within the time: ${log.join('\n')}`)), RUN_TIMEOUT);
      child.once('close', (code) => reject(new Error(`${name} ended with ${code}: ${log.join('\n')}`)));
      createInterface({ input: child.stderr! }).on('line', (line) => {
        log.push(line);
        if (ready.test(line)) {
          clearTimeout(timer);
          resolve();
        }
      });
    });
    const stop = async () => {
      child.kill('SIGTERM');
      await closed;
    };
    return { pid: child.pid!, log, stop };
  }

  /**
   * 0: signed in with a token; else the AADSTS number. Where the person is told 50126, the reason that the sign-in log
   * has: 50034 unknown user, 50056 no password, or 50126.
   */
  async signIn(userPrincipalName: string, password: string): Promise<number> {
    const correlationId = randomUUID();
    const code = await this.#told(userPrincipalName, password, correlationId);
    return code === 50126 ? this.#loggedReason(correlationId) : code;
  }

  async #told(userPrincipalName: string, password: string, correlationId: string): Promise<number> {
    const { statusCode, body } = await request(this.#tenant!.tokenUrl, {
      method: 'POST',
      dispatcher: this.#http!,
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'client-request-id': correlationId },
      body: new URLSearchParams({
        grant_type: 'password',
        client_id: 'test-app',
        scope: 'openid profile',
        username: userPrincipalName,
        password,
      }).toString(),
    });
    const answer = (await body.json()) as { access_token?: string; error?: string; error_codes?: number[] };
    if (statusCode === 200 && answer.access_token?.split('.').length === 3) return 0;
    if (statusCode !== 400 || answer.error !== 'invalid_grant' || answer.error_codes?.length !== 1) {
      throw new Error(`the token endpoint answers ${statusCode} ${JSON.stringify(answer)}`);
    }
    return answer.error_codes[0]!;
  }

  /** The log is written a few times a second. */
  async #loggedReason(correlationId: string): Promise<number> {
    const database = new Database(join(this.tenantState, 'tenant.sqlite'), { readonly: true });
    try {
      const row = database.prepare('SELECT error_code FROM sign_ins WHERE correlation_id = ?').pluck();
      for (let tries = 0; tries < 200; tries++) {
        const reason = row.get(correlationId) as number | undefined;
        if (reason !== undefined) return reason;
        await sleep(50);
      }
      throw new Error('the sign-in log has no entry of this sign-in');
    } finally {
      database.close();
    }
  }

  /** Signs all in, some at a time; the AADSTS numbers that they are told, in order. */
  async signInAll(people: readonly { readonly upn: string; readonly password: string }[]): Promise<number[]> {
    const codes = new Array<number>(people.length);
    let next = 0;
    const one = async () => {
      for (let i = next++; i < people.length; i = next++) {
        codes[i] = await this.#told(people[i]!.upn, people[i]!.password, randomUUID());
      }
    };
    await Promise.all(Array.from({ length: 32 }, one));
    return codes;
  }

  /** Ends every process and deletes the directory. */
  async stop(): Promise<void> {
    await this.#http?.close();
    await Promise.all(
      [...this.#children].map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const closed = once(child, 'close');
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
        await closed;
        clearTimeout(timer);
      }),
    );
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const upnOf = (name: string, domain = facts().dnsDomain): string => `${name}@${domain}`;
