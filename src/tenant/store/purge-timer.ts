/** Purges the store by the hour, for as long as the tenant runs. */

import type { Logger } from 'pino';
import { numberChanges } from '../domain-services/sequence.js';
import type { TenantDatabase } from './database.js';
import { purge, type Retention } from './purge.js';

const HOUR = 60 * 60 * 1000;
/** After a start others are busy: agents and people come back. */
const FIRST = 60 * 1000;

export interface PurgeTimerOptions {
  readonly retention: Retention;
  readonly now: () => Date;
  readonly log: Logger;
  /** Milliseconds; an hour, and a minute to the first. */
  readonly every?: number;
  readonly first?: number;
}

export interface PurgeTimer {
  /** Lets the statement under way end. */
  stop(): Promise<void>;
}

export function startPurgeTimer(
  database: TenantDatabase,
  { retention, now, log, every = HOUR, first = FIRST }: PurgeTimerOptions,
): PurgeTimer {
  const stopped = new AbortController();
  const once = async () => {
    try {
      // Where no managed domain reads, notes of changes would become ever more.
      await numberChanges(database, now());
      const purged = await purge(database, { retention, now: now(), signal: stopped.signal });
      if (purged !== undefined && Object.values(purged).some((rows) => rows > 0)) log.info(purged, 'old rows dropped');
    } catch (err) {
      log.warn({ err }, 'old rows could not be dropped; the next try is in an hour');
    }
  };
  let running = Promise.resolve();
  let timer = setTimeout(run, first).unref();
  function run(): void {
    running = once().then(() => {
      if (!stopped.signal.aborted) timer = setTimeout(run, every).unref();
    });
  }
  return {
    async stop() {
      stopped.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
