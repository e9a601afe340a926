/** Puts an agent together from its configuration: secrets, tenant client, hasher, state store. */

import { randomInt } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { resolveSecret } from '../config/secrets.js';
import { packageVersion } from '../config/version.js';
import { createHasher } from '../hasher/create-hasher.js';
import { PhsyncError } from '../hasher/errors.js';
import { checkFips } from '../hasher/fips.js';
import type { HasherInfo } from '../hasher/types.js';
import { Agent } from './agent.js';
import type { AgentParts } from './agent-parts.js';
import { type Clock, systemClock } from './clock.js';
import type { AgentConfig } from './config.js';
import { readPolicy } from './domain-services/policy.js';
import { type EventSink, inStaging } from './events/event.js';
import { EventLog } from './events/event-log.js';
import { Monitor } from './monitor/monitor.js';
import { watchedClient } from './monitor/watched-client.js';
import { Patience } from './patience.js';
import { openSource } from './sources/open-source.js';
import { stagingClient } from './staging.js';
import { openStateStore } from './state/store.js';
import { openTenantClient } from './tenant-client.js';
import { Writeback } from './write-back/write-back.js';

export interface CreateAgentOptions {
  readonly log: Logger;
  readonly clock?: Clock;
  readonly env?: Readonly<NodeJS.ProcessEnv>;
  /** Takes the place of the configured directories; the demo and tests hand in a lab directory of their own. */
  readonly openSource?: AgentParts['openSource'];
  readonly onProgress?: AgentParts['onProgress'];
  /** Sends nothing, as in staging mode, on a copy of the state that is the caller's. */
  readonly rehearsal?: { readonly stateDir: string; readonly onOutcome: NonNullable<AgentParts['onOutcome']> };
  /** A service: starts the monitor where the configuration has one, and can write passwords back. */
  readonly monitored?: boolean;
}

export interface CreatedAgent {
  readonly agent: Agent;
  readonly hasher: HasherInfo;
  readonly events: EventSink;
  /** `http://127.0.0.1:9464`; undefined without a monitor. */
  readonly monitorUrl: string | undefined;
  /** True once every object of the connector's directory had been seen. */
  wasSynchronized(connector: string): boolean;
  /**
   * Takes up another configuration, whose secrets are read anew; nothing changes where it throws. `taken`: when
   * nothing runs under the former one any more.
   * @throws PhsyncError `config-secret`, `config-ca`, `config-reload`: a key that only a new process can change
   */
  reconfigure(config: AgentConfig): Promise<{ readonly taken: Promise<void> }>;
  /**
   * Takes passwords from the tenant to the directories until the signal aborts, where the configuration says so by then or
   * later; never in staging mode. Never rejects.
   */
  writeBack(signal: AbortSignal): Promise<void>;
  /** Writes the events that wait to be stored. */
  flush(): void;
  close(): Promise<void>;
}

/** Throws PhsyncError `config-secret`, `config-ca`, `config-fips`, `state-…`, `monitor-listen`; contacts nobody yet. */
export async function createAgent(config: AgentConfig, options: CreateAgentOptions): Promise<CreatedAgent> {
  const { log, clock = systemClock, env = process.env, rehearsal } = options;
  const { allowMd5InFips, staging } = config;
  checkFips('the agent', 'MD4, MD5 and RC4', allowMd5InFips);
  let current = config;
  let tenant = await openTenantClient(config.tenant, { env, clock });
  let monitor: Monitor | undefined;
  if (options.openSource === undefined) await checkPasswords(config, env);
  const domainServices = await readPolicy(config);
  const store = openStateStore(rehearsal?.stateDir ?? config.stateDir, { staging });
  const eventLog = new EventLog({ log, clock, store: store.events });
  const events = staging ? inStaging(eventLog) : eventLog;
  const hasher = createHasher({ allowMd5InFips });
  if (options.monitored && config.monitor !== undefined) {
    monitor = new Monitor({
      config: config.monitor,
      hasher: hasher.info,
      version: packageVersion(),
      staging,
      clock,
      log,
      connectors: () =>
        agent.status().connectors.map(({ lastCycle, ...status }) => ({
          ...status,
          ...store.glance(status.name),
          lastError: lastCycle?.error?.message,
        })),
      probeState: (now) => store.probe(now),
    });
  }
  const silent = staging || rehearsal !== undefined;
  const clientOf = ({ client }: typeof tenant) => {
    const watched = monitor === undefined ? client : watchedClient(client, monitor, clock);
    return silent ? stagingClient(watched) : watched;
  };
  const agent: Agent = new Agent({
    connectors: config.connectors,
    client: clientOf(tenant),
    staging,
    hasher,
    store,
    clock,
    log,
    events,
    patience: new Patience({
      clock,
      log,
      random: drawn,
      onRetry: () => monitor?.tenantRetry(),
    }),
    observer: monitor,
    healFeature: !silent && (config.tenant.healFeature ?? false),
    domainServices,
    allowMd5InFips,
    openSource:
      options.openSource ??
      ((connector, signal) => openSource(connector, { env, log, events, clock, allowMd5InFips }, signal)),
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    ...(rehearsal === undefined ? {} : { onOutcome: rehearsal.onOutcome }),
  });
  const writeback =
    silent || !options.monitored
      ? undefined
      : new Writeback(config, tenant, {
          env,
          clock,
          log,
          events,
          random: drawn,
          guidsOfAnchor: (connector, anchor) => store.connector(connector).guidsOfAnchor(anchor),
          syncObject: (changed) => agent.syncObject(changed),
        });
  async function close(): Promise<void> {
    await monitor?.close();
    await writeback?.close();
    await agent.close();
    eventLog.close();
    store.close();
    await Promise.all([tenant.close(), hasher.close()]);
  }
  try {
    await monitor?.start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    agent,
    hasher: hasher.info,
    events,
    monitorUrl: monitor?.url,
    async reconfigure(next) {
      refuseFixed(current, next);
      if (options.openSource === undefined) await checkPasswords(next, env);
      const domainServices = await readPolicy(next);
      const former = tenant;
      tenant = await openTenantClient(next.tenant, { env, clock });
      current = next;
      const taken = agent.reconfigure({
        connectors: next.connectors,
        client: clientOf(tenant),
        healFeature: !silent && (next.tenant.healFeature ?? false),
        domainServices,
      });
      const both = Promise.all([taken, writeback?.reconfigure(next, tenant)]);
      return { taken: both.then(() => undefined).finally(() => former.close()) };
    },
    writeBack: async (signal) => writeback?.run(signal),
    wasSynchronized: (connector) => store.connector(connector).fullSyncAt !== undefined,
    flush: () => eventLog.flush(),
    close,
  };
}

const drawn = (): number => randomInt(2 ** 32) / 2 ** 32;

/** What is set up once, at the start. */
const FIXED = ['stateDir', 'allowMd5InFips', 'monitor', 'staging'] as const;

function refuseFixed(current: AgentConfig, next: AgentConfig): void {
  for (const key of FIXED) {
    if (isDeepStrictEqual(current[key], next[key])) continue;
    throw new PhsyncError('config-reload', `${key} cannot change while the agent runs: restart it`, { facts: { key } });
  }
}

/** They are read again at every connection; a mistake in the configuration shows here, before anything is contacted. */
async function checkPasswords(
  { connectors, passwordWriteback }: AgentConfig,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<void> {
  for (const [i, { enabled, directory, passwordWriteback: own }] of connectors.entries()) {
    if (enabled && passwordWriteback?.enabled && own?.enabled && own.auth !== undefined) {
      await resolveSecret(own.auth.password, `connectors[${i}].passwordWriteback.auth.password`, env);
    }
    if (!enabled || directory.type !== 'drs' || directory.auth.password === undefined) continue;
    await resolveSecret(directory.auth.password, `connectors[${i}].directory.auth.password`, env);
  }
}
