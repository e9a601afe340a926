/** The tenant's metrics for Prometheus. Labels name routes, operations and codes: never a user, never a secret. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Hasher, HasherInfo } from '../../hasher/types.js';

/** From one lane of a hash to a write-back that waits for its domain controller. */
const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30];
/** prom-client's own is 10 ms: it would wake an idle tenant a hundred times a second. */
const LOOP_PRECISION_MS = 100;

export interface MetricsOptions {
  readonly version: string;
  readonly hasher: HasherInfo & { readonly load?: Hasher['load'] };
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<'method' | 'route' | 'status'>;
  readonly #requestSeconds: Histogram<'route'>;
  readonly #signIns: Counter<'flow' | 'code'>;
  // prom-client sorts and joins the labels of each call otherwise. There are as many as there are series.
  readonly #ofRequest = new Map<string, { count: Counter.Internal; seconds: Histogram.Internal<'route'> }>();
  readonly #ofSignIn = new Map<string, Counter.Internal>();
  readonly #provisioned: Counter<'operation' | 'outcome'>;
  readonly #items: Counter<'operation' | 'outcome'>;
  readonly #writebacks: Counter<'outcome' | 'reason'>;

  constructor({ version, hasher }: MetricsOptions) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: LOOP_PRECISION_MS });
    const { backend, kernel = 'none', threads } = hasher;
    new Gauge({
      name: 'phsync_tenant_info',
      help: 'The version and the hasher that runs; always 1.',
      labelNames: ['version', 'backend', 'kernel', 'threads'],
      registers,
    }).set({ version, backend, kernel, threads: String(threads) }, 1);
    this.#requests = new Counter({
      name: 'phsync_tenant_requests_total',
      help: 'HTTP requests that were answered.',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#requestSeconds = new Histogram({
      name: 'phsync_tenant_request_seconds',
      help: 'From the head of a request to the end of its answer.',
      labelNames: ['route'],
      buckets: SECONDS,
      registers,
    });
    this.#signIns = new Counter({
      name: 'phsync_tenant_sign_ins_total',
      help: 'Sign-ins by flow and AADSTS code; code 0: signed in.',
      labelNames: ['flow', 'code'],
      registers,
    });
    this.#provisioned = new Counter({
      name: 'phsync_tenant_provisioning_requests_total',
      help: 'Requests of agents.',
      labelNames: ['operation', 'outcome'],
      registers,
    });
    this.#items = new Counter({
      name: 'phsync_tenant_provisioning_items_total',
      help: 'Users and credentials that agents sent.',
      labelNames: ['operation', 'outcome'],
      registers,
    });
    this.#writebacks = new Counter({
      name: 'phsync_tenant_password_writebacks_total',
      help: 'Passwords on their way to the on-premises directory, by what became of them.',
      labelNames: ['outcome', 'reason'],
      registers,
    });
  }

  /** `route` is the pattern, not the address; a request to none of them has none. */
  request(method: string, route: string | undefined, status: number, seconds: number): void {
    const key = `${method} ${status} ${route ?? ''}`;
    let of = this.#ofRequest.get(key);
    if (of === undefined) {
      const labels = { method, route: route ?? 'none', status: String(status) };
      of = { count: this.#requests.labels(labels), seconds: this.#requestSeconds.labels({ route: labels.route }) };
      this.#ofRequest.set(key, of);
    }
    of.count.inc();
    of.seconds.observe(seconds);
  }

  signIn(flow: string, code: number): void {
    const key = `${flow} ${code}`;
    let of = this.#ofSignIn.get(key);
    if (of === undefined) {
      of = this.#signIns.labels({ flow, code: String(code) });
      this.#ofSignIn.set(key, of);
    }
    of.inc();
  }

  provisioning(operation: string, { items = 0, refused = 0 }: { items?: number; refused?: number } = {}): void {
    this.#provisioned.inc({ operation, outcome: 'done' });
    if (items > refused) this.#items.inc({ operation, outcome: 'taken' }, items - refused);
    if (refused > 0) this.#items.inc({ operation, outcome: 'refused' }, refused);
  }

  provisioningFailed(operation: string): void {
    this.#provisioned.inc({ operation, outcome: 'failed' });
  }

  writeback(outcome: string, reason = 'none'): void {
    this.#writebacks.inc({ outcome, reason });
  }

  /** Asked at each scrape: the agents that write back, by domain. */
  watchWriteback(status: () => Promise<{ readonly domains: Readonly<Record<string, number>> }>): void {
    new Gauge({
      name: 'phsync_tenant_writeback_agents',
      help: 'Agents that asked for passwords to write back within the last minute, at any process.',
      labelNames: ['domain'],
      registers: [this.#registry],
      async collect() {
        this.reset();
        for (const [domain, agents] of Object.entries((await status()).domains)) this.set({ domain }, agents);
      },
    });
  }

  /** In Prometheus' text format, with its content type. */
  async exposition(): Promise<{ readonly contentType: string; readonly body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}
