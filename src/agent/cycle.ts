/**
 * One cycle of one connector: the retry queue, then everything that changed since the cookie. Pulling, hashing and
 * sending overlap; a page's cookie is stored only when all its objects, and those of all pages before, are settled.
 */

import { guidFromText } from '../protocol/dtyp/guid.js';
import { DirSyncFeature } from '../provisioning/types.js';
import { type Beginning, beginCycle, checkTenant, noteDomainServices } from './begin-cycle.js';
import type { CycleOptions } from './cycle-options.js';
import type { DecisionContext } from './decision.js';
import { deletionThreshold } from './deletions.js';
import { wantedKeys } from './domain-services/standing.js';
import { Draft, type DraftOptions, readObject } from './draft.js';
import type { Item } from './item.js';
import { isGone, MISSING } from './missing-object.js';
import { UnseenOus } from './scope.js';
import { goneObject, isContainer, mayHaveMovedOthers } from './shown-object.js';
import type { DirectoryObject, DirectoryPage, ReadOptions } from './source.js';
import { type CycleCounts, noCounts, type RetryRow } from './state/rows.js';
import { UnitLine } from './unit-line.js';

/** Pages are cut so far: what is under way decides how much memory a cycle takes. */
const MAX_UNIT = 1000;
/** With their keys, objects are five times as large: 45 MiB less at the most, for a twentieth of the time (measured). */
const MAX_UNIT_WITH_KEYS = 500;
/** Objects that are read one by one and sent together. */
const READ_UNIT = 200;

/** Rejects with the first failure of source, hasher, tenant or state; what was settled until then stays settled. */
export async function runCycle(options: CycleOptions): Promise<CycleCounts> {
  const beginning = await beginCycle(options);
  const cycle = new Cycle(options, beginning);
  try {
    return await cycle.run();
  } finally {
    cycle.release();
  }
}

export type ObjectReference = { readonly guid: string } | { readonly dn: string };

/** `object`: as the directory has it, undefined where it has none; `item`: with what became of it, where it concerns us. */
export interface ObjectOutcome {
  readonly object: DirectoryObject | undefined;
  readonly item: Item | undefined;
}

/**
 * One object now, as a full synchronization would have it. Must not run while a cycle of the same connector sends: the
 * same user might be under way there.
 */
export async function runObject(options: CycleOptions, reference: ObjectReference): Promise<ObjectOutcome> {
  const { state, link } = options;
  checkTenant(state, link.company.tenantId);
  state.transaction(() => {
    state.tenantId = link.company.tenantId;
  });
  noteDomainServices(options);
  const cycle = new Cycle({ ...options, allowDeletions: true }, { full: false, onDemand: false, recovering: false });
  try {
    return await cycle.one(reference);
  } finally {
    cycle.release();
  }
}

class Cycle {
  readonly #options: CycleOptions;
  readonly #counts = noCounts();
  readonly #line: UnitLine;
  readonly #drafting: DraftOptions;
  readonly #usual: DecisionContext;
  /** For an object of the retry queue, which leaves the queue with all that it waits for or not at all. */
  readonly #waiting: DecisionContext;
  readonly #recovering: boolean;
  readonly #reading: ReadOptions;
  #containerMoved = false;
  /** Set where the whole directory is looked at. */
  #unseenOus: UnseenOus | undefined;

  constructor(options: CycleOptions, { full, onDemand, recovering }: Beginning) {
    const { state, scope, source, link, clock, allowDeletions, disableExpired = false } = options;
    const { dirSyncConfiguration, dirSyncFeatures } = link.company;
    const keys = wantedKeys(state.standing, link.domainServices);
    const wanted = keys?.kind === 'sealed' ? keys.offer : keys;
    this.#options = options;
    this.#reading = { supplementalCredentials: wanted?.kerberos === true };
    this.#recovering = recovering;
    this.#usual = {
      scope,
      domain: source.domain,
      force: full,
      full: onDemand,
      settledInPass: (guid) => state.settledSince(guidFromText(guid), state.sweepFrom),
      recovering,
      fetched: false,
      pwdLastSetCame: false,
      forceChange: (dirSyncFeatures & DirSyncFeature.EnableUserForcePasswordChangeOnLogon) !== 0,
      disableExpired,
      domainServices: wanted,
      now: clock.now(),
      peer: (anchor, guid) => state.peer(anchor, guid),
    };
    this.#waiting = { ...this.#usual, force: true, recovering: true };
    this.#unseenOus = state.cookie === undefined ? new UnseenOus(scope.rules) : undefined;
    const due = state.deletions;
    const deletions = {
      due,
      threshold: allowDeletions
        ? Number.POSITIVE_INFINITY
        : deletionThreshold(dirSyncConfiguration.preventAccidentalDeletion, () => state.users + due),
      unseenOus: () => this.#unseenOus?.names ?? [],
    };
    this.#line = new UnitLine(options, this.#counts, deletions, keys);
    this.#drafting = { source, state, signal: options.signal, line: this.#line, reading: this.#reading };
  }

  async run(): Promise<CycleCounts> {
    const { state, clock, signal, log, link } = this.#options;
    try {
      await this.#retry();
      await this.#checkExpiry();
      await this.#pull();
      if (this.#containerMoved && !signal.aborted) await this.#pullAgain();
      if (state.sweepFrom !== undefined && !signal.aborted) await this.#sweep(state.sweepFrom);
    } catch (cause) {
      if (!signal.aborted) this.#line.fail(cause);
    }
    // After a failure too: what is under way may still be settled.
    await this.#line.drain();
    this.#line.throwIfFailed();
    state.transaction(() => {
      // Stopped before it has seen everything, it leaves the rest of making up for the one cut off to the next.
      state.running = signal.aborted && this.#recovering;
      if (signal.aborted) return;
      const now = clock.now();
      state.deletions = 0;
      const { standing } = state;
      const isAnswered = link.domainServices.kind === 'on';
      if (isAnswered && standing.name === 'on' && (state.full || standing.fullAt === null)) {
        state.standing = { ...standing, fullAt: now };
      }
      state.full = false;
      state.sweepFrom = undefined;
      state.fullSyncAt ??= now;
      state.completedAt = now;
      state.settleKeys();
    });
    if (!signal.aborted) {
      for (const ou of this.#unseenOus?.names ?? []) {
        log.warn({ ou }, 'the scope names an OU of which the directory has nothing: is its name right?');
      }
    }
    return this.#counts;
  }

  async one(reference: ObjectReference): Promise<ObjectOutcome> {
    const { source, signal } = this.#options;
    const { objects, sessionKeys } = await source.object(reference, signal, this.#reading);
    const [object] = objects;
    if (object === undefined) return { object, item: undefined };
    const draft = new Draft(this.#drafting, sessionKeys);
    await draft.addLater(object, guidFromText(object.guid), { ...this.#waiting, fetched: true });
    const [item] = draft.items;
    await draft.flush();
    await this.#line.drain();
    this.#line.throwIfFailed();
    return { object, item };
  }

  release(): void {
    this.#line.releaseClaims();
  }

  async #retry(): Promise<void> {
    const { state, clock, signal } = this.#options;
    if (state.retryQueue.size === 0) return;
    const now = clock.now();
    const read = (last?: RetryRow) => state.retryQueue.due(now, last, READ_UNIT);
    for (let rows = read(); rows.length > 0 && !signal.aborted; rows = read(rows.at(-1))) {
      const guids = rows.map(({ guid }) => guid);
      await this.#readAll(guids, this.#waiting);
    }
  }

  /** By the clock: nothing changes in the directory when an account expires. */
  async #checkExpiry(): Promise<void> {
    const { state, clock, disableExpired = false } = this.#options;
    const now = clock.now();
    await this.#readEach((last) => state.expiring(now, disableExpired, last, READ_UNIT));
  }

  async #pull(): Promise<void> {
    const { source, state, signal, between } = this.#options;
    for await (const page of source.pages(state.cookie, signal, this.#reading)) {
      await this.#takePage(page);
      if (signal.aborted) break;
      if (between?.wanted()) {
        await this.#line.drain();
        this.#line.throwIfFailed();
        await between.run();
      }
    }
  }

  /** What lies below a container that moved has not changed and did not come: everything is looked at, now. */
  async #pullAgain(): Promise<void> {
    const { state, scope, log } = this.#options;
    await this.#line.drain();
    this.#line.throwIfFailed();
    log.info('an OU was moved or renamed: looking at every object again');
    this.#containerMoved = false;
    state.transaction(() => {
      state.cookie = undefined;
      state.scopeDigest = scope.digest;
    });
    this.#unseenOus = new UnseenOus(scope.rules);
    await this.#pull();
  }

  /** Users whom a pass over the whole directory has not shown are looked up, and are gone where they are not found. */
  async #sweep(since: number): Promise<void> {
    const { state } = this.#options;
    await this.#line.drain();
    this.#line.throwIfFailed();
    await this.#readEach((last) => state.unseen(since, last, READ_UNIT));
  }

  async #readEach(next: (last: Uint8Array | undefined) => Uint8Array[]): Promise<void> {
    const { signal } = this.#options;
    for (let guids = next(undefined); guids.length > 0 && !signal.aborted; guids = next(guids.at(-1))) {
      await this.#readAll(guids, this.#usual);
    }
  }

  /** Reads each object as it is now, and sends what becomes of them as one unit. */
  async #readAll(guids: readonly Uint8Array[], context: DecisionContext): Promise<void> {
    const { state, clock, signal } = this.#options;
    const draft = new Draft(this.#drafting);
    for (const guid of guids) {
      if (signal.aborted) return;
      const read = await readObject(this.#drafting, guid);
      if ('reason' in read) {
        await draft.addUnread(guid, read);
        continue;
      }
      draft.sessionKeys = read.sessionKeys;
      const [object] = read.objects;
      if (object === undefined && !isGone(guid, state, clock.now())) {
        await draft.addUnread(guid, MISSING);
        continue;
      }
      await draft.addLater(object ?? goneObject(guid), guid, { ...context, fetched: true });
    }
    await draft.flush();
  }

  async #takePage(page: DirectoryPage): Promise<void> {
    const { state } = this.#options;
    const maxUnit = this.#reading.supplementalCredentials ? MAX_UNIT_WITH_KEYS : MAX_UNIT;
    this.#line.total = page.total ?? this.#line.total;
    const draft = new Draft(this.#drafting, page.sessionKeys);
    for (const object of page.objects) {
      this.#unseenOus?.note(object.dn);
      if (mayHaveMovedOthers(object))
        this.#containerMoved = (await this.#isContainer(object.guid)) || this.#containerMoved;
      const guid = guidFromText(object.guid);
      // Of the retry queue it may be under way: once that is settled it is an object as others are.
      if (this.#line.busy.has(object.guid)) await draft.waitFor(object.guid);
      const context = state.retryQueue.attempts(guid) > 0 ? this.#waiting : this.#usual;
      if (!draft.addNow(object, guid, context)) await draft.addLater(object, guid, context);
      if (draft.items.length >= maxUnit) await draft.flush();
    }
    await this.#line.start(draft, page, this.#containerMoved);
  }

  /** What lies below a container that was renamed or moved is elsewhere too, which replication does not say. */
  async #isContainer(guid: string): Promise<boolean> {
    const page = await readObject(this.#drafting, guidFromText(guid));
    return 'reason' in page || isContainer(page.objects[0]);
  }
}
