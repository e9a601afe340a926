/** One cycle of one connector with all that is told of it: report, record, log, events. */

import type { Logger } from 'pino';
import type { Hasher } from '../hasher/types.js';
import { guidToText } from '../protocol/dtyp/guid.js';
import type { LegacySealer } from '../provisioning/legacy-sealer.js';
import type { Clock } from './clock.js';
import type { ConnectorConfig } from './config.js';
import { runCycle } from './cycle.js';
import { changeOf } from './domain-services/standing.js';
import type { EventSink } from './events/event.js';
import type { FullSyncStory } from './full-sync-story.js';
import type { Link } from './link.js';
import { createScope } from './scope.js';
import type { DirectorySource } from './source.js';
import type { ConnectorState } from './state/connector-state.js';
import { type CycleCounts, noCounts } from './state/rows.js';
import { stateError } from './state/state-errors.js';
import type { StateStore } from './state/store.js';
import type { OutcomeHook } from './unit.js';

const RETRIES_LOGGED = 10;

/** What one cycle did for one connector. */
export interface CycleReport extends Readonly<CycleCounts> {
  readonly connector: string;
  /** Everything was computed and nothing sent. */
  readonly staging: boolean;
  /** A line about the directory; undefined where it was not reached. */
  readonly directory: string | undefined;
  readonly retryQueue: number;
  /** Why the first object of the retry queue is there. */
  readonly firstReason: string | undefined;
  readonly seconds: number;
  /** Message and code say what happened; causes may quote bytes of a peer, and stay out. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

export interface ConnectorCycleOptions {
  readonly connector: ConnectorConfig;
  readonly state: ConnectorState;
  readonly store: Pick<StateStore, 'checkRoom'>;
  readonly hasher: Hasher;
  readonly sealer: () => LegacySealer;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the connector. */
  readonly events: EventSink;
  /** Aborted: no more is pulled, what is under way is settled, and the cycle ends early without an error. */
  readonly signal: AbortSignal;
  readonly full: boolean;
  /** Of this connector's full synchronizations, kept from cycle to cycle. */
  readonly story: FullSyncStory;
  readonly allowDeletions: boolean;
  /** Reports and log say so. */
  readonly staging?: boolean | undefined;
  readonly onOutcome?: ((connector: ConnectorConfig, ...outcome: Parameters<OutcomeHook>) => void) | undefined;
  /** Asks the tenant how it will have it, and opens the directory; either may fail. */
  readonly openLink: () => Promise<Link>;
  readonly openSource: () => Promise<DirectorySource>;
  /** Between pages, when nothing is under way. */
  readonly between?: { readonly wanted: () => boolean; readonly run: () => Promise<void> } | undefined;
  readonly onProgress?: ((counts: Readonly<CycleCounts>, total: number | undefined) => void) | undefined;
}

/** Failures stand in the report; rejects where the state itself fails. */
export async function runConnectorCycle(options: ConnectorCycleOptions): Promise<CycleReport> {
  const { connector, state, clock, signal } = options;
  const { name } = connector;
  const { staging = false, events, onOutcome } = options;
  const log = options.log.child(staging ? { connector: name, staging } : { connector: name });
  const scope = createScope(connector.scope);
  const { story } = options;
  const started = clock.now();
  let counts: Readonly<CycleCounts> = noCounts();
  let source: DirectorySource | undefined;
  let failure: Error | undefined;
  try {
    options.store.checkRoom();
    const link = await options.openLink();
    source = await options.openSource();
    log.debug({ directory: source.description }, 'cycle starts');
    const owesKeys = changeOf(state.standing, link.domainServices, started).owesFull && !state.empty;
    const anew = options.full || owesKeys;
    const continues = !anew && state.cookie !== undefined;
    story.begins(events, clock, {
      isFull: owesKeys || looksAtAll(options, scope.digest),
      anew,
      continues,
      why: owesKeys ? 'keys for Domain Services' : undefined,
    });
    counts = await runCycle({
      source,
      scope,
      state,
      link,
      hasher: options.hasher,
      sealer: options.sealer,
      clock,
      log,
      events,
      signal,
      full: options.full,
      allowDeletions: options.allowDeletions,
      disableExpired: connector.disableExpiredAccounts,
      between: options.between,
      ...(onOutcome === undefined ? {} : { onOutcome: (...outcome) => onOutcome(connector, ...outcome) }),
      onProgress: (soFar, total) => {
        counts = soFar;
        story.progress(events, clock, soFar, total);
        options.onProgress?.(soFar, total);
      },
    });
  } catch (cause) {
    const error = stateError(cause);
    // A stop is no failure, and there is none that it hides: a cycle settles what it began and says what failed.
    if (error !== signal.reason && (source !== undefined || !signal.aborted)) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
  }
  const finished = clock.now();
  const report: CycleReport = {
    connector: name,
    staging,
    directory: source?.description,
    ...counts,
    retryQueue: state.retryQueue.size,
    firstReason: state.retryQueue.list(1)[0]?.reason,
    seconds: (finished - started) / 1000,
    error: failure && { code: codeOf(failure), message: failure.message },
  };
  try {
    // Each try waits five seconds for who holds the database.
    if (report.error?.code !== 'state-busy') state.recordCycle(started, finished, counts, report.error);
  } catch (error) {
    // The cycle's own work is settled; a full disk has its event at the next cycle's start.
    log.warn({ err: stateError(error) }, 'the outcome of the cycle could not be written down');
  }
  if (report.keysMissing > 0) {
    const message = 'users of whom the directory has no Kerberos keys: their NT hash alone was sent';
    events.emit(658, { state: 'on', keysMissing: report.keysMissing, message });
  }
  if (report.pwdLastSetOnly > 0) events.emit(668, { count: report.pwdLastSetOnly });
  if (report.error === undefined) {
    if (!signal.aborted) story.completed(events, report, report.seconds);
    const { error: _, connector: __, firstReason: ___, staging: ____, ...summary } = report;
    log.info(summary, signal.aborted ? 'cycle stopped before its end' : 'cycle done');
  } else {
    if (source !== undefined) story.failed(events, report.error.code);
    if (report.error.code === 'dc-access-denied') events.emit(115, report.error);
    if (report.error.code === 'hasher-worker') events.emit(615, report.error);
    // What it says is the next event's.
    if (source === undefined) events.emit(612, { code: report.error.code });
    if (report.error.code.startsWith('state-')) {
      events.emit(report.error.code === 'state-busy' ? 666 : 665, report.error);
    } else {
      events.emit(611, { ...report.error, retryQueue: report.retryQueue });
    }
  }
  logRetries(state, report.retryQueue, log);
  return report;
}

/** The whole directory is looked at: for the first time, on demand, or under new scope rules. */
function looksAtAll({ full, state }: ConnectorCycleOptions, scopeDigest: string): boolean {
  return (
    full ||
    state.full ||
    state.fullSyncAt === undefined ||
    state.cookie === undefined ||
    (state.scopeDigest !== undefined && state.scopeDigest !== scopeDigest)
  );
}

function logRetries(state: ConnectorState, size: number, log: Logger): void {
  for (const { guid, reason, code, attempts } of state.retryQueue.list(RETRIES_LOGGED)) {
    log.warn({ guid: guidToText(guid), reason, code, attempts }, 'in the retry queue');
  }
  if (size > RETRIES_LOGGED) log.warn(`and ${size - RETRIES_LOGGED} more in the retry queue`);
}

function codeOf(error: Error): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : error.name;
}
