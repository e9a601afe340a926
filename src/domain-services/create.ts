/** Puts the program together from its configuration: state, keys, feed, writer, monitor. */

import type { Logger } from 'pino';
import { packageVersion } from '../config/version.js';
import { applyBatch, tellUnchecked } from './apply-batch.js';
import type { DomainServicesConfig } from './config.js';
import { type FeedClient, openFeedClient } from './feed/feed-client.js';
import { type KeyRing, openKeyRing } from './keys/key-ring.js';
import { Monitor } from './monitor/monitor.js';
import { type Counts, nobody, noCounts } from './observer.js';
import { openedBatches } from './open-batch.js';
import type { RunnerOptions } from './runner.js';
import { SambaWriter } from './samba/samba-writer.js';
import { openStateStore, type StateStore } from './state/store.js';
import { checkDomain, Synchronizer } from './synchronizer.js';
import type { ManagedDomainWriter } from './writer.js';

export interface CreateOptions {
  readonly log: Logger;
  readonly env?: Readonly<NodeJS.ProcessEnv>;
  /** With the monitor that the configuration names. */
  readonly monitored?: boolean;
}

export interface DomainServices extends RunnerOptions {
  readonly store: StateStore;
  readonly keys: KeyRing['keys'];
  /** Where the monitor is. */
  readonly monitorUrl: string | undefined;
  close(): Promise<void>;
}

const DAY_MS = 86_400_000;
/** A certificate that ends so soon is told of; what is sealed for it can be opened after its end as well. */
const SOON_MS = 30 * DAY_MS;

/** Contacts neither the tenant nor the domain yet. @throws PhsyncError `config-…`, `state-…`, `domain-services-…` */
export async function createDomainServices(
  config: DomainServicesConfig,
  { log, env = process.env, monitored = false }: CreateOptions,
): Promise<DomainServices> {
  const opened: { close(): void | Promise<void> }[] = [];
  const close = async () => {
    for (const each of opened.reverse().splice(0)) await each.close();
  };
  try {
    const store = openStateStore(config.stateDir);
    opened.push(store);
    const { ring, feed, writer } = await openEnds(config, { log, env }, opened);
    tellOfKeys(ring, log);
    const now = Date.now;
    const monitor =
      monitored && config.monitor !== undefined
        ? new Monitor({ config: config.monitor, version: packageVersion(), log, store, keys: ring.keys, now })
        : undefined;
    const synchronizer = new Synchronizer({
      feed,
      unwrap: ring.unwrap,
      writer,
      store,
      log,
      observer: monitor ?? nobody,
      deletionThreshold: config.deletionThreshold,
      now,
    });
    if (monitor !== undefined) {
      await monitor.start(synchronizer);
      opened.push(monitor);
    }
    const { waitSeconds } = config;
    return { synchronizer, log, waitSeconds, store, keys: ring.keys, monitorUrl: monitor?.url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openEnds(
  config: DomainServicesConfig,
  { log, env }: { readonly log: Logger; readonly env: Readonly<NodeJS.ProcessEnv> },
  opened: { close(): void | Promise<void> }[],
): Promise<{ ring: KeyRing; feed: FeedClient; writer: ManagedDomainWriter }> {
  const ring = await openKeyRing(config.keys, env);
  opened.push(ring);
  const feed = await openFeedClient(config.tenant, env);
  opened.push(feed);
  const { smbConf, python, organizationalUnit } = config.managedDomain;
  const writer = new SambaWriter({ smbConf, python, organizationalUnit, log });
  opened.push(writer);
  return { ring, feed, writer };
}

function tellOfKeys({ keys }: KeyRing, log: Logger): void {
  for (const { thumbprint, subject, notAfter, place } of keys) {
    log.info({ event: 'key-open', thumbprint, subject, notAfter, place }, 'a private key is open');
    if (notAfter.getTime() - Date.now() < SOON_MS) {
      log.warn({ event: 'certificate-ends', thumbprint, notAfter }, 'a certificate ends soon, or has ended: rotate it');
    }
  }
}

/**
 * What the domain would have done to it to be as the tenant is, all users compared. Neither domain nor state are changed, and
 * a running program is not in its way. @throws PhsyncError
 */
export async function rehearse(
  config: DomainServicesConfig,
  { log, env = process.env, signal }: CreateOptions & { readonly signal: AbortSignal },
): Promise<Counts & { readonly domain: string; readonly toDelete: number }> {
  const opened: { close(): void | Promise<void> }[] = [];
  try {
    const { ring, feed, writer } = await openEnds(config, { log, env }, opened);
    const domain = await writer.open();
    const left = new Set(domain.users);
    const counts = noCounts();
    let isUnchecked = false;
    let cookie: string | undefined;
    for (let more = true; more && !signal.aborted; ) {
      const page = await feed.page({ cookie, signal });
      checkDomain(page.domain, domain);
      const options = { writer, attempts: () => 0, counts, log, dryRun: true };
      for await (const { opened } of openedBatches(page.value, ring.unwrap)) {
        const { failed, seen, unchecked } = await applyBatch(opened, options);
        if (unchecked > 0 && !isUnchecked) tellUnchecked(log);
        isUnchecked ||= unchecked > 0;
        for (const id of seen) left.delete(id);
        for (const { objectId, code, reason } of failed) log.warn({ event: 'would-fail', objectId, code }, reason);
      }
      ({ cookie, more } = page);
    }
    return { ...counts, domain: domain.dnsDomain, toDelete: left.size };
  } finally {
    for (const each of opened.reverse()) await each.close();
  }
}
