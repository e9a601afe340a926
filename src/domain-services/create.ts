/** Puts the program together from its configuration: state, keys, feed, writer, monitor. */

import type { Logger } from 'pino';
import { fileOf, filesOpenToOthers } from '../config/open-files.js';
import { packageVersion } from '../config/version.js';
import { applyBatch, tellUnchecked } from './apply-batch.js';
import type { DomainServicesConfig } from './config.js';
import { type FeedClient, openFeedClient } from './feed/feed-client.js';
import { areHeld, type HeldDeletions } from './held-deletions.js';
import { type KeyRing, openKeyRing } from './keys/key-ring.js';
import { daysUntil, missingKeys, tellMissing } from './keys/missing-keys.js';
import { ReloadableKeys } from './keys/reloadable-keys.js';
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
  /**
   * Opens keys anew, in place of those in use, which stay where that does not work. @throws PhsyncError `config-key`,
   * `config-secret`, `domain-services-…`
   */
  reloadKeys(configs: DomainServicesConfig['keys']): Promise<void>;
  /** Where the monitor is. */
  readonly monitorUrl: string | undefined;
  close(): Promise<void>;
}

/** A certificate that ends so soon is told of; what is sealed for it can be opened after its end as well. */
const SOON_DAYS = 30;

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
    await tellOfKeys(ring, config, { log, env });
    const now = Date.now;
    const monitor =
      monitored && config.monitor !== undefined
        ? new Monitor({ config: config.monitor, version: packageVersion(), log, store, keys: () => ring.keys, now })
        : undefined;
    const synchronizer = new Synchronizer({
      feed,
      keys: ring,
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
    const reloadKeys = async (configs: DomainServicesConfig['keys']) => {
      await ring.replace(() => openKeyRing(configs, env));
      synchronizer.keysChanged();
      await tellOfKeys(ring, { ...config, keys: configs }, { log, env });
    };
    return { synchronizer, log, waitSeconds, store, keys: ring.keys, reloadKeys, monitorUrl: monitor?.url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openEnds(
  config: DomainServicesConfig,
  { log, env }: { readonly log: Logger; readonly env: Readonly<NodeJS.ProcessEnv> },
  opened: { close(): void | Promise<void> }[],
): Promise<{ ring: ReloadableKeys; feed: FeedClient; writer: ManagedDomainWriter }> {
  const ring = new ReloadableKeys(await openKeyRing(config.keys, env));
  opened.push(ring);
  const feed = await openFeedClient(config.tenant, env);
  opened.push(feed);
  const { smbConf, python, organizationalUnit } = config.managedDomain;
  const writer = new SambaWriter({ smbConf, python, organizationalUnit, log });
  opened.push(writer);
  return { ring, feed, writer };
}

async function tellOfKeys(
  { keys }: KeyRing,
  config: DomainServicesConfig,
  { log, env }: { readonly log: Logger; readonly env: Readonly<NodeJS.ProcessEnv> },
): Promise<void> {
  for (const { thumbprint, subject, notAfter, place } of keys) {
    log.info({ event: 'key-open', thumbprint, subject, notAfter, place }, 'a private key is open');
    const daysLeft = daysUntil(notAfter, Date.now());
    if (daysLeft < SOON_DAYS) {
      const facts = { event: 'certificate-ends', thumbprint, notAfter, daysLeft };
      log.warn(facts, 'a certificate ends soon, or has ended: rotate it');
    }
  }
  for (const { file, mode } of await filesOpenToOthers(secretFiles(config), env)) {
    const facts = { event: 'secret-file-open', file, mode };
    log.warn(facts, `${file} is open to other users of this machine (mode ${mode}): chmod 600, owned by root`);
  }
}

/** Secrets, and the keys that they open. */
function secretFiles({ tenant, keys }: DomainServicesConfig): readonly string[] {
  const { auth, proxy } = tenant;
  const references = [
    auth.clientSecret,
    ...(proxy?.password === undefined ? [] : [proxy.password]),
    ...keys.map(({ privateKey }) => ('file' in privateKey ? privateKey.passphrase : privateKey.pkcs11.pin)),
  ];
  const keyFiles = keys.flatMap(({ privateKey }) => ('file' in privateKey ? [privateKey.file] : []));
  return [...references.flatMap((reference) => fileOf(reference) ?? []), ...keyFiles];
}

/**
 * What the domain would have done to it to be as the tenant is, all users compared. Neither domain nor state are changed, and
 * a running program is not in its way. @throws PhsyncError
 */
export async function rehearse(
  config: DomainServicesConfig,
  {
    log,
    env = process.env,
    signal,
    allowDeletions,
  }: CreateOptions & { readonly signal: AbortSignal; readonly allowDeletions: boolean },
): Promise<{ readonly domain: string; readonly counts: Counts; readonly held: HeldDeletions | undefined }> {
  const opened: { close(): void | Promise<void> }[] = [];
  try {
    const { ring, feed, writer } = await openEnds(config, { log, env }, opened);
    await tellOfKeys(ring, config, { log, env });
    const domain = await writer.open();
    const left = new Set(domain.users);
    const counts = noCounts();
    let isUnchecked = false;
    let cookie: string | undefined;
    for (let more = true; more && !signal.aborted; ) {
      const page = await feed.page({ cookie, signal });
      checkDomain(page.domain, domain);
      if (cookie === undefined) tellMissing(missingKeys(page.domain.certificates ?? [], ring.keys, Date.now()), log);
      const options = { writer, attempts: () => 0, counts, log, dryRun: true };
      for await (const { opened } of openedBatches(page.value, ring.unwrap)) {
        const { failed, seen, gone, unchecked } = await applyBatch(opened, options);
        if (unchecked > 0 && !isUnchecked) tellUnchecked(log);
        isUnchecked ||= unchecked > 0;
        for (const id of [...seen, ...gone]) left.delete(id);
        for (const { objectId, code, reason } of failed) log.warn({ event: 'would-fail', objectId, code }, reason);
      }
      ({ cookie, more } = page);
    }
    // As they would be when all was read.
    const all = domain.users.length + counts.created - counts.deleted;
    const rule = { deletionThreshold: config.deletionThreshold, allowDeletions };
    const held = areHeld({ gone: left.size, all }, rule) ? { gone: left.size, all } : undefined;
    if (held === undefined) counts.deleted += left.size;
    return { domain: domain.dnsDomain, counts, held };
  } finally {
    for (const each of opened.reverse()) await each.close();
  }
}
