/** The agent's metrics for Prometheus. Labels name connectors, operations and kinds: never a user, never a secret. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { HasherInfo } from '../../hasher/types.js';
import type { CycleReport } from '../agent.js';
import type { AgentObserver, TenantObserver } from '../observer.js';
import type { CycleCounts } from '../state/rows.js';
import type { ConnectorGlance } from './source.js';

/** A hundredth of a second to an hour: an idle cycle to a first synchronization. */
const CYCLE_BUCKETS = [0.01, 0.05, 0.25, 1, 5, 15, 60, 120, 300, 900, 3600];
const CALL_BUCKETS = [0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60];
/** prom-client's own is 10 ms: it would wake an idle agent a hundred times a second. */
const LOOP_PRECISION_MS = 100;

/** Counts of a cycle, and what they are called. */
const COUNTERS = {
  seen: ['phsync_objects_seen_total', 'Objects that replication showed.'],
  created: ['phsync_users_created_total', 'Users made in the tenant.'],
  updated: ['phsync_users_updated_total', 'Users whose properties were sent to the tenant.'],
  deleted: ['phsync_users_deleted_total', 'Users deleted in the tenant.'],
  credentialsSent: ['phsync_credentials_sent_total', 'Password credentials that the tenant took.'],
  filtered: ['phsync_passwords_held_back_total', 'Passwords not sent, since they must be changed at the next log-on.'],
  filteredByRule: ['phsync_passwords_filtered_total', 'Passwords not sent, since a scope rule leaves them out.'],
  noPassword: ['phsync_passwords_missing_total', 'Accounts in scope without a password.'],
  sealed: [
    'phsync_domain_services_keys_sent_total',
    'Password credentials that had keys for Domain Services with them.',
  ],
  keysMissing: [
    'phsync_domain_services_kerberos_missing_total',
    'Of those, users of whom the directory has no Kerberos keys.',
  ],
  failed: ['phsync_objects_failed_total', 'Objects put (back) into the retry queue.'],
} as const satisfies Partial<Record<keyof CycleCounts, readonly [name: string, help: string]>>;
type Counted = keyof typeof COUNTERS;
const COUNTED = Object.keys(COUNTERS) as Counted[];

export interface MetricsOptions {
  readonly hasher: HasherInfo;
  readonly version: string;
  readonly staging: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The connectors of this moment; asked at each scrape. */
  readonly connectors: () => readonly ConnectorGlance[];
}

export class Metrics implements AgentObserver, TenantObserver {
  readonly #options: MetricsOptions;
  readonly #registry = new Registry();
  readonly #counters: Readonly<Record<Counted, Counter<'connector'>>>;
  readonly #cycles: Counter<'connector' | 'outcome'>;
  readonly #seconds: Histogram<'connector'>;
  readonly #calls: Counter<'operation' | 'outcome'>;
  readonly #callSeconds: Histogram<'operation'>;
  readonly #retries: Counter;
  readonly #throttled: Counter;
  /** What the running cycle of a connector has been counted with so far. */
  readonly #counted = new Map<string, Record<Counted, number>>();

  constructor(options: MetricsOptions) {
    this.#options = options;
    const registers = [this.#registry];
    const counter = ([name, help]: readonly [string, string]) =>
      new Counter({ name, help, labelNames: ['connector'], registers });
    this.#counters = Object.fromEntries(COUNTED.map((key) => [key, counter(COUNTERS[key])])) as Record<
      Counted,
      Counter<'connector'>
    >;
    this.#cycles = new Counter({
      name: 'phsync_cycles_total',
      help: 'Cycles that have ended, by outcome: done, failed, or stopped before the end.',
      labelNames: ['connector', 'outcome'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'phsync_cycle_duration_seconds',
      help: 'How long cycles took.',
      labelNames: ['connector'],
      buckets: CYCLE_BUCKETS,
      registers,
    });
    this.#calls = new Counter({
      name: 'phsync_tenant_requests_total',
      help: 'Calls to the tenant that have ended, by operation and outcome (success, or the code of the error).',
      labelNames: ['operation', 'outcome'],
      registers,
    });
    this.#callSeconds = new Histogram({
      name: 'phsync_tenant_request_duration_seconds',
      help: 'How long calls to the tenant took.',
      labelNames: ['operation'],
      buckets: CALL_BUCKETS,
      registers,
    });
    this.#retries = new Counter({
      name: 'phsync_tenant_retries_total',
      help: 'Calls to the tenant that were made again after a failure.',
      registers,
    });
    this.#throttled = new Counter({
      name: 'phsync_tenant_throttled_total',
      help: 'Calls to which the tenant said that it is busy.',
      registers,
    });
    const { backend, kernel = '', threads } = options.hasher;
    this.#info('phsync_build_info', 'The version that runs.', { version: options.version });
    this.#info('phsync_hasher_info', 'What computes the hashes.', { backend, kernel, threads: String(threads) });
    new Gauge({
      name: 'phsync_staging_enabled',
      help: '1: staging mode, in which all is computed and counted, and nothing is sent.',
      registers,
    }).set(options.staging ? 1 : 0);
    this.#gauges(registers);
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: LOOP_PRECISION_MS });
  }

  readonly contentType: string = Registry.PROMETHEUS_CONTENT_TYPE;

  /** The text exposition format, version 0.0.4. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  cycleStarted(connector: string): void {
    this.#counted.delete(connector);
  }

  progress(connector: string, counts: Readonly<CycleCounts>): void {
    const before = this.#counted.get(connector);
    const now = {} as Record<Counted, number>;
    for (const key of COUNTED) {
      now[key] = counts[key];
      this.#counters[key].inc({ connector }, now[key] - (before?.[key] ?? 0));
    }
    this.#counted.set(connector, now);
  }

  cycleEnded(report: CycleReport, stopped: boolean): void {
    const { connector, error, seconds } = report;
    this.progress(connector, report);
    this.#counted.delete(connector);
    const outcome = error !== undefined ? 'failed' : stopped ? 'stopped' : 'done';
    this.#cycles.inc({ connector, outcome });
    // A clock that was set back in the middle.
    this.#seconds.observe({ connector }, Math.max(0, seconds));
  }

  tenantCall(operation: string, seconds: number, outcome: string): void {
    this.#calls.inc({ operation, outcome });
    this.#callSeconds.observe({ operation }, Math.max(0, seconds));
    if (outcome.endsWith('-busy')) this.#throttled.inc();
  }

  tenantRetry(): void {
    this.#retries.inc();
  }

  #info(name: string, help: string, labels: Readonly<Record<string, string>>): void {
    const registers = [this.#registry];
    new Gauge({ name, help, labelNames: Object.keys(labels), registers }).set(labels, 1);
  }

  /** What is looked up at each scrape. A connector that is gone since the last one is gone here. */
  #gauges(registers: Registry[]): void {
    const { connectors, now } = this.#options;
    const gauge = (name: string, help: string, value: (connector: ConnectorGlance) => number | undefined) =>
      new Gauge({
        name,
        help,
        labelNames: ['connector'],
        registers,
        collect() {
          this.reset();
          for (const connector of connectors()) {
            const found = value(connector);
            if (found !== undefined) this.set({ connector: connector.name }, found);
          }
        },
      });
    const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);
    gauge('phsync_connector_enabled', '1: the connector is switched on.', ({ enabled }) => (enabled ? 1 : 0));
    gauge('phsync_cycle_running', '1: a cycle runs.', ({ state }) => (state === 'running' ? 1 : 0));
    gauge('phsync_retry_queue_objects', 'Objects in the retry queue.', ({ retryQueue }) => retryQueue);
    gauge(
      'phsync_retry_queue_oldest_age_seconds',
      'For how long the object that has waited longest is in the retry queue; 0: it is empty.',
      ({ oldestFailureAt }) => (oldestFailureAt === undefined ? 0 : Math.max(0, now() - oldestFailureAt) / 1000),
    );
    gauge(
      'phsync_last_success_timestamp_seconds',
      'When the last cycle ended that came to its end.',
      ({ completedAt }) => seconds(completedAt),
    );
    gauge(
      'phsync_heartbeat_timestamp_seconds',
      "When the tenant last answered on the connector's behalf, to a ping or to passwords.",
      ({ heartbeatAt }) => seconds(heartbeatAt),
    );
    gauge(
      'phsync_full_sync_timestamp_seconds',
      'When every object had been seen for the first time.',
      ({ fullSyncAt }) => seconds(fullSyncAt),
    );
    gauge(
      'phsync_domain_services_enabled',
      '1: keys for Domain Services go with the passwords.',
      ({ domainServices }) => (domainServices === 'on' ? 1 : 0),
    );
    gauge(
      'phsync_domain_services_stopped',
      '1: Domain Services are on in the tenant, and no keys go for want of a certificate that can be used.',
      ({ domainServices }) => (domainServices === 'stopped' ? 1 : 0),
    );
    gauge(
      'phsync_domain_services_certificate_expiry_timestamp_seconds',
      'Until when the certificate is valid that keys are sealed for.',
      ({ certificateValidTo }) => seconds(certificateValidTo),
    );
    new Gauge({
      name: 'phsync_directory_info',
      help: 'The domain controller in use.',
      labelNames: ['connector', 'directory'],
      registers,
      collect() {
        this.reset();
        for (const { name, directory } of connectors()) {
          if (directory !== undefined) this.set({ connector: name, directory }, 1);
        }
      },
    });
  }
}
