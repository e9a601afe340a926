/** The agent's monitor: /healthz, /readyz and /metrics, put together from what the agent says and what its state has. */

import type { Logger } from 'pino';
import type { HasherInfo } from '../../hasher/types.js';
import { jsonPage, type MonitorServer, type Page, startMonitorServer } from '../../monitor/server.js';
import type { CycleReport } from '../agent.js';
import type { Clock } from '../clock.js';
import type { AgentConfig } from '../config.js';
import type { AgentObserver, TenantObserver } from '../observer.js';
import type { CycleCounts } from '../state/rows.js';
import { type Answer, health, readiness } from './health.js';
import { Metrics } from './metrics.js';
import type { ConnectorGlance } from './source.js';

export interface MonitorOptions {
  readonly config: NonNullable<AgentConfig['monitor']>;
  readonly hasher: HasherInfo;
  readonly version: string;
  readonly staging: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly connectors: () => readonly ConnectorGlance[];
  /** Writes something. Throws what says why that does not work. */
  readonly probeState: (now: number) => void;
}

/** The state is written to for /readyz at most so often. */
const PROBE_MS = 10_000;

export class Monitor implements AgentObserver, TenantObserver {
  readonly #options: MonitorOptions;
  readonly #metrics: Metrics;
  readonly #started: number;
  /** When a connector last showed something new. */
  readonly #signs = new Map<string, number>();
  #tenant: { at: number; outcome: string } | undefined;
  #probe: { at: number; failure: string | undefined } | undefined;
  #server: MonitorServer | undefined;

  constructor(options: MonitorOptions) {
    const { hasher, version, staging, clock } = options;
    this.#options = options;
    this.#started = clock.now();
    const connectors = () => this.#look().connectors;
    this.#metrics = new Metrics({ hasher, version, staging, connectors, now: () => clock.now() });
  }

  /** Begins to listen. @throws PhsyncError `monitor-listen` */
  async start(): Promise<void> {
    const { config, log } = this.#options;
    this.#server = await startMonitorServer({
      ...config,
      log,
      pages: {
        '/healthz': () => this.#health(),
        '/readyz': () => this.#readiness(),
        '/metrics': () => this.#exposition(),
      },
    });
    log.info({ url: this.#server.url }, 'the monitor listens');
  }

  /** `http://127.0.0.1:9464`; undefined before the start. */
  get url(): string | undefined {
    return this.#server?.url;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  cycleStarted(connector: string): void {
    this.#sign(connector);
    this.#metrics.cycleStarted(connector);
  }

  progress(connector: string, counts: Readonly<CycleCounts>): void {
    this.#sign(connector);
    this.#metrics.progress(connector, counts);
  }

  cycleEnded(report: CycleReport, stopped: boolean): void {
    this.#sign(report.connector);
    this.#metrics.cycleEnded(report, stopped);
  }

  tenantCall(operation: string, seconds: number, outcome: string): void {
    // What the agent itself broke off says nothing of the tenant.
    if (!outcome.endsWith('-aborted')) this.#tenant = { at: this.#now(), outcome };
    this.#metrics.tenantCall(operation, seconds, outcome);
  }

  tenantRetry(): void {
    this.#metrics.tenantRetry();
  }

  #now(): number {
    return this.#options.clock.now();
  }

  #sign(connector: string): void {
    this.#signs.set(connector, this.#now());
  }

  /** A state that cannot be read is told, and takes nothing else with it. */
  #look(): { readonly connectors: readonly ConnectorGlance[]; readonly failure?: string } {
    try {
      return { connectors: this.#options.connectors() };
    } catch (error) {
      return { connectors: [], failure: error instanceof Error ? error.message : String(error) };
    }
  }

  #lastSign = (connector: string) => this.#signs.get(connector);

  #health(): Page {
    const uptimeSeconds = Math.round((this.#now() - this.#started) / 1000);
    const { connectors } = this.#look();
    const answer = health({ now: this.#now(), connectors, lastSign: this.#lastSign });
    return page(answer, { version: this.#options.version, uptimeSeconds });
  }

  #readiness(): Page {
    const { config } = this.#options;
    const { connectors, failure } = this.#look();
    return page(
      readiness({
        now: this.#now(),
        connectors,
        lastSign: this.#lastSign,
        limitMs: config.readyMinutes * 60_000,
        tenant: this.#tenant,
        stateFailure: failure ?? this.#stateFailure(),
      }),
    );
  }

  async #exposition(): Promise<Page> {
    return { status: 200, contentType: this.#metrics.contentType, body: await this.#metrics.text() };
  }

  #stateFailure(): string | undefined {
    const now = this.#now();
    if (this.#probe === undefined || now < this.#probe.at || now - this.#probe.at >= PROBE_MS) {
      let failure: string | undefined;
      try {
        this.#options.probeState(now);
      } catch (error) {
        failure = error instanceof Error ? error.message : String(error);
      }
      this.#probe = { at: now, failure };
    }
    return this.#probe.failure;
  }
}

function page({ ok, checks }: Answer, more: Readonly<Record<string, string | number>> = {}): Page {
  return jsonPage(ok ? 200 : 503, { status: ok ? 'ok' : 'failing', ...more, checks });
}
