/** The loop: one page after another while there is any, then a question that the tenant holds until there is something. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { PhsyncError } from '../hasher/errors.js';
import { type Counts, noCounts } from './observer.js';
import type { Synchronizer } from './synchronizer.js';

export interface RunnerOptions {
  readonly synchronizer: Synchronizer;
  readonly log: Logger;
  readonly waitSeconds: number;
  /** 0 to below 1. */
  readonly random?: () => number;
  /** Resolves after `ms`, or at once when the signal is (or gets) aborted. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds, of no beginning. */
  readonly clock?: () => number;
}

export interface RunRequest {
  readonly signal: AbortSignal;
  readonly full?: boolean;
  readonly allowDeletions?: boolean;
}

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 60_000;
/** Where a tenant without Domain Services does not hold the question until they are switched on. */
const DISABLED_WAIT_MS = 10_000;
/** Between two questions that the tenant answers at once. */
const IDLE_MS = 20_000;
/** A feed that has to be begun anew again and again is broken. */
const MAX_RESTARTS = 3;

async function sleepUntil(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

const codeOf = (error: unknown): string => (error instanceof PhsyncError ? error.code : '');

/** Where the feed must be read from its beginning, that is begun; every other error is thrown again. */
function restart(error: unknown, { synchronizer, log }: RunnerOptions): void {
  if (codeOf(error) !== 'feed-restart') throw error;
  log.warn({ event: 'feed-restart', reason: (error as PhsyncError).facts.reason }, (error as PhsyncError).message);
  synchronizer.beginAll();
}

/** Reads the feed to its end, once. @throws PhsyncError where an end of the way does not work */
export async function runOnce(options: RunnerOptions, request: RunRequest): Promise<Counts> {
  const { synchronizer } = options;
  const { signal, full = false, allowDeletions = false } = request;
  const total = noCounts();
  const add = (counts: Readonly<Counts>) => {
    for (const key of Object.keys(total) as (keyof Counts)[]) total[key] += counts[key];
  };
  await synchronizer.open();
  if (full) synchronizer.beginAll();
  // Who waits since an earlier run, before others come to wait.
  add(await synchronizer.retry(signal));
  for (let restarts = 0, more = true; more && !signal.aborted; ) {
    try {
      const result = await synchronizer.page({ waitSeconds: 0, signal, allowDeletions });
      add(result.counts);
      more = result.more;
    } catch (error) {
      restarts += 1;
      if (restarts > MAX_RESTARTS) throw error;
      restart(error, options);
    }
  }
  return total;
}

/** Until the signal aborts; failures are told, waited out and tried again. */
export async function runForever(options: RunnerOptions, request: RunRequest): Promise<void> {
  const { synchronizer, log, waitSeconds, random = Math.random, sleep = sleepUntil } = options;
  const { clock = () => performance.now() } = options;
  const { signal, full = false } = request;
  let failures = 0;
  let isDisabled = false;
  let asked = clock();
  let isFull = full;
  let allowDeletions = request.allowDeletions ?? false;
  while (!signal.aborted) {
    try {
      await synchronizer.open();
      if (isFull) synchronizer.beginAll();
      isFull = false;
      await synchronizer.retry(signal);
      // After a failure it shall soon be known whether it works again; a tenant without Domain Services tells of their beginning.
      const wait = failures > 0 && !isDisabled ? 0 : waitSeconds;
      asked = clock();
      const { more } = await synchronizer.page({ waitSeconds: wait, signal, allowDeletions });
      // Of what the reading at hand has shown, once.
      if (!more) allowDeletions = false;
      if (failures > 0) log.info({ event: 'works-again', failures }, 'it works again');
      failures = 0;
      isDisabled = false;
      if (!more && waitSeconds === 0) await sleep(IDLE_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      const isTold = isDisabled;
      isDisabled = codeOf(error) === 'feed-disabled';
      const wait = isDisabled
        ? waitWhileDisabled(clock() - asked, isTold, waitSeconds)
        : waitAfter(error, failures, random());
      if (codeOf(error) === 'feed-restart' && failures <= MAX_RESTARTS) {
        restart(error, options);
        continue;
      }
      if (isDisabled && isTold)
        log.debug({ event: 'feed-disabled', failures }, 'Domain Services is off in the tenant still');
      else tell(error, failures, wait, log);
      await sleep(wait, signal);
    }
  }
}

function waitAfter(error: unknown, failures: number, random: number): number {
  const asked = error instanceof PhsyncError ? error.facts.retryAfterMs : undefined;
  if (typeof asked === 'number') return asked;
  return Math.min(FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 10), LONGEST_WAIT_MS) * (0.5 + random / 2);
}

/** A tenant that held the question is asked again at once, and so is one that was not asked to hold it. */
function waitWhileDisabled(tookMs: number, isTold: boolean, waitSeconds: number): number {
  const wasHeld = tookMs >= (waitSeconds * 1000) / 2;
  return waitSeconds > 0 && (wasHeld || !isTold) ? FIRST_WAIT_MS : DISABLED_WAIT_MS;
}

function tell(error: unknown, failures: number, wait: number, log: Logger): void {
  const waitMs = Math.round(wait);
  if (!(error instanceof PhsyncError)) {
    log.error({ err: error, failures, waitMs }, 'what was not expected; nothing is lost, and it is tried again');
    return;
  }
  const { code, message } = error;
  const event = eventOf(code);
  const facts = { event, code, failures, waitMs };
  if (NEEDS_PEOPLE.has(event)) {
    log.error(facts, `${message}; nothing is lost, and it is tried again, but somebody has to put it right`);
  } else log.warn(facts, `${message}; nothing is lost, and it is tried again`);
}

/** What does not pass by itself. */
const NEEDS_PEOPLE: ReadonlySet<string> = new Set(['tenant-refused', 'key-refused', 'domain-services-wrong-domain']);

function eventOf(code: string): string {
  if (code.startsWith('managed-domain-')) return 'domain-away';
  if (code === 'domain-services-key-unavailable') return 'key-away';
  // A PIN that the token refused, when it was to be opened anew.
  if (code === 'config-key') return 'key-refused';
  if (code === 'token-refused' || code === 'feed-refused') return 'tenant-refused';
  return code === 'feed-disabled' || code === 'domain-services-wrong-domain' ? code : 'tenant-away';
}
