/** A real tenant in this process, with agents over lab directories against it. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { Agent, type CycleReport } from '#src/agent/agent.js';
import type { AgentParts } from '#src/agent/agent-parts.js';
import { type Clock, systemClock } from '#src/agent/clock.js';
import type { ConnectorConfig } from '#src/agent/config.js';
import { noEvents } from '#src/agent/events/event.js';
import type { TenantClient } from '#src/agent/link.js';
import { LabDirectory, type LabOptions, LabSource } from '#src/agent/sources/lab-source.js';
import { openStateStore, type StateStore } from '#src/agent/state/store.js';
import { parseConfig } from '#src/config/load-config.js';
import { createHasher } from '#src/hasher/create-hasher.js';
import type { Hasher } from '#src/hasher/types.js';
import { createLog } from '#src/log/log.js';
import { createProvisioningClient, type ProvisioningClient } from '#src/provisioning/client.js';
import { createClientCredentials } from '#src/provisioning/client-credentials.js';
import { tenantSchema } from '#src/tenant/config.js';
import { type RunningTenant, startTenant } from '#src/tenant/server.js';

export const SECRET = 'the-agent-secret-of-the-tests';
export const DOMAIN = 'lab.test';

/** What the tenant says of one user's password. */
export type PasswordState = 'right' | 'wrong' | 'none' | 'unknown user';

export class TestSite {
  readonly directory = mkdtempSync(join(tmpdir(), 'phsync-agent-test.'));
  readonly hasher: Hasher = createHasher();
  readonly logged: string[] = [];
  readonly log = createLog(
    'trace',
    new Writable({
      write: (chunk, _encoding, done) => {
        this.logged.push(String(chunk));
        done();
      },
    }),
  );
  tenant!: RunningTenant;
  client!: ProvisioningClient;
  #store: StateStore | undefined;
  readonly #closers: (() => Promise<void>)[] = [];

  /** `domains`: of the tenant, besides the lab's; `others`: agents for all of these, and agent-1 for the lab's alone then. */
  static async start(domains: readonly string[] = [], others: readonly string[] = []): Promise<TestSite> {
    const site = new TestSite();
    const agents = ['agent-1', ...others].map((clientId) => ({
      clientId,
      clientSecret: { env: 'SECRET' },
      ...(others.length === 0 ? {} : { domains: clientId === 'agent-1' ? [DOMAIN] : [DOMAIN, ...domains] }),
    }));
    const config = parseConfig(
      `{ stateDir: ./tenant, listen: { port: 0 }, domains: ${JSON.stringify([DOMAIN, ...domains].map((name) => ({ name })))},
         agents: ${JSON.stringify(agents)}, logLevel: silent }`,
      join(site.directory, 'tenant.yaml'),
      tenantSchema,
    );
    const logger = pino({ level: 'silent' });
    site.tenant = await startTenant(config, { hasher: site.hasher, logger, env: { SECRET } });
    const ca = readFileSync(site.tenant.caPath!, 'utf8');
    const credentials = createClientCredentials({
      tokenUrl: site.tenant.tokenUrl,
      clientId: 'agent-1',
      clientSecret: SECRET,
      scope: 'https://graph.windows.net/.default',
      ca,
    });
    site.client = createProvisioningClient({
      url: site.tenant.provisioningUrl,
      ca,
      token: (f) => credentials.token(f),
    });
    site.#closers.push(
      () => site.client.close(),
      () => credentials.close(),
      () => site.tenant.close(),
      () => site.hasher.close(),
    );
    return site;
  }

  get stateDir(): string {
    return join(this.directory, 'agent');
  }

  /** The state, opened when it is first asked for. */
  get store(): StateStore {
    return (this.#store ??= openStateStore(this.stateDir));
  }

  closeStore(): void {
    this.#store?.close();
    this.#store = undefined;
  }

  lab(options: Partial<LabOptions> = {}): LabDirectory {
    return new LabDirectory({ users: 600, domain: DOMAIN, ...options });
  }

  /** An agent with one connector over the lab directory. */
  agent(lab: LabDirectory, parts: Partial<AgentParts> & { pageSize?: number } = {}): Agent {
    const { pageSize, ...rest } = parts;
    return new Agent({
      connectors: [connector()],
      client: this.client,
      hasher: this.hasher,
      store: rest.store ?? this.store,
      clock: systemClock,
      log: this.log,
      events: noEvents,
      openSource: async () => new LabSource(lab, pageSize),
      ...rest,
    });
  }

  /** One cycle of its only connector, which must succeed. */
  async sync(agent: Agent, full = false): Promise<CycleReport> {
    const report = await this.try(agent, full);
    if (report.error !== undefined) throw new Error(`${report.error.code}: ${report.error.message}`);
    return report;
  }

  async try(agent: Agent, full = false): Promise<CycleReport> {
    const [report] = await agent.cycle({ signal: new AbortController().signal, full });
    return report!;
  }

  async password(lab: LabDirectory, index: number, password = lab.passwordOf(index)): Promise<PasswordState> {
    const user = await this.tenant.store.findSignInUser(lab.userPrincipalNameOf(index));
    if (user === undefined) return 'unknown user';
    if (user.credential === undefined) return 'none';
    return (await this.hasher.verify(user.credential, password)) ? 'right' : 'wrong';
  }

  /** Ordinary users whose password in the tenant is not the directory's. */
  async wrongUsers(lab: LabDirectory): Promise<number[]> {
    const indexes = Array.from({ length: lab.users }, (_, n) => lab.userIndex(n));
    const states = await Promise.all(indexes.map((index) => this.password(lab, index)));
    return indexes.filter((_, i) => states[i] !== 'right');
  }

  async stop(): Promise<void> {
    this.closeStore();
    for (const close of this.#closers) await close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

type Overrides = Partial<Omit<ConnectorConfig, 'scope'>> & { readonly scope?: Partial<ConnectorConfig['scope']> };

export function connector({ scope, ...overrides }: Overrides = {}): ConnectorConfig {
  return {
    name: 'lab',
    enabled: true,
    directory: { type: 'lab', users: 1, seed: 1, domain: DOMAIN, changesPerMinute: 0 },
    phaseSeconds: 0,
    scope: { include: [], exclude: [], cloudFiltered: [], passwords: 'all', ...scope },
    disableExpiredAccounts: false,
    ...overrides,
  };
}

/** The client with some of its answers replaced; everything else really happens. */
export function altered(client: TenantClient, changes: Partial<TenantClient>): TenantClient {
  return {
    getCompanyConfiguration: (options) => client.getCompanyConfiguration(options),
    getWindowsCredentialsSyncConfig: (options) => client.getWindowsCredentialsSyncConfig(options),
    provisionAzureADSyncObjects: (objects, options) => client.provisionAzureADSyncObjects(objects, options),
    provisionCredentials: (items, options) => client.provisionCredentials(items, options),
    setCompanyDirsyncFeatures: (features, options) => client.setCompanyDirsyncFeatures(features, options),
    ...changes,
  };
}

export class TestClock implements Clock {
  time = Date.now();
  now(): number {
    return this.time;
  }
  async sleep(): Promise<void> {}
}
