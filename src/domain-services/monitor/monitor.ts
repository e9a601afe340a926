/** /healthz, /readyz, /status and /metrics of the managed side: whether it lives, whether passwords get through, and who waits. */

import type { Logger } from 'pino';
import { jsonPage, type MonitorServer, type Page, startMonitorServer } from '../../monitor/server.js';
import type { DomainServicesConfig } from '../config.js';
import type { OpenKey } from '../keys/key-ring.js';
import { daysUntil } from '../keys/missing-keys.js';
import type { Counts, Observer, Side } from '../observer.js';
import type { StateStore } from '../state/store.js';
import type { Synchronizer } from '../synchronizer.js';
import { Metrics } from './metrics.js';

export interface MonitorOptions {
  readonly config: NonNullable<DomainServicesConfig['monitor']>;
  readonly version: string;
  readonly log: Logger;
  readonly store: StateStore;
  /** Those that are open now. */
  readonly keys: () => readonly OpenKey[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

interface Heard {
  workedAt?: number;
  failure?: { readonly at: number; readonly code: string; readonly message: string };
}

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What has worked, and no more than that. */
const WORKS: Readonly<Record<Side, string>> = {
  tenant: 'answers with the feed',
  domain:
    "the domain controller's database answers and took what there was for it; whether its KDC answers is not asked",
  keys: 'are open',
};
/** So many of those who wait are listed. */
const LISTED = 100;
const PROBE_MS = 10_000;

export class Monitor implements Observer {
  readonly #options: MonitorOptions;
  readonly #metrics: Metrics;
  readonly #started: number;
  readonly #heard: Record<Side, Heard> = { tenant: {}, domain: {}, keys: {} };
  #synchronizer: Synchronizer | undefined;
  #server: MonitorServer | undefined;
  #probe: { at: number; failure: string | undefined } | undefined;

  constructor(options: MonitorOptions) {
    const { version, store, keys, now } = options;
    this.#options = options;
    this.#started = now();
    const look = () => ({
      users: store.userCount,
      waiting: store.retryCount,
      oldestFailure: store.oldestFailure,
      completedAt: store.sync.completedAt,
    });
    const missing = () => this.#synchronizer?.missingKeys ?? [];
    this.#metrics = new Metrics({ version, keys, missing, look, now });
  }

  /** Begins to listen. @throws PhsyncError `monitor-listen` */
  async start(synchronizer: Synchronizer): Promise<void> {
    const { config, log } = this.#options;
    this.#synchronizer = synchronizer;
    this.#server = await startMonitorServer({
      ...config,
      log,
      pages: {
        '/healthz': () => this.#health(),
        '/readyz': () => this.#readiness(),
        '/status': () => jsonPage(200, this.#status()),
        '/metrics': async () => ({
          status: 200,
          contentType: this.#metrics.contentType,
          body: await this.#metrics.text(),
        }),
      },
    });
    log.info({ url: this.#server.url }, 'the monitor listens');
  }

  /** `http://127.0.0.1:9466`; undefined before the start. */
  get url(): string | undefined {
    return this.#server?.url;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  counted(counts: Readonly<Counts>): void {
    this.#metrics.counted(counts);
  }

  worked(side: Side): void {
    this.#heard[side] = { workedAt: this.#options.now() };
    this.#metrics.worked(side);
  }

  failed(side: Side, code: string, message: string): void {
    this.#heard[side].failure = { at: this.#options.now(), code, message };
    this.#metrics.failed(side, code);
  }

  /** That it answers says that its event loop turns. */
  #health(): Page {
    const { version, now } = this.#options;
    return jsonPage(200, { status: 'ok', version, uptimeSeconds: Math.round((now() - this.#started) / 1000) });
  }

  #readiness(): Page {
    const checks: Check[] = [
      this.#side('tenant'),
      this.#side('domain'),
      this.#newestMissing() ?? this.#side('keys'),
      this.#state(),
      this.#deletions(),
    ];
    const ok = checks.every((check) => check.ok);
    return jsonPage(ok ? 200 : 503, { status: ok ? 'ok' : 'failing', checks });
  }

  /** Not of those for which nothing comes any more: who waits for one of these stands in the queue. */
  #newestMissing(): Check | undefined {
    const newest = this.#synchronizer?.missingKeys?.find(({ isNewest }) => isNewest);
    if (newest === undefined) return undefined;
    const detail = `no key for the certificate ${newest.thumbprint} that agents seal passwords to`;
    return { name: 'keys', ok: false, detail };
  }

  #side(name: Side): Check {
    const { now, config } = this.#options;
    const { workedAt, failure } = this.#heard[name];
    if (failure !== undefined) return { name, ok: false, detail: `${failure.message} (${failure.code})` };
    if (workedAt === undefined) {
      // Keys were proven when they were opened.
      return name === 'keys'
        ? { name, ok: true, detail: WORKS.keys }
        : { name, ok: false, detail: 'was not asked yet' };
    }
    // The domain is asked when there is something for it.
    const age = now() - workedAt;
    if (name === 'tenant' && age > config.readyMinutes * 60_000) {
      return { name, ok: false, detail: `answered ${Math.round(age / 60_000)} min ago, and not since` };
    }
    return { name, ok: true, detail: WORKS[name] };
  }

  #state(): Check {
    const { now, store } = this.#options;
    if (this.#probe === undefined || Math.abs(now() - this.#probe.at) >= PROBE_MS) {
      let failure: string | undefined;
      try {
        store.probe(now());
      } catch (error) {
        failure = error instanceof Error ? error.message : String(error);
      }
      this.#probe = { at: now(), failure };
    }
    const { failure } = this.#probe;
    return { name: 'state', ok: failure === undefined, detail: failure ?? 'can be written' };
  }

  #deletions(): Check {
    const held = this.#synchronizer?.heldDeletions;
    const detail =
      held === undefined ? 'none are held' : `${held.gone} of ${held.all} users are held back from deletion`;
    return { name: 'deletions', ok: held === undefined, detail };
  }

  #status(): object {
    const { store, keys, now } = this.#options;
    const { readingAll, completedAt, fullAt } = store.sync;
    const domain = this.#synchronizer?.domain;
    const iso = (at: number | undefined) => (at === undefined ? null : new Date(at).toISOString());
    return {
      domain: domain === undefined ? null : { name: domain.dnsDomain, dc: domain.dc, sid: domain.sid },
      tenant: this.#synchronizer?.tenantDomain ?? null,
      keys: keys().map(({ thumbprint, subject, notAfter, place }) => {
        return { thumbprint, subject, notAfter, daysLeft: daysUntil(notAfter, now()), place };
      }),
      missingKeys: (this.#synchronizer?.missingKeys ?? []).map(({ thumbprint, notAfter, daysLeft, isNewest }) => {
        return { thumbprint, notAfter: notAfter ?? null, daysLeft: daysLeft ?? null, isNewest };
      }),
      /** Blobs are compared with what the tenant took in. */
      digestsChecked: this.#synchronizer?.isUnchecked !== true,
      users: store.userCount,
      readingAll,
      completedAt: iso(completedAt),
      fullAt: iso(fullAt),
      heldDeletions: this.#synchronizer?.heldDeletions ?? null,
      waiting: store.retryCount,
      queue: store.waiting(LISTED).map(({ objectId, code, reason, attempts, firstFailure, nextTry }) => ({
        objectId,
        code,
        reason,
        attempts,
        firstFailure: iso(firstFailure),
        nextTry: iso(nextTry),
      })),
    };
  }
}
