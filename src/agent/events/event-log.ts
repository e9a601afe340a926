/** The sink of the agent's events: each a line of the log at once, and in batches a row of the state, kept for seven days. */

import type { Level, Logger } from 'pino';
import { scrub } from '../../log/scrub.js';
import type { Clock } from '../clock.js';
import type { EventStore } from '../state/events.js';
import { EVENTS, type EventFields, type EventLevel, type EventNumber, type EventSink } from './event.js';

export interface EventLogOptions {
  readonly log: Logger;
  /** None: events go to the log alone. */
  readonly store: Pick<EventStore, 'add' | 'prune'> | undefined;
  readonly clock: Clock;
}

type Row = Parameters<EventStore['add']>[0][number];

/** How long an event may wait for others to be stored with it. */
const FLUSH_MS = 1000;
/** Events that wait for a disk that fails; beyond it the oldest are given up. */
const MAX_WAITING = 2000;
const PRUNE_MS = 3_600_000;
/** Users of whom single events are told in each two minutes; what a delta cycle of a large company has. */
const USERS_TOLD = 100;
const USERS_WINDOW_MS = 120_000;
const MAX_TEXT = 500;

const LEVELS: Readonly<Record<EventLevel, Level>> = { information: 'info', warning: 'warn', error: 'error' };

export class EventLog implements EventSink {
  readonly #options: EventLogOptions;
  readonly #closing = new AbortController();
  readonly #traced: Pick<EventSink, 'emit'> = { emit: (number, fields) => this.#write(number, fields, 'trace') };
  #waiting: Row[] = [];
  #lost = 0;
  #scheduled = false;
  #failing = false;
  #pruneAt = 0;
  #users = 0;
  #windowEnds = 0;

  constructor(options: EventLogOptions) {
    this.#options = options;
  }

  emit(number: EventNumber, fields: EventFields = {}): void {
    const cut = this.#write(number, fields, LEVELS[EVENTS[number].level]);
    if (this.#options.store === undefined || this.#closing.signal.aborted) return;
    const { connector, ...rest } = cut;
    this.#waiting.push({
      at: this.#options.clock.now(),
      number,
      connector: typeof connector === 'string' ? connector : null,
      fields: scrub(JSON.stringify(rest)),
    });
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.shift();
      this.#lost++;
    }
    // Never at once: the caller may be in the middle of a transaction, which would take the event with it.
    this.#schedule();
  }

  forUsers(count: number): Pick<EventSink, 'emit'> | undefined {
    const now = this.#options.clock.now();
    // A clock that was set back must not shut the window for long.
    if (now >= this.#windowEnds || now < this.#windowEnds - USERS_WINDOW_MS) {
      this.#windowEnds = now + USERS_WINDOW_MS;
      this.#users = 0;
    }
    if (this.#users + count <= USERS_TOLD) {
      this.#users += count;
      return this;
    }
    return this.#options.log.isLevelEnabled('trace') ? this.#traced : undefined;
  }

  /** Stores what waits. What cannot be stored now waits on. */
  flush(): void {
    const { store, clock, log } = this.#options;
    if (store === undefined) return;
    try {
      if (this.#waiting.length > 0) store.add(this.#waiting);
      this.#waiting = [];
      if (this.#failing) log.info({ lost: this.#lost }, 'the state takes events again');
      this.#failing = false;
      this.#lost = 0;
      const now = clock.now();
      if (now >= this.#pruneAt || now < this.#pruneAt - PRUNE_MS) {
        if (!store.prune(now)) this.#pruneAt = now + PRUNE_MS;
      }
    } catch (error) {
      // Once a failure, not once a second.
      if (!this.#failing) log.warn({ err: error }, 'the state takes no events; they stand in this log alone for now');
      this.#failing = true;
    }
  }

  /** Before the store is closed. Events after it stand in the log alone. */
  close(): void {
    this.#closing.abort();
    this.flush();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    void this.#options.clock.sleep(FLUSH_MS, this.#closing.signal).then(() => {
      this.#scheduled = false;
      if (!this.#closing.signal.aborted) this.flush();
    });
  }

  #write(number: EventNumber, fields: EventFields | undefined, level: Level): EventFields {
    const cut: Record<string, string | number | boolean> = {};
    for (const [name, value] of Object.entries(fields ?? {})) {
      if (value === undefined || value === null) continue;
      cut[name] = typeof value === 'string' && value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value;
    }
    this.#options.log[level]({ event: number, ...cut }, EVENTS[number].text);
    return cut;
  }
}
