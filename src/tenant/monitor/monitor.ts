/** The tenant's monitor: /healthz, /readyz and /metrics on a loopback port of their own, without TLS. */

import type { Logger } from 'pino';
import { jsonPage, type MonitorServer, startMonitorServer } from '../../monitor/server.js';
import type { TenantStore } from '../store/store.js';
import type { Metrics } from './metrics.js';

export interface TenantMonitorOptions {
  readonly config: { readonly host: string; readonly port: number };
  readonly metrics: Metrics;
  readonly store: TenantStore;
  readonly log: Logger;
  readonly startedAt: Date;
  readonly now: () => Date;
}

/** @throws PhsyncError `monitor-listen` */
export async function startTenantMonitor(options: TenantMonitorOptions): Promise<MonitorServer> {
  const { config, metrics, store, log, startedAt, now } = options;
  const server = await startMonitorServer({
    ...config,
    log,
    pages: {
      // That it answers at all: a supervisor restarts it otherwise.
      '/healthz': () =>
        jsonPage(200, { status: 'ok', seconds: Math.round((now().getTime() - startedAt.getTime()) / 1000) }),
      '/readyz': async () => {
        try {
          await store.dirSyncFeatures();
          return jsonPage(200, { status: 'ready', store: store.database.dialect });
        } catch (error) {
          log.warn({ err: error }, 'the store does not answer');
          return jsonPage(503, { status: 'not ready', reason: 'the store does not answer' });
        }
      },
      '/metrics': async () => ({ status: 200, ...(await metrics.exposition()) }),
    },
  });
  log.info({ url: server.url }, 'the monitor listens');
  return server;
}
