/** One connector's life in a running agent: its loop, its kept directory, what is asked of it in between. */

import type { LegacySealer } from '../provisioning/legacy-sealer.js';
import type { AgentParts } from './agent-parts.js';
import type { ConnectorConfig } from './config.js';
import { type CycleReport, runConnectorCycle } from './connector-cycle.js';
import type { ObjectReference } from './cycle.js';
import { type EventSink, ofConnector } from './events/event.js';
import { keepHeartbeat } from './events/heartbeat.js';
import { FullSyncStory } from './full-sync-story.js';
import type { Link } from './link.js';
import { runEveryTwoMinutes } from './scheduler.js';
import { createScope } from './scope.js';
import type { DirectorySource } from './source.js';
import type { ConnectorState } from './state/connector-state.js';
import type { ConnectorStatus } from './status.js';
import { type ObjectReport, syncObject } from './sync-object.js';

export interface RunnerCycle {
  readonly signal: AbortSignal;
  readonly full: boolean;
  readonly allowDeletions: boolean;
  /** Where several connectors share what the tenant said once; otherwise it is asked. */
  readonly link?: Link | undefined;
}

/** What all connectors have of the agent; read at each use, since a new configuration brings another tenant client. */
export interface RunnerContext {
  parts(): AgentParts;
  openLink(signal: AbortSignal, events: EventSink): Promise<Link>;
  sealer(): LegacySealer;
}

export class ConnectorRunner {
  readonly config: ConnectorConfig;
  readonly #context: RunnerContext;
  #state: ConnectorState | undefined;
  /** No further cycle. */
  readonly #retire = new AbortController();
  /** The running one ends early, too. */
  readonly #stop = new AbortController();
  #source: Promise<DirectorySource> | undefined;
  #description: string | undefined;
  #busy: Promise<unknown> = Promise.resolve();
  #loop: Promise<void> | undefined;
  #startedAt: number | undefined;
  #nextAt: number | undefined;
  #full = false;
  #allowDeletions = false;
  #wake: (() => void) | undefined;
  #wakeNow = false;
  readonly #errands: (() => Promise<void>)[] = [];
  #last: ConnectorStatus['lastCycle'];
  readonly #story = new FullSyncStory();

  constructor(config: ConnectorConfig, context: RunnerContext) {
    this.config = config;
    this.#context = context;
  }

  get state(): ConnectorState {
    this.#state ??= this.#parts().store.connector(this.name);
    return this.#state;
  }

  get name(): string {
    return this.config.name;
  }

  /** Cycles until `stop`, each two minutes after the one before; nothing that another connector does matters here. */
  start({ full, allowDeletions }: Pick<RunnerCycle, 'full' | 'allowDeletions'>): void {
    this.#full ||= full;
    this.#allowDeletions = allowDeletions;
    const { clock, pace } = this.#parts();
    const phaseMs = this.config.phaseSeconds * 1000;
    const pause = (ms: number) => this.#pause(ms);
    this.#loop = runEveryTwoMinutes(() => this.#turn(), clock, this.#retire.signal, { ...pace, phaseMs, pause });
  }

  /**
   * No further cycle. The running one is finished, or with `early` settles what is under way and leaves the rest to a
   * later one. Resolves when it has ended and the directory is closed.
   */
  async stop({ early }: { readonly early: boolean }): Promise<void> {
    this.#retire.abort();
    if (early) this.#stop.abort();
    await this.#loop;
    await this.#busy;
    await this.close();
  }

  /** Resolves when all that has begun by now has ended. */
  async settled(): Promise<void> {
    await this.#busy;
  }

  /** The next cycle, which starts as soon as it can, is a full one. */
  demandFull(): void {
    this.#full = true;
    this.#wakeNow = true;
    this.#wake?.();
  }

  /** A full cycle was asked for that has not begun. */
  get fullDemanded(): boolean {
    return this.#full;
  }

  /** One cycle, after whatever is under way. */
  cycle(request: RunnerCycle): Promise<CycleReport> {
    return this.#alone(() => this.#cycle(request));
  }

  /** One object: at once, or between two pages of the running cycle. */
  syncObject(reference: ObjectReference): Promise<ObjectReport> {
    return new Promise((resolve, reject) => {
      this.#errands.push(() => this.#syncObject(reference).then(resolve, reject));
      // The running cycle takes it from the list before this comes to its turn.
      void this.#alone(() => this.#runErrands());
    });
  }

  status(): ConnectorStatus {
    const { enabled } = this.config;
    const { name: domainServices, reason } = this.state.standing;
    return {
      name: this.name,
      enabled,
      state: !enabled
        ? 'off'
        : this.#startedAt !== undefined
          ? 'running'
          : this.#loop === undefined || this.#retire.signal.aborted
            ? 'stopped'
            : 'waiting',
      fullPending: this.#full || this.state.full,
      startedAt: this.#startedAt,
      nextCycleAt: this.#nextAt,
      directory: this.#description,
      retryQueue: this.state.retryQueue.size,
      domainServices,
      domainServicesReason: domainServices === 'off' ? undefined : (reason ?? undefined),
      lastCycle: this.#last,
    };
  }

  /** Closes the directory's connection. */
  async close(): Promise<void> {
    const source = this.#source;
    this.#source = undefined;
    if (source === undefined) return;
    const { log } = this.#parts();
    await source
      .then((open) => open.close())
      // One that never came up has told whoever waited for it.
      .catch((error: unknown) => log.debug({ err: error, connector: this.name }, 'closing the directory failed'));
  }

  async #turn(): Promise<void> {
    const { signal } = this.#stop;
    const full = this.#full;
    this.#wakeNow = false;
    this.#nextAt = undefined;
    try {
      const report = await this.cycle({ signal, full, allowDeletions: this.#allowDeletions });
      // One that failed on its way is gone on with: the state remembers it. One that did not begin is still to come.
      if (full && !this.#wakeNow && (report.error === undefined || report.pages > 0)) this.#full = false;
      if (report.error === undefined) this.#allowDeletions = false;
    } catch (error) {
      // The state failed, or a mistake in the program: the next cycle may find it mended.
      const events = ofConnector(this.#parts().events, this.config);
      const { code, message } = error as Error & { code?: string };
      events.emit(603, { code, message });
    }
  }

  async #cycle({ signal, full, allowDeletions, link }: RunnerCycle): Promise<CycleReport> {
    const { client, store, hasher, clock, log, events, observer, onProgress, onOutcome, staging } = this.#parts();
    const { state, name } = this;
    const own = ofConnector(events, this.config);
    this.#startedAt = clock.now();
    observer?.cycleStarted(name);
    try {
      const report = await runConnectorCycle({
        connector: this.config,
        state,
        store,
        hasher,
        sealer: () => this.#context.sealer(),
        clock,
        log,
        events: own,
        signal,
        full,
        story: this.#story,
        allowDeletions,
        staging,
        onOutcome,
        openLink: async () => link?.forConnector(own) ?? this.#context.openLink(signal, own),
        openSource: () => this.#open(signal),
        between: { wanted: () => this.#errands.length > 0, run: () => this.#runErrands() },
        onProgress: (counts, total) => {
          observer?.progress(name, counts);
          onProgress?.(name, counts, total);
        },
      });
      observer?.cycleEnded(report, signal.aborted);
      if (report.error === undefined && !signal.aborted) {
        // In staging mode nothing was sent.
        const sent = staging ? 0 : report.credentialsSent;
        await keepHeartbeat({ client, state, clock, events: own, signal }, sent);
      }
      this.#last = { ...report, finishedAt: clock.now() };
      this.#description = report.directory ?? this.#description;
      return report;
    } finally {
      this.#startedAt = undefined;
    }
  }

  async #syncObject(reference: ObjectReference): Promise<ObjectReport> {
    const { signal } = this.#stop;
    const { hasher, clock, log } = this.#parts();
    const events = ofConnector(this.#parts().events, this.config);
    const connector = this.name;
    try {
      const link = await this.#context.openLink(signal, events);
      const source = await this.#open(signal);
      const options = {
        source,
        scope: createScope(this.config.scope),
        state: this.state,
        link,
        hasher,
        sealer: () => this.#context.sealer(),
        clock,
        log: log.child({ connector }),
        events,
        signal,
        disableExpired: this.config.disableExpiredAccounts,
      };
      const report = await syncObject(connector, options, reference);
      if (FAILURES.has(report.status)) {
        const { guid, dn, status, reason } = report;
        events.emit(664, { guid, dn, status, reason });
      }
      return report;
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      events.emit(664, { ...reference, code, message });
      throw error;
    }
  }

  #parts(): AgentParts {
    return this.#context.parts();
  }

  /** Kept from one cycle to the next; it mends its own connection. */
  #open(signal: AbortSignal): Promise<DirectorySource> {
    if (this.#source === undefined) {
      const opening = this.#parts().openSource(this.config, signal);
      opening.catch(() => {
        if (this.#source === opening) this.#source = undefined;
      });
      this.#source = opening;
    }
    return this.#source;
  }

  /** Runs when all that was handed in before has ended. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#busy.then(work);
    this.#busy = result.catch(() => undefined);
    return result;
  }

  async #runErrands(): Promise<void> {
    for (let errand = this.#errands.shift(); errand !== undefined; errand = this.#errands.shift()) await errand();
  }

  async #pause(ms: number): Promise<void> {
    const { clock } = this.#parts();
    if (this.#wakeNow || this.#retire.signal.aborted) return;
    const until = new AbortController();
    const end = () => until.abort();
    this.#wake = end;
    this.#nextAt = clock.now() + ms;
    this.#retire.signal.addEventListener('abort', end, { once: true });
    try {
      await clock.sleep(ms, until.signal);
    } finally {
      this.#retire.signal.removeEventListener('abort', end);
      this.#wake = undefined;
    }
  }
}

const FAILURES: ReadonlySet<string> = new Set(['Error', 'TargetNotExportedToDirectory', 'SourceConnectorNotPresent']);
