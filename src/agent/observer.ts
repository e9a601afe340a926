/** What the monitor is told while the agent works. Without a monitor nobody is told. */

import type { CycleReport } from './connector-cycle.js';
import type { CycleCounts } from './state/rows.js';

export interface AgentObserver {
  cycleStarted(connector: string): void;
  /** After each page, with all that the running cycle has done so far. */
  progress(connector: string, counts: Readonly<CycleCounts>): void;
  /** `stopped`: it ended before its end, and without an error. */
  cycleEnded(report: CycleReport, stopped: boolean): void;
}

export interface TenantObserver {
  /** One call to the tenant has ended. `outcome`: `success`, or the code of the error. */
  tenantCall(operation: string, seconds: number, outcome: string): void;
  /** A call that failed is made again. */
  tenantRetry(): void;
}
