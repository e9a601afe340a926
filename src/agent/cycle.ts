/**
 * One cycle of one connector: the retry queue, then everything that changed since the cookie. Pulling, hashing and
 * sending overlap; a page's cookie is stored only when all its objects, and those of all pages before, are settled.
 */

import type { Logger } from 'pino';
import { PhsyncError } from '../hasher/errors.js';
import type { Hasher } from '../hasher/types.js';
import { guidFromText, guidToText } from '../protocol/dtyp/guid.js';
import type { Clock } from './clock.js';
import { type DecisionContext, decide } from './decide.js';
import { deletesUser, deletionThreshold, tooManyDeletions } from './deletions.js';
import type { EventSink } from './events/event.js';
import { Lane } from './lane.js';
import type { Link } from './link.js';
import { type Scope, UnseenOus } from './scope.js';
import { SeenFilter } from './seen-filter.js';
import type { DirectoryObject, DirectoryPage, DirectorySource } from './source.js';
import { type CycleCounts, noCounts, Outcome, type RetryRow } from './state/rows.js';
import type { ConnectorState } from './state/store.js';
import { deriveUnit, type Item, type OutcomeHook, provisionUnit, recordUnit, sendUnit, type Unit } from './unit.js';
import { type QueueChange, tellQueueChanges } from './unit-events.js';

/** Units under way at the same time: one each being hashed, provisioned, sent and recorded. */
const UNITS_IN_FLIGHT = 4;
/** Pages are cut so far: what is under way decides how much memory a cycle takes. */
const MAX_UNIT = 1000;
/** Objects of the retry queue that are read and sent together. */
const RETRY_UNIT = 200;
/** What a directory that goes on serving says of one object. */
const OBJECT_REFUSALS: ReadonlySet<string> = new Set(['dc-access-denied', 'dc-replication-failed']);
/** Where users lie. */
const CONTAINER_CLASSES: ReadonlySet<string> = new Set(['organizationalUnit', 'container']);

export interface CycleOptions {
  readonly source: DirectorySource;
  readonly scope: Scope;
  readonly state: ConnectorState;
  readonly link: Link;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventSink;
  /** Aborted: no more is pulled, what is under way is settled, and the cycle ends early without an error. */
  readonly signal: AbortSignal;
  /** Everything from the beginning, acknowledged or not. */
  readonly full?: boolean;
  /** Whatever the tenant's threshold of accidental deletions. */
  readonly allowDeletions?: boolean;
  /** Of each object as its outcome is written down, inside the transaction. */
  readonly onOutcome?: OutcomeHook;
  /** After each page; `total` as the source knows it. */
  readonly onProgress?: (counts: Readonly<CycleCounts>, total: number | undefined) => void;
}

/** Rejects with the first failure of source, hasher, tenant or state; what was settled until then stays settled. */
export async function runCycle(options: CycleOptions): Promise<CycleCounts> {
  return new Cycle(options).run();
}

class Cycle {
  readonly #options: CycleOptions;
  readonly #counts = noCounts();
  readonly #provisioning = new Lane();
  readonly #sending = new Lane();
  readonly #recording = new Lane();
  readonly #running = new Set<Promise<void>>();
  /** GUIDs (as text) under way: an object that comes again waits for its first coming, whose outcome decides. */
  readonly #busy = new Set<string>();
  /** Where the state is empty at the start, looking for rows in vain would take a tenth of the time. */
  #seen: SeenFilter | undefined;
  #failure: { readonly cause: unknown } | undefined;
  #containerMoved = false;
  #recovering = false;
  /** Set where the whole directory is looked at. */
  #unseenOus: UnseenOus | undefined;
  #deletions = 0;
  #deletionThreshold = Number.POSITIVE_INFINITY;
  #total: number | undefined;

  constructor(options: CycleOptions) {
    this.#options = options;
  }

  async run(): Promise<CycleCounts> {
    const { state, scope, source, clock, signal, full, log, link, allowDeletions } = this.#options;
    const { tenantId } = link.company;
    if (!full && state.tenantId !== undefined && state.tenantId !== tenantId) {
      throw otherTenant(state.tenantId, tenantId);
    }
    // Moved OUs ('') are nobody's slip in the configuration.
    if (full || (state.scopeDigest !== '' && state.scopeDigest !== scope.digest)) await this.#checkScope();
    this.#recovering = state.running;
    this.#seen = state.empty ? new SeenFilter() : undefined;
    state.transaction(() => {
      state.running = true;
      // From the first user on; a state that changes tenants does so only at the end of a full cycle.
      state.tenantId ??= tenantId;
      const rulesChanged = state.scopeDigest !== undefined && state.scopeDigest !== scope.digest;
      if (rulesChanged) log.info('the scope rules changed, or an OU moved: looking at every object again');
      if (full || rulesChanged) state.cookie = undefined;
      // Somebody changed the rules, which moved OUs ('') do not say.
      if (rulesChanged && state.scopeDigest !== '') state.deletions = 0;
      state.scopeDigest = scope.digest;
    });
    this.#unseenOus = state.cookie === undefined ? new UnseenOus(scope.rules) : undefined;
    this.#deletions = state.deletions;
    if (!allowDeletions) {
      const { preventAccidentalDeletion } = link.company.dirSyncConfiguration;
      this.#deletionThreshold = deletionThreshold(preventAccidentalDeletion, () => state.users + state.deletions);
    }
    try {
      if (state.retryQueue.size > 0) await this.#retry();
      for await (const page of source.pages(state.cookie, signal)) {
        await this.#takePage(page);
        if (signal.aborted) break;
      }
    } catch (cause) {
      if (!signal.aborted) this.#failure ??= { cause };
    }
    // After a failure too: what is under way may still be settled.
    await Promise.all(this.#running);
    this.#throwIfFailed();
    state.transaction(() => {
      // Stopped before it has seen everything, it leaves the rest of making up for the one cut off to the next.
      state.running = signal.aborted && this.#recovering;
      if (signal.aborted) return;
      state.tenantId = tenantId;
      state.deletions = 0;
      state.fullSyncAt ??= clock.now();
    });
    if (!signal.aborted) {
      for (const ou of this.#unseenOus?.names ?? []) {
        log.warn({ ou }, 'the scope names an OU of which the directory has nothing: is its name right?');
      }
    }
    return this.#counts;
  }

  /** A mistyped OU would take every user of it out of the tenant: it is asked for before anything is done. */
  async #checkScope(): Promise<void> {
    const { scope, source } = this.#options;
    // The simulated directory has users and no OUs.
    if (source.kind === 'lab') return;
    const { include, exclude } = scope.rules;
    for (const dn of [...include, ...exclude]) {
      const { objects } = await source.object({ dn });
      if (objects.length > 0) continue;
      throw new PhsyncError(
        'scope-unknown',
        `the scope names ${dn}, which ${source.description} does not have: nothing was sent or deleted`,
        { facts: { dn } },
      );
    }
  }

  async #retry(): Promise<void> {
    const { state, clock, signal } = this.#options;
    const now = clock.now();
    const read = (last?: RetryRow) => state.retryQueue.due(now, last, RETRY_UNIT);
    for (let rows = read(); rows.length > 0; rows = read(rows.at(-1))) {
      const items: Item[] = [];
      let sessionKeys: readonly Uint8Array[] = [];
      for (const { guid } of rows) {
        if (signal.aborted) return;
        this.#busy.add(guidToText(guid));
        const page = await this.#read(guid);
        if ('failure' in page) {
          items.push(page);
          continue;
        }
        sessionKeys = page.sessionKeys;
        const object = page.objects[0] ?? goneObject(guid);
        const item = this.#decide(object, guid, { ...this.#waiting(), fetched: true });
        if (item !== undefined) items.push(item);
      }
      await this.#start({ items, sessionKeys }, undefined);
    }
  }

  async #takePage(page: DirectoryPage): Promise<void> {
    const { state } = this.#options;
    this.#total = page.total ?? this.#total;
    let { sessionKeys } = page;
    let items: Item[] = [];
    const usual = this.#context(this.#options.full === true);
    const waiting = this.#waiting();
    for (const object of page.objects) {
      if (this.#busy.has(object.guid)) {
        await this.#start({ items, sessionKeys }, undefined);
        items = [];
        await Promise.all(this.#running);
      }
      this.#unseenOus?.note(object.dn);
      this.#containerMoved ||= await this.#isMovedContainer(object);
      const guid = guidFromText(object.guid);
      const context = state.retryQueue.attempts(guid) > 0 ? waiting : usual;
      let item = this.#decide(object, guid, context);
      if (item === undefined) {
        const fetched = await this.#read(guid);
        if ('failure' in fetched) {
          item = fetched;
        } else {
          // The newest list has every key of the connection, those of this page's envelopes too.
          sessionKeys = fetched.sessionKeys;
          // An object that is gone by now comes once more as a deleted one.
          const whole = fetched.objects[0];
          if (whole === undefined) continue;
          item = this.#decide(whole, guid, { ...context, fetched: true });
        }
      }
      if (
        item === undefined ||
        (item.decision.kind === 'pass' && !item.decision.inScope && state.retryQueue.size === 0)
      )
        continue;
      items.push(item);
      this.#busy.add(object.guid);
      if (items.length >= MAX_UNIT) {
        await this.#start({ items, sessionKeys }, undefined);
        items = [];
      }
    }
    await this.#start({ items, sessionKeys }, page);
  }

  /**
   * A container was renamed or moved, and with it all that lies below, which replication does not say: these objects
   * did not change.
   */
  async #isMovedContainer({ guid, renamed, objectClass, rid, deleted }: DirectoryObject): Promise<boolean> {
    // A new one comes with its class; accounts are no containers.
    if (!renamed || objectClass !== undefined || rid !== 0 || deleted) return false;
    const page = await this.#read(guidFromText(guid));
    return 'failure' in page || CONTAINER_CLASSES.has(page.objects[0]?.objectClass ?? '');
  }

  /**
   * One object as it is now; where the directory refuses this object alone, an item for the retry queue, so that it
   * holds up nobody else.
   */
  async #read(guid: Uint8Array): Promise<DirectoryPage | Item> {
    const { source, state } = this.#options;
    try {
      return await source.object({ guid: guidToText(guid) });
    } catch (error) {
      if (!(error instanceof PhsyncError && OBJECT_REFUSALS.has(error.code))) throw error;
      const known = state.find(guid);
      return {
        object: goneObject(guid),
        guid,
        known,
        decision: { kind: 'remember', row: known, inScope: false },
        cloudAnchor: known?.cloudAnchor ?? null,
        provisioned: false,
        acknowledged: false,
        failure: { outcome: Outcome.error, reason: error.message, code: error.code, lasting: false },
      };
    }
  }

  /** Undefined: the object must be read on its own. */
  #decide(object: DirectoryObject, guid: Uint8Array, context: DecisionContext): Item | undefined {
    const mayBeKnown = this.#seen === undefined || this.#seen.addAndTell(guid);
    const known = mayBeKnown ? this.#options.state.find(guid) : undefined;
    const decision = decide(object, known, context);
    if (decision.kind === 'fetch') return undefined;
    return {
      object,
      guid,
      known,
      decision,
      cloudAnchor: known?.cloudAnchor ?? null,
      provisioned: decision.kind === 'sync' && !decision.provision,
      acknowledged: false,
      failure: undefined,
    };
  }

  #context(force: boolean): DecisionContext {
    const { scope, source } = this.#options;
    return { scope, domain: source.domain, force, recovering: this.#recovering, fetched: false };
  }

  /** For an object of the retry queue, which leaves the queue with all that it waits for or not at all. */
  #waiting(): DecisionContext {
    return { ...this.#context(true), recovering: true };
  }

  /**
   * Sends the unit on its way, waiting for a free place first. `page`: the unit is the last of it.
   * @throws PhsyncError `too-many-deletions`: nothing of this unit was sent
   */
  async #start(unit: Unit, page: DirectoryPage | undefined): Promise<void> {
    if (unit.items.length === 0 && page === undefined) return;
    while (this.#running.size >= UNITS_IN_FLIGHT) await Promise.race(this.#running);
    this.#throwIfFailed();
    const due = unit.items.filter(deletesUser).length;
    if (due > 0 && this.#deletions + due > this.#deletionThreshold) {
      throw tooManyDeletions(this.#deletions, due, this.#deletionThreshold, this.#unseenOus?.names ?? []);
    }
    this.#deletions += due;
    const settled = this.#settle(unit, page)
      .catch((cause: unknown) => {
        this.#failure ??= { cause };
      })
      .finally(() => {
        this.#running.delete(settled);
        for (const { object } of unit.items) this.#busy.delete(object.guid);
      });
    this.#running.add(settled);
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.cause;
  }

  /** Takes its places in the lanes before anything is awaited, so that units keep their order in each. */
  #settle(unit: Unit, page: DirectoryPage | undefined): Promise<void> {
    const { hasher, link, source, state, clock, events, onProgress, onOutcome } = this.#options;
    const seen = page?.objects.length ?? 0;
    const containerMoved = this.#containerMoved;
    const deriving = deriveUnit(unit, hasher);
    // Awaited below, which may be after it has failed.
    deriving.catch(() => undefined);
    const provisioned = this.#provisioning.run(() => provisionUnit(unit, link, source.domain));
    const sent = this.#sending.run(async () => {
      const [derived] = await Promise.all([deriving, provisioned]);
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
          if (containerMoved) state.scopeDigest = '';
        }
      });
      tellQueueChanges(changes, events);
      if (page !== undefined) {
        this.#counts.pages++;
        this.#counts.seen += seen;
        onProgress?.(this.#counts, this.#total);
      }
    });
    // After a failure elsewhere too, nothing of it may reach the tenant any more once the cycle has ended.
    return Promise.allSettled([deriving, provisioned, sent]).then(() => recorded);
  }
}

/** What is known of an object that the directory no longer has, or does not show: its GUID. */
function goneObject(guid: Uint8Array): DirectoryObject {
  return {
    guid: guidToText(guid),
    dn: '',
    sid: undefined,
    rid: 0,
    deleted: true,
    objectClass: undefined,
    sAMAccountName: undefined,
    userPrincipalName: undefined,
    displayName: undefined,
    givenName: undefined,
    sn: undefined,
    mail: undefined,
    userAccountControl: undefined,
    pwdLastSet: undefined,
    accountExpires: undefined,
    unicodePwd: undefined,
    passwordVersion: undefined,
    passwordChanged: undefined,
  };
}

function otherTenant(known: string, found: string): PhsyncError {
  return new PhsyncError(
    'tenant-changed',
    `the agent's state belongs to the tenant ${known}, and this is ${found}, which was told nothing yet: run once with ` +
      '--full to send it everything, or give it a stateDir of its own',
    { facts: { known, found } },
  );
}
