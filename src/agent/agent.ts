/** The agent: its connectors, each with a cycle of its own, against one tenant. */

import type { Logger } from 'pino';
import type { Hasher } from '../hasher/types.js';
import { guidToText } from '../protocol/dtyp/guid.js';
import type { Clock } from './clock.js';
import type { ConnectorConfig } from './config.js';
import { runCycle } from './cycle.js';
import { type EventSink, ofConnector } from './events/event.js';
import { openLink, type TenantClient } from './link.js';
import type { Patience } from './patience.js';
import { createScope } from './scope.js';
import type { DirectorySource } from './source.js';
import { type CycleCounts, noCounts } from './state/rows.js';
import { stateError } from './state/state-errors.js';
import type { StateStore } from './state/store.js';

const RETRIES_LOGGED = 10;

export interface AgentParts {
  readonly connectors: readonly ConnectorConfig[];
  readonly client: TenantClient;
  readonly hasher: Hasher;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventSink;
  /** How the tenant is waited for; without it each call to it is made once. */
  readonly patience?: Patience;
  /** Switch the tenant's feature on again where it was on when this agent last sent something there. */
  readonly healFeature?: boolean;
  /** Connects to a connector's directory, unless the signal is aborted; the agent closes it after the cycle. */
  readonly openSource: (connector: ConnectorConfig, signal: AbortSignal) => Promise<DirectorySource>;
  readonly onProgress?: (connector: string, counts: Readonly<CycleCounts>, total: number | undefined) => void;
}

/** What one cycle did for one connector. */
export interface CycleReport extends Readonly<CycleCounts> {
  readonly connector: string;
  /** A line about the directory; undefined where it was not reached. */
  readonly directory: string | undefined;
  readonly retryQueue: number;
  /** Why the first object of the retry queue is there. */
  readonly firstReason: string | undefined;
  readonly seconds: number;
  /** Message and code say what happened; causes may quote bytes of a peer, and stay out. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

export interface CycleRequest {
  readonly signal: AbortSignal;
  /** Everything from the beginning, acknowledged or not. */
  readonly full?: boolean;
  /** Whatever the tenant's threshold of accidental deletions. */
  readonly allowDeletions?: boolean;
}

export class Agent {
  readonly #parts: AgentParts;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    parts.store.configure(parts.connectors.map(({ name }) => name));
  }

  /**
   * One cycle over all enabled connectors at the same time; one's failure stands in its report and stops no other, and
   * is the caller's to tell.
   * Rejects where the tenant itself refuses or cannot be reached: then no directory was asked. Rejects as well where
   * the state fails, once all connectors have ended.
   */
  async cycle(request: CycleRequest): Promise<CycleReport[]> {
    const { client, events, patience, store, connectors, healFeature = false } = this.#parts;
    const mayHeal = (tenantId: string) =>
      healFeature && connectors.some(({ name }) => store.connector(name).tenantId === tenantId);
    const link = await openLink(client, request.signal, { events, patience, mayHeal });
    const enabled = connectors.filter((connector) => connector.enabled);
    const cycles = await Promise.allSettled(enabled.map((connector) => this.#cycleOf(connector, link, request)));
    return cycles.map((cycle) => {
      if (cycle.status === 'rejected') throw cycle.reason;
      return cycle.value;
    });
  }

  async #cycleOf(
    connector: ConnectorConfig,
    link: Awaited<ReturnType<typeof openLink>>,
    { signal, full = false, allowDeletions = false }: CycleRequest,
  ): Promise<CycleReport> {
    const { store, hasher, clock, openSource, onProgress } = this.#parts;
    const { name } = connector;
    const log = this.#parts.log.child({ connector: name });
    const state = store.connector(name);
    const started = clock.now();
    let counts: Readonly<CycleCounts> = noCounts();
    let source: DirectorySource | undefined;
    let failure: Error | undefined;
    const events = ofConnector(this.#parts.events, name);
    try {
      store.checkRoom();
      source = await openSource(connector, signal);
      log.debug({ directory: source.description }, 'cycle starts');
      counts = await runCycle({
        source,
        scope: createScope(connector.scope),
        state,
        link,
        hasher,
        clock,
        log,
        events,
        signal,
        full,
        allowDeletions,
        disableExpired: connector.disableExpiredAccounts,
        onProgress: (soFar, total) => {
          counts = soFar;
          onProgress?.(name, soFar, total);
        },
      });
    } catch (cause) {
      const error = stateError(cause);
      // A stop is no failure, and there is none that it hides: a cycle settles what it began and says what failed.
      if (source !== undefined || !signal.aborted) {
        failure = error instanceof Error ? error : new Error(String(error));
      }
    } finally {
      await source?.close().catch((error: unknown) => log.debug({ err: error }, 'closing the directory failed'));
    }
    const finished = clock.now();
    const report: CycleReport = {
      connector: name,
      directory: source?.description,
      ...counts,
      retryQueue: state.retryQueue.size,
      firstReason: state.retryQueue.list(1)[0]?.reason,
      seconds: (finished - started) / 1000,
      error: failure && { code: codeOf(failure), message: failure.message },
    };
    if (report.error?.code.startsWith('state-')) {
      events.emit(report.error.code === 'state-busy' ? 666 : 665, report.error);
    }
    try {
      // Each try waits five seconds for who holds the database.
      if (report.error?.code !== 'state-busy') state.recordCycle(started, finished, counts, report.error);
    } catch (error) {
      // The cycle's own work is settled; a full disk has its event at the next cycle's start.
      log.warn({ err: stateError(error) }, 'the outcome of the cycle could not be written down');
    }
    if (failure === undefined) {
      const { error: _, connector: __, firstReason: ___, ...summary } = report;
      log.info(summary, signal.aborted ? 'cycle stopped before its end' : 'cycle done');
    }
    for (const { guid, reason, code, attempts } of state.retryQueue.list(RETRIES_LOGGED)) {
      log.warn({ guid: guidToText(guid), reason, code, attempts }, 'in the retry queue');
    }
    if (report.retryQueue > RETRIES_LOGGED) {
      log.warn(`and ${report.retryQueue - RETRIES_LOGGED} more in the retry queue`);
    }
    return report;
  }
}

function codeOf(error: Error): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : error.name;
}
