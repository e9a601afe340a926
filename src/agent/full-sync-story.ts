/** What is told of a full synchronization (617 to 623, save 620), over as many cycles as it takes to come to its end. */

import type { Clock } from './clock.js';
import type { EventSink } from './events/event.js';
import type { CycleCounts } from './state/rows.js';

/** Progress is told at most so often. */
const PROGRESS_MS = 60_000;

export interface Begun {
  /** The whole directory is looked at. */
  readonly isFull: boolean;
  /** From its beginning, on demand or for what was not sent. */
  readonly anew: boolean;
  readonly continues: boolean;
  /** For what, where nobody asked for it. */
  readonly why: string | undefined;
}

export class FullSyncStory {
  /** It was told to have started, and not to have ended. */
  #open = false;
  /** The running cycle is a part of one. */
  #now = false;
  #toldAt = 0;
  #pages = 0;

  begins(events: EventSink, clock: Clock, { isFull, anew, continues, why }: Begun): void {
    this.#now = isFull;
    this.#pages = 0;
    if (!isFull || (this.#open && !anew)) return;
    this.#open = true;
    this.#toldAt = clock.now();
    events.emit(617, { why });
    events.emit(618, { continues, why });
  }

  progress(events: EventSink, clock: Clock, counts: Readonly<CycleCounts>, total: number | undefined): void {
    const { seen, credentialsSent, failed, pages } = counts;
    this.#pages = pages;
    if (!this.#now || clock.now() - this.#toldAt < PROGRESS_MS) return;
    this.#toldAt = clock.now();
    events.emit(619, { seen, total, credentialsSent, failed });
  }

  completed(events: EventSink, counts: Readonly<CycleCounts>, seconds: number): void {
    if (!this.#now) return;
    this.#open = false;
    events.emit(622, { seen: counts.seen, credentialsSent: counts.credentialsSent, failed: counts.failed, seconds });
    events.emit(623);
  }

  /** An attempt that came to nothing at all has failed as a cycle, and says so elsewhere. */
  failed(events: EventSink, code: string): void {
    if (this.#now && this.#pages > 0) events.emit(621, { code });
  }
}
