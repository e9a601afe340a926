/** What one cycle of one connector works with. */

import type { Logger } from 'pino';
import type { Hasher } from '../hasher/types.js';
import type { LegacySealer } from '../provisioning/legacy-sealer.js';
import type { Clock } from './clock.js';
import type { EventSink } from './events/event.js';
import type { Link } from './link.js';
import type { Scope } from './scope.js';
import type { DirectorySource } from './source.js';
import type { ConnectorState } from './state/connector-state.js';
import type { CycleCounts } from './state/rows.js';
import type { OutcomeHook } from './unit.js';

export interface CycleOptions {
  readonly source: DirectorySource;
  readonly scope: Scope;
  readonly state: ConnectorState;
  readonly link: Link;
  readonly hasher: Hasher;
  /** Made when the first keys for Domain Services are sealed. */
  readonly sealer: () => LegacySealer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventSink;
  /** Aborted: no more is pulled, what is under way is settled, and the cycle ends early without an error. */
  readonly signal: AbortSignal;
  /** Everything from the beginning, acknowledged or not. A cycle that is cut off leaves the rest of it to the next. */
  readonly full?: boolean;
  /** Whatever the tenant's threshold of accidental deletions. */
  readonly allowDeletions?: boolean;
  /** Accounts that have expired are disabled in the tenant. */
  readonly disableExpired?: boolean;
  /** Of each object as its outcome is written down, inside the transaction. */
  readonly onOutcome?: OutcomeHook;
  /** Work that wants its turn between two pages, when nothing is under way. */
  readonly between?: { readonly wanted: () => boolean; readonly run: () => Promise<void> } | undefined;
  /** After each page; `total` as the source knows it. */
  readonly onProgress?: (counts: Readonly<CycleCounts>, total: number | undefined) => void;
}
