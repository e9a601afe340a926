/** What a running agent says of itself, over its control socket. */

import type { CycleReport } from './connector-cycle.js';
import type { StandingName } from './domain-services/standing.js';

export interface AgentStatus {
  readonly pid: number;
  /** Milliseconds since 1970, as all times here. */
  readonly startedAt: number;
  readonly connectors: readonly ConnectorStatus[];
}

export interface ConnectorStatus {
  readonly name: string;
  readonly enabled: boolean;
  /** `off`: disabled in the configuration; `waiting` for its next cycle; `running` one; `stopped` with the agent. */
  readonly state: 'off' | 'waiting' | 'running' | 'stopped';
  /** A full synchronization was asked for and has not come to its end. */
  readonly fullPending: boolean;
  /** Of the running cycle. */
  readonly startedAt: number | undefined;
  readonly nextCycleAt: number | undefined;
  /** The domain controller in use, as a line for people. */
  readonly directory: string | undefined;
  readonly retryQueue: number;
  /** Keys for Domain Services: `stopped`: on in the tenant, and not sent for want of a certificate that can be used. */
  readonly domainServices: StandingName;
  /** Why they are stopped, or wait for the tenant's word. */
  readonly domainServicesReason: string | undefined;
  /** The last cycle of this process, with the time of its end. */
  readonly lastCycle: (CycleReport & { readonly finishedAt: number }) | undefined;
}
