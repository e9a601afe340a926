/** What an agent is made of. */

import type { Logger } from 'pino';
import type { Hasher } from '../hasher/types.js';
import type { Clock } from './clock.js';
import type { ConnectorConfig } from './config.js';
import type { DomainServicesPolicy } from './domain-services/offer.js';
import type { EventSink } from './events/event.js';
import type { TenantClient } from './link.js';
import type { AgentObserver } from './observer.js';
import type { Patience } from './patience.js';
import type { Pace } from './scheduler.js';
import type { DirectorySource } from './source.js';
import type { CycleCounts } from './state/rows.js';
import type { StateStore } from './state/store.js';
import type { OutcomeHook } from './unit.js';

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
  /** Undefined: what the tenant asks for, for whichever certificate. */
  readonly domainServices?: DomainServicesPolicy;
  /** For what opens and seals keys for Domain Services; the hasher has been told by itself. */
  readonly allowMd5InFips?: boolean;
  /**
   * Connects to a connector's directory, unless the signal is aborted. The agent keeps what it is given from cycle to
   * cycle and closes it at its own end: a source mends its connection itself.
   */
  readonly openSource: (connector: ConnectorConfig, signal: AbortSignal) => Promise<DirectorySource>;
  readonly onProgress?: (connector: string, counts: Readonly<CycleCounts>, total: number | undefined) => void;
  /** Of each object as its outcome is written down. */
  readonly onOutcome?: (connector: ConnectorConfig, ...outcome: Parameters<OutcomeHook>) => void;
  /** Staging mode: reports and log say so. That nothing is sent is the client's affair. */
  readonly staging?: boolean;
  readonly observer?: AgentObserver | undefined;
  /** For tests, which cannot wait for two minutes. */
  readonly pace?: Pick<Pace, 'intervalMs'>;
}
