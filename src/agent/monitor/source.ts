/** What the monitor looks at: each connector at this moment, from the running agent and from its state. */

import type { StateGlance } from '../state/store.js';

export interface ConnectorGlance extends StateGlance {
  readonly name: string;
  readonly enabled: boolean;
  readonly state: 'off' | 'waiting' | 'running' | 'stopped';
  /** Milliseconds since 1970, as all times here: of the running cycle. */
  readonly startedAt: number | undefined;
  readonly nextCycleAt: number | undefined;
  /** The domain controller in use, as a line for people. */
  readonly directory: string | undefined;
  /** Objects in the retry queue. */
  readonly retryQueue: number;
  /** Of the last cycle of this process, where it failed. */
  readonly lastError: string | undefined;
}
