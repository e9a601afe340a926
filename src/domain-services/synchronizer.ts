/**
 * The work itself: a page of the feed is opened, written into the managed domain and settled in the state, in this order,
 * so that a program that ends anywhere begins again where nothing is lost, and does nothing twice that shows.
 */

import type { Logger } from 'pino';
import { PhsyncError } from '../hasher/errors.js';
import type { FeedChange, FeedPage } from '../provisioning/domain-services-feed.js';
import { applyBatch, type BatchResult, describeFailure, tellUnchecked } from './apply-batch.js';
import type { FeedClient } from './feed/feed-client.js';
import { areHeld, type HeldDeletions } from './held-deletions.js';
import type { KeyRing } from './keys/key-ring.js';
import { type MissingKey, missingKeys, tellMissing } from './keys/missing-keys.js';
import { type Counts, noCounts, type Observer } from './observer.js';
import { type OpenedBatch, openedBatches } from './open-batch.js';
import type { StateStore } from './state/store.js';
import type { ManagedDomain, ManagedDomainWriter } from './writer.js';

export interface SynchronizerOptions {
  readonly feed: FeedClient;
  readonly keys: Pick<KeyRing, 'keys' | 'unwrap'>;
  readonly writer: ManagedDomainWriter;
  readonly store: StateStore;
  readonly log: Logger;
  readonly observer: Observer;
  readonly deletionThreshold: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface PageOptions {
  readonly waitSeconds: number;
  readonly signal: AbortSignal;
  readonly allowDeletions: boolean;
}

export interface PageResult {
  /** There is another page at once. */
  readonly more: boolean;
  readonly counts: Readonly<Counts>;
}

/** Asked of the tenant at once; where the program is killed, so many at most are compared again. */
const PAGE = 1000;
/** Sealed as they came, in memory alone. */
const MAX_HELD = 2000;
const DUE_AT_ONCE = 500;
/** The whole feed is read for those who wait and are not held at most so often. */
const REREAD_MS = 10 * 60_000;
/** A key that cannot be used now, or whose PIN was refused when its token was to be opened anew. */
const KEY_FAILURES: ReadonlySet<string> = new Set(['domain-services-key-unavailable', 'config-key']);
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** @throws PhsyncError `domain-services-wrong-domain` */
export function checkDomain({ name }: FeedPage['domain'], { dnsDomain }: ManagedDomain): void {
  if (name.toLowerCase() === dnsDomain.toLowerCase()) return;
  throw new PhsyncError(
    'domain-services-wrong-domain',
    `the tenant's Domain Services is for ${name}, and this is a domain controller of ${dnsDomain}`,
    { facts: { tenant: name, domain: dnsDomain } },
  );
}

export class Synchronizer {
  readonly #options: SynchronizerOptions;
  #domain: ManagedDomain | undefined;
  #settings: FeedPage['domain'] | undefined;
  /** What those who wait came with last. */
  readonly #held = new Map<string, FeedChange>();
  /** undefined: the queue of an earlier run, of which nothing is held, was not gone through yet. */
  #rereadAt: number | undefined;
  #isUnchecked = false;
  /** It was what the tenant answered last. */
  #isDisabled = false;
  /** What was told last of keys that are missing. */
  #missingTold = '';
  /** Ends a question that the tenant holds. */
  #waiting = new AbortController();
  /** How often there were other keys. */
  #keyChanges = 0;
  #heldDeletions: (HeldDeletions & { readonly ids: readonly string[] }) | undefined;

  constructor(options: SynchronizerOptions) {
    this.#options = options;
  }

  get domain(): ManagedDomain | undefined {
    return this.#domain;
  }

  /** Name and security settings of the managed domain, as the tenant has them; undefined before the first page. */
  get tenantDomain(): FeedPage['domain'] | undefined {
    return this.#settings;
  }

  /** The tenant gave no digests of the blobs that came last. */
  get isUnchecked(): boolean {
    return this.#isUnchecked;
  }

  get heldDeletions(): HeldDeletions | undefined {
    if (this.#heldDeletions === undefined) return undefined;
    const { gone, all } = this.#heldDeletions;
    return { gone, all };
  }

  /** Keys that the tenant's certificates need and that are not here; none before the first page. */
  get missingKeys(): readonly MissingKey[] {
    const { keys, now } = this.#options;
    return missingKeys(this.#settings?.certificates ?? [], keys.keys, now());
  }

  /** There are other keys: who waits is looked at again, and what is missing is told anew. */
  keysChanged(): void {
    this.#keyChanges += 1;
    this.#rereadAt = undefined;
    this.#missingTold = '';
    this.#tellMissing();
    this.#waiting.abort();
  }

  /** Opens the domain where it is not open. @throws PhsyncError `managed-domain-…` */
  async open(): Promise<ManagedDomain> {
    if (this.#domain !== undefined) return this.#domain;
    const { store, log } = this.#options;
    const domain = await this.#atDomain(() => this.#options.writer.open());
    const { domainSid, invocationId } = store.sync;
    if (domainSid !== domain.sid || invocationId !== domain.invocationId) {
      if (domainSid !== undefined) {
        const what =
          domainSid === domain.sid
            ? 'the domain controller was restored, or is another one of its domain'
            : 'this is another domain than before';
        log.warn({ event: 'domain-changed', dc: domain.dc, domain: domain.dnsDomain }, `${what}: all is read anew`);
      }
      store.beginAll();
      store.setDomain(domain.sid, domain.invocationId);
    }
    this.#domain = domain;
    log.info({ event: 'domain-open', dc: domain.dc, domain: domain.dnsDomain }, 'the managed domain is open');
    return domain;
  }

  /** Reads the whole feed from now on. */
  beginAll(): void {
    this.#options.store.beginAll();
    this.#heldDeletions = undefined;
  }

  /** One page, from the tenant to the disk of the domain controller and the state. @throws PhsyncError */
  async page({ waitSeconds, signal, allowDeletions }: PageOptions): Promise<PageResult> {
    const { store, now } = this.#options;
    await this.open();
    const { cookie } = store.sync;
    // The first answer is to say whether the tenant is there, and the last one of all that there is nothing behind it.
    const isAll = store.sync.readingAll && this.#heldDeletions === undefined;
    const isAtOnce = !this.#isDisabled && (isAll || this.#settings === undefined);
    const counts = noCounts();
    const page = await this.#askWaiting({
      cookie,
      limit: PAGE,
      waitSeconds: isAtOnce ? 0 : waitSeconds,
      signal,
    });
    if (page === undefined) return { more: true, counts };
    const changes = this.#valid(page.value);
    // Where there is nothing to write, it is found out all the same that the domain is gone, or was put back from a backup.
    if (changes.length === 0) await this.#atDomain(() => this.#options.writer.apply([]));
    const isToItsEnd = await this.#applyAll(changes, counts, { cookie: page.cookie, signal });
    // Who came back while all was read stands behind it, among the changes.
    const more = !isToItsEnd || page.more || (isAll && changes.length > 0);
    if (!more) {
      if (store.sync.readingAll) await this.#endAll(allowDeletions, counts, signal);
      store.completed(now());
    }
    this.#options.observer.counted(counts);
    return { more, counts };
  }

  /** Those whose time for another try has come. @throws PhsyncError */
  async retry(signal: AbortSignal): Promise<Readonly<Counts>> {
    const { store, now } = this.#options;
    await this.open();
    const counts = noCounts();
    const due = store.due(now(), DUE_AT_ONCE);
    const held = due.flatMap(({ objectId }) => this.#held.get(objectId) ?? []);
    await this.#applyAll(held, counts, { isRetry: true, signal });
    // Nor is it asked of a tenant that is known to have them off, which is to hold a question until they are on.
    if (!signal.aborted && !this.#isDisabled) {
      const isFirst = this.#rereadAt === undefined;
      const isTime = isFirst || now() - this.#rereadAt! >= REREAD_MS;
      if (isFirst ? store.retryCount === 0 : !isTime || held.length === due.length) this.#rereadAt ??= now();
      else await this.#reread(signal, counts);
    }
    this.#options.observer.counted(counts);
    return counts;
  }

  async close(): Promise<void> {
    this.#domain = undefined;
    await this.#options.writer.close();
  }

  /** Undefined: there are other keys meanwhile, and who waits for them is to come first. */
  async #askWaiting(request: Parameters<FeedClient['page']>[0] & { readonly signal: AbortSignal }) {
    const { signal } = request;
    const waiting = new AbortController();
    this.#waiting = waiting;
    const stop = () => waiting.abort();
    if (signal.aborted) stop();
    // Not AbortSignal.any: each of its signals would stay with one that lives as long as the program (Node.js 20).
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await this.#ask({ ...request, signal: waiting.signal });
    } catch (error) {
      if (waiting.signal.aborted && !signal.aborted) return undefined;
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  async #ask(request: Parameters<FeedClient['page']>[0]): Promise<FeedPage> {
    const { feed, observer } = this.#options;
    try {
      const page = await feed.page(request);
      this.#isDisabled = false;
      observer.worked('tenant');
      this.#take(page.domain);
      return page;
    } catch (error) {
      if (error instanceof PhsyncError && error.code !== 'feed-aborted') {
        this.#isDisabled = error.code === 'feed-disabled';
        observer.failed('tenant', error.code, error.message);
      }
      throw error;
    }
  }

  /** @throws PhsyncError `domain-services-wrong-domain` */
  #take(of: FeedPage['domain']): void {
    checkDomain(of, this.#domain!);
    if (JSON.stringify(of.securitySettings) !== JSON.stringify(this.#settings?.securitySettings)) {
      this.#options.log.info({ event: 'security-settings', ...of.securitySettings }, 'security settings of the tenant');
    }
    this.#settings = of;
    this.#tellMissing();
  }

  #tellMissing(): void {
    const missing = this.missingKeys;
    const which = missing.map(({ thumbprint, isNewest }) => `${thumbprint} ${isNewest}`).join();
    if (which !== this.#missingTold) tellMissing(missing, this.#options.log);
    this.#missingTold = which;
  }

  #valid(changes: readonly FeedChange[]): FeedChange[] {
    return changes.filter(({ id }) => {
      if (GUID.test(id)) return true;
      this.#options.log.error(
        { event: 'no-object-id' },
        'the feed has an object whose id is no GUID; it is passed over',
      );
      return false;
    });
  }

  /** Batch by batch; the cookie moves with the last one. false: `signal` has ended it behind a batch that was not the last. */
  async #applyAll(
    changes: readonly FeedChange[],
    counts: Counts,
    {
      cookie,
      isRetry = false,
      signal,
    }: { readonly cookie?: string | undefined; readonly isRetry?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    const { store, now, keys, observer } = this.#options;
    let left = changes.length;
    try {
      for await (const batch of openedBatches(changes, keys.unwrap)) {
        left -= batch.changes.length;
        const result = await this.#apply(batch, counts, isRetry);
        store.settle({ ...result, cookie: left === 0 ? cookie : undefined, now: now() });
        if (signal?.aborted && left > 0) return false;
      }
    } catch (error) {
      if (error instanceof PhsyncError && KEY_FAILURES.has(error.code)) {
        observer.failed('keys', error.code, error.message);
      }
      throw error;
    }
    if (changes.length === 0 && cookie !== undefined) {
      store.settle({ cookie, seen: [], gone: [], done: [], failed: [], now: now() });
    }
    return true;
  }

  async #apply({ changes, opened }: OpenedBatch, counts: Counts, isRetry: boolean): Promise<BatchResult> {
    const { writer, store, log } = this.#options;
    const attempts = (objectId: string) => store.attempts(objectId);
    const result = await this.#atDomain(() => applyBatch(opened, { writer, attempts, counts, log }));
    if (result.unchecked > 0 && !this.#isUnchecked) tellUnchecked(log);
    // What has no blobs says nothing of it.
    const hasBlobs = changes.some((change) => 'credentials' in change && change.credentials !== null);
    if (hasBlobs) this.#isUnchecked = result.unchecked > 0;
    const failed = new Set(result.failed.map(({ objectId }) => objectId));
    for (const change of changes) {
      const id = change.id.toLowerCase();
      this.#held.delete(id);
      if (failed.has(id) && this.#held.size < MAX_HELD) this.#held.set(id, change);
    }
    for (const failure of result.failed) {
      const before = isRetry ? store.reason(failure.objectId) : undefined;
      const isKnown = before?.code === failure.code && before.reason === failure.reason;
      log[isKnown ? 'debug' : 'warn'](...describeFailure(failure));
    }
    return result;
  }

  /** What fails there as a whole closes it: it is opened anew, and may be another one by then. */
  async #atDomain<T>(work: () => Promise<T>): Promise<T> {
    const { observer, writer } = this.#options;
    try {
      const done = await work();
      observer.worked('domain');
      observer.worked('keys');
      return done;
    } catch (error) {
      if (error instanceof PhsyncError && error.code.startsWith('managed-domain-')) {
        observer.failed('domain', error.code, error.message);
        this.#domain = undefined;
        await writer.close();
      }
      throw error;
    }
  }

  /** The whole feed was read: whom it does not have, the domain shall not have. */
  async #endAll(allowDeletions: boolean, counts: Counts, signal: AbortSignal): Promise<void> {
    const { store, writer, deletionThreshold, log, now } = this.#options;
    // Until all of them are back: the others may be on their way.
    if (!allowDeletions && this.#heldDeletions?.ids.some((objectId) => !store.wasSeen(objectId))) return;
    const { users, invocationId } = await this.#atDomain(() => writer.open());
    if (invocationId !== this.#domain?.invocationId) {
      // Put back from a backup a moment ago: the next page opens it as such.
      await this.close();
      return;
    }
    const gone = users.filter((objectId) => !store.wasSeen(objectId));
    const held = { gone: gone.length, all: users.length };
    if (areHeld(held, { deletionThreshold, allowDeletions })) {
      this.#heldDeletions = { ...held, ids: gone };
      log.error(
        { event: 'deletions-held', gone: gone.length, users: users.length, deletionThreshold },
        `the tenant does not have ${gone.length} of the ${users.length} users of the managed domain: they are left as they are; ` +
          'if they are to be deleted, run phsync domain-services --once --allow-deletions',
      );
      return;
    }
    this.#heldDeletions = undefined;
    const deletions = gone.map((id) => ({ id, deleted: true as const }));
    if (!(await this.#applyAll(deletions, counts, { signal }))) return;
    store.endAll(now());
    log.info({ event: 'all-read', users: users.length - gone.length, deleted: gone.length }, 'the whole feed was read');
  }

  /** The queue holds ids only: what they stand for is read again, and nothing else of the feed is looked at. */
  async #reread(signal: AbortSignal, counts: Counts): Promise<void> {
    const { store, log, now } = this.#options;
    log.info({ event: 'reread', waiting: store.retryCount }, 'what waits in the retry queue is read again');
    const seen = new Set<string>();
    const keyChanges = this.#keyChanges;
    let cookie: string | undefined;
    for (let more = true; more; ) {
      const page = await this.#ask({ cookie, limit: PAGE, signal });
      const wanted = this.#valid(page.value).filter(({ id }) => store.isWaiting(id.toLowerCase()));
      for (const { id } of wanted) seen.add(id.toLowerCase());
      // A program that has begun anew says once what is the matter.
      if (!(await this.#applyAll(wanted, counts, { isRetry: this.#rereadAt !== undefined, signal }))) return;
      ({ cookie, more } = page);
    }
    // Who is not in the tenant any more: the feed itself tells of that, in its turn.
    const done = store
      .waiting(Number.MAX_SAFE_INTEGER)
      .flatMap(({ objectId }) => (seen.has(objectId) ? [] : [objectId]));
    store.settle({ seen: [], gone: [], done, failed: [], now: now() });
    // Whoever was read before other keys came is looked at once more.
    if (this.#keyChanges === keyChanges) this.#rereadAt = now();
  }
}
