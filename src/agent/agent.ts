/** The agent: its connectors, each with a loop and a directory of its own, against one tenant. */

import { isDeepStrictEqual } from 'node:util';
import { PhsyncError } from '../hasher/errors.js';
import { createLegacySealer, type LegacySealer } from '../provisioning/legacy-sealer.js';
import type { AgentParts } from './agent-parts.js';
import type { ConnectorConfig } from './config.js';
import type { CycleReport } from './connector-cycle.js';
import type { ControlArguments, ObjectRequest } from './control/messages.js';
import { parseDn } from './dn.js';
import type { EventSink } from './events/event.js';
import { type Link, openLink } from './link.js';
import { ConnectorRunner, type RunnerContext } from './runner.js';
import type { AgentStatus } from './status.js';
import type { ObjectReport } from './sync-object.js';

export type { CycleReport } from './connector-cycle.js';

/** Event 663 comes so often. */
const ALIVE_MS = 30 * 60_000;

export interface CycleRequest {
  readonly signal: AbortSignal;
  /** Everything from the beginning, acknowledged or not. */
  readonly full?: boolean;
  /** Whatever the tenant's threshold of accidental deletions. */
  readonly allowDeletions?: boolean;
}

/** What a new configuration may change while the agent runs. */
export type Reconfiguration = Pick<AgentParts, 'connectors' | 'client' | 'healFeature' | 'domainServices'>;

export class Agent {
  #parts: AgentParts;
  readonly #startedAt: number;
  readonly #runners = new Map<string, ConnectorRunner>();
  /** Runners on their way out, and reconfigurations one after another. */
  #changing: Promise<unknown> = Promise.resolve();
  readonly #context: RunnerContext = {
    parts: () => this.#parts,
    openLink: (signal, events) => this.#openLink(signal, events),
    sealer: () => (this.#sealer ??= createLegacySealer({ allowMd5InFips: this.#parts.allowMd5InFips ?? false })),
  };
  /** Made when the first keys for Domain Services are sealed: its threads are nobody's else. */
  #sealer: LegacySealer | undefined;
  #running = false;
  #ended = false;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#startedAt = parts.clock.now();
    parts.store.configure(parts.connectors.map(({ name }) => name));
  }

  /**
   * One cycle over all enabled connectors at the same time; one's failure stands in its report and stops no other, and
   * is the caller's to tell.
   * Rejects where the tenant itself refuses or cannot be reached: then no directory was asked. Rejects as well where
   * the state fails, once all connectors have ended.
   */
  async cycle({ signal, full = false, allowDeletions = false }: CycleRequest): Promise<CycleReport[]> {
    const link = await this.#openLink(signal, this.#parts.events);
    const cycles = await Promise.allSettled(
      this.#enabled().map((runner) => runner.cycle({ signal, full, allowDeletions, link })),
    );
    return cycles.map((cycle) => {
      if (cycle.status === 'rejected') throw cycle.reason;
      return cycle.value;
    });
  }

  /**
   * Every connector on its own, a cycle every two minutes, until the signal aborts; resolves when the last has settled
   * what was under way. Failures are told as events and in the log, and end nothing.
   */
  async run({ signal, full = false, allowDeletions = false }: CycleRequest): Promise<void> {
    const { clock, events } = this.#parts;
    if (this.#running) throw new Error('the agent runs already');
    this.#running = true;
    const runners = this.#enabled();
    if (runners.some(({ state }) => state.running)) events.emit(614);
    for (const runner of runners) runner.start({ full, allowDeletions });
    while (!signal.aborted) {
      await clock.sleep(ALIVE_MS, signal);
      if (!signal.aborted) events.emit(663, { connectors: this.#runners.size });
    }
    this.#running = false;
    // Before it is waited for: a reload waits for cycles which nothing else ends before their time.
    await this.#stopAll();
    await this.#changing;
    await this.#stopAll();
  }

  /**
   * Takes up other connectors and another tenant client. A connector that is gone, switched off or changed ends after
   * its running cycle, and goes on as it is now, from its cookie; one that did not change is left alone. Resolves when
   * nothing uses the former client any more.
   */
  reconfigure(changes: Reconfiguration): Promise<void> {
    const before = this.#parts.connectors;
    const { connectors } = changes;
    this.#parts = { ...this.#parts, ...changes };
    this.#parts.store.configure(connectors.map(({ name }) => name));
    const change = this.#changing.then(async () => {
      const gone = before.filter((old) => !connectors.some((config) => isDeepStrictEqual(config, old)));
      await Promise.all([
        ...gone.map(({ name }) => this.#replace(name)),
        ...connectors
          .filter(({ name }) => !before.some((old) => old.name === name))
          .map(({ name }) => this.#replace(name)),
        ...[...this.#runners.values()].map((runner) => runner.settled()),
      ]);
    });
    this.#changing = change.catch(() => undefined);
    return change;
  }

  /** Names of the connectors whose next cycle, which starts at once, is a full one. @throws PhsyncError `connector-…` */
  demandFull({ connector }: ControlArguments['full']): string[] {
    const runners = connector === undefined ? this.#enabled() : [this.#named(connector)];
    for (const runner of runners) runner.demandFull();
    return runners.map(({ name }) => name);
  }

  /**
   * One object now. Without a connector's name: by the DN the one of its domain, by GUID all of them until one has it.
   * Rejects with a PhsyncError: `connector-unknown`, `connector-disabled`, or why directory or tenant cannot be asked.
   */
  async syncObject({ connector, dn, guid }: ObjectRequest): Promise<ObjectReport> {
    const reference = guid !== undefined ? { guid: guid.toLowerCase() } : { dn: dn! };
    const runners =
      connector !== undefined ? [this.#named(connector)] : dn !== undefined ? [this.#ofDn(dn)] : this.#enabled();
    if (runners.length === 0) throw new PhsyncError('connector-unknown', 'no connector is enabled');
    let report: ObjectReport;
    for (const runner of runners) {
      report = await runner.syncObject(reference);
      if (report.status !== 'SourceConnectorNotPresent') break;
    }
    return report!;
  }

  status(): AgentStatus {
    return {
      pid: process.pid,
      startedAt: this.#startedAt,
      connectors: this.#parts.connectors.map((config) => this.#runner(config).status()),
    };
  }

  /** Closes the directories. */
  async close(): Promise<void> {
    this.#ended = true;
    await this.#changing;
    await Promise.all([...this.#runners.values()].map((runner) => runner.close()));
    await this.#sealer?.close();
  }

  async #stopAll(): Promise<void> {
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop({ early: true })));
  }

  #openLink(signal: AbortSignal, events: EventSink): Promise<Link> {
    const { client, patience, store, connectors, clock, healFeature = false, domainServices } = this.#parts;
    const mayHeal = (tenantId: string) =>
      healFeature && connectors.some(({ name }) => store.connector(name).tenantId === tenantId);
    return openLink(client, signal, { events, patience, mayHeal, domainServices, now: () => clock.now() });
  }

  /** Ends the connector's runner, if it has one, and starts it anew as it is configured by now. */
  async #replace(name: string): Promise<void> {
    const old = this.#runners.get(name);
    await old?.stop({ early: false });
    this.#runners.delete(name);
    const config = this.#parts.connectors.find((each) => each.name === name);
    if (config === undefined || !config.enabled || this.#ended) return;
    const runner = this.#runner(config);
    if (this.#running) runner.start({ full: old?.fullDemanded ?? false, allowDeletions: false });
  }

  #enabled(): ConnectorRunner[] {
    return this.#parts.connectors.filter(({ enabled }) => enabled).map((config) => this.#runner(config));
  }

  #runner(config: ConnectorConfig): ConnectorRunner {
    let runner = this.#runners.get(config.name);
    if (runner === undefined) {
      runner = new ConnectorRunner(config, this.#context);
      this.#runners.set(config.name, runner);
    }
    return runner;
  }

  #named(name: string): ConnectorRunner {
    const { connectors } = this.#parts;
    const config = connectors.find((each) => each.name === name);
    if (config === undefined) {
      const known = connectors.map((each) => each.name).join(', ');
      throw new PhsyncError('connector-unknown', `no connector is named ${name}: configured are ${known}`, {
        facts: { connector: name },
      });
    }
    if (!config.enabled) {
      throw new PhsyncError('connector-disabled', `the connector ${name} is switched off`, {
        facts: { connector: name },
      });
    }
    return this.#runner(config);
  }

  #ofDn(dn: string): ConnectorRunner {
    const domain = domainOf(dn);
    const config = this.#parts.connectors.find(
      ({ enabled, directory }) => enabled && directory.domain.toLowerCase() === domain,
    );
    if (config === undefined) {
      throw new PhsyncError('connector-unknown', `no enabled connector is of the domain of ${dn}`, { facts: { dn } });
    }
    return this.#runner(config);
  }
}

/** `…,DC=phs,DC=test` → `phs.test`, in small letters; '' where the DN names no domain. */
function domainOf(dn: string): string {
  const labels = (parseDn(dn) ?? []).filter((rdn) => /^dc=/i.test(rdn)).map((rdn) => rdn.slice(3));
  return labels.join('.').toLowerCase();
}
