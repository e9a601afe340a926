/** The line on which units of work go through hasher, tenant and state, overlapping and each in its order. */

import type { CycleOptions } from './cycle-options.js';
import { deletesUser, tooManyDeletions } from './deletions.js';
import type { WantedKeys } from './domain-services/standing.js';
import { anchorOf, type Item } from './item.js';
import { Lane } from './lane.js';
import type { DirectoryPage } from './source.js';
import type { CycleCounts } from './state/rows.js';
import { deriveUnit, provisionUnit, recordUnit, sealUnit, sendUnit, type Unit } from './unit.js';
import { type QueueChange, tellQueueChanges } from './unit-events.js';

/** Units under way at the same time: one each being hashed, provisioned, sent and recorded. */
const UNITS_IN_FLIGHT = 4;

export interface Deletions {
  /** Due since the last cycle that came to its end. */
  due: number;
  readonly threshold: number;
  /** OUs of the scope of which nothing was seen. */
  readonly unseenOus: () => readonly string[];
}

export class UnitLine {
  readonly #options: CycleOptions;
  readonly #counts: CycleCounts;
  readonly #deletions: Deletions;
  readonly #keys: WantedKeys | undefined;
  readonly #provisioning = new Lane();
  readonly #sending = new Lane();
  readonly #recording = new Lane();
  readonly #running = new Set<Promise<void>>();
  readonly #hasPeers: boolean;
  #failure: { readonly cause: unknown } | undefined;
  /** GUIDs (as text) under way: an object that comes again waits for its first coming, whose outcome decides. */
  readonly busy = new Set<string>();
  /** As the source knows it. */
  total: number | undefined;

  constructor(options: CycleOptions, counts: CycleCounts, deletions: Deletions, keys: WantedKeys | undefined) {
    this.#options = options;
    this.#counts = counts;
    this.#deletions = deletions;
    this.#keys = keys;
    this.#hasPeers = options.state.hasPeers;
  }

  /**
   * Sends the unit on its way, waiting for a free place first. `page`: the unit is the last of it. `restart`: the next
   * cycle is to look at every object again.
   * @throws PhsyncError `too-many-deletions`: nothing of this unit was sent
   */
  async start(unit: Unit, page: DirectoryPage | undefined, restart: boolean): Promise<void> {
    if (unit.items.length === 0 && page === undefined) return;
    while (this.#running.size >= UNITS_IN_FLIGHT) await Promise.race(this.#running);
    this.throwIfFailed();
    const deletions = this.#deletions;
    const due = unit.items.filter(deletesUser).length;
    if (due > 0 && deletions.due + due > deletions.threshold) {
      throw tooManyDeletions(deletions.due, due, deletions.threshold, deletions.unseenOus());
    }
    deletions.due += due;
    const settled = this.#settle(unit, page, restart)
      .catch((cause: unknown) => this.fail(cause))
      .finally(() => {
        this.#running.delete(settled);
        for (const item of unit.items) {
          this.busy.delete(item.object.guid);
          if (this.#isShared(item)) this.#options.state.claims.release(anchorOf(item), this);
        }
      });
    this.#running.add(settled);
  }

  /** Resolves when all that was started is settled, or has failed. */
  async drain(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** The first failure counts. */
  fail(cause: unknown): void {
    this.#failure ??= { cause };
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.cause;
  }

  /**
   * Undefined: nobody else has the item's source anchor under way, and nobody gets to before this item is settled.
   * Otherwise resolves when it is worth deciding anew.
   */
  claim(item: Item): Promise<void> | undefined {
    return this.#isShared(item) ? this.#options.state.claims.claim(anchorOf(item), this) : undefined;
  }

  releaseClaims(): void {
    this.#options.state.claims.releaseAll(this);
  }

  /** Whether another object may tell the tenant of the same user. */
  #isShared({ decision, known }: Item): boolean {
    if (decision.kind !== 'sync' && decision.kind !== 'delete') return false;
    if (this.#hasPeers) return true;
    return ((decision.kind === 'sync' ? decision.row : known)?.sourceAnchor ?? null) !== null;
  }

  /** Takes its places in the lanes before anything is awaited, so that units keep their order in each. */
  #settle(unit: Unit, page: DirectoryPage | undefined, restart: boolean): Promise<void> {
    const { hasher, sealer, link, source, state, clock, events, onProgress, onOutcome } = this.#options;
    const seen = page?.objects.length ?? 0;
    const deriving = deriveUnit(unit, hasher);
    const sealing = sealUnit(unit, sealer, this.#keys);
    // Awaited below, which may be after they have failed.
    for (const each of [deriving, sealing]) each.catch(() => undefined);
    const provisioned = this.#provisioning.run(() => provisionUnit(unit, link, source.domain));
    const sent = this.#sending.run(async () => {
      const [derived] = await Promise.all([deriving, sealing, provisioned]);
      await sendUnit(unit, derived, link, new Date(clock.now()), events);
    });
    const recorded = this.#recording.run(async () => {
      await sent;
      let changes: readonly QueueChange[] = [];
      state.transaction(() => {
        changes = recordUnit(unit, state, this.#counts, clock.now(), onOutcome);
        const deleted = unit.items.filter((item) => deletesUser(item) && item.failure === undefined).length;
        if (deleted > 0) state.deletions += deleted;
        if (page !== undefined) {
          state.cookie = page.cookie;
          // No rules have this digest: the next cycle looks at every object again.
          if (restart) state.scopeDigest = '';
        }
      });
      tellQueueChanges(changes, events);
      if (page !== undefined) {
        this.#counts.pages++;
        this.#counts.seen += seen;
        onProgress?.(this.#counts, this.total);
      }
    });
    // After a failure elsewhere too, nothing of it may reach the tenant any more once the cycle has ended.
    return Promise.allSettled([deriving, sealing, provisioned, sent]).then(() => recorded);
  }
}
