/** A unit that is being put together: each object is decided, claims what it needs, and waits where it is under way already. */

import { PhsyncError } from '../hasher/errors.js';
import { guidToText } from '../protocol/dtyp/guid.js';
import { decide } from './decide.js';
import type { DecisionContext } from './decision.js';
import { type Item, newItem } from './item.js';
import { goneObject } from './shown-object.js';
import type { DirectoryObject, DirectoryPage, DirectorySource, ReadOptions } from './source.js';
import type { ConnectorState } from './state/connector-state.js';
import { Outcome } from './state/rows.js';
import type { UnitLine } from './unit-line.js';

/** What a directory that goes on serving says of one object. */
const OBJECT_REFUSALS: ReadonlySet<string> = new Set(['dc-access-denied', 'dc-replication-failed']);

/** Why an object could not be read. */
export interface ReadRefusal {
  readonly reason: string;
  readonly code: string;
}

export interface DraftOptions {
  readonly source: DirectorySource;
  readonly state: ConnectorState;
  readonly signal: AbortSignal;
  readonly line: UnitLine;
  /** Of an object that is read on its own. */
  readonly reading: ReadOptions;
}

export class Draft {
  readonly #options: DraftOptions;
  #items: Item[] = [];
  /** Of the connection that the objects came by. */
  sessionKeys: readonly Uint8Array[];

  constructor(options: DraftOptions, sessionKeys: readonly Uint8Array[] = []) {
    this.#options = options;
    this.sessionKeys = sessionKeys;
  }

  get items(): readonly Item[] {
    return this.#items;
  }

  /** False: it takes waiting, or a read of its own. */
  addNow(object: DirectoryObject, guid: Uint8Array, context: DecisionContext): boolean {
    const item = this.#decide(object, guid, context);
    if (item === undefined || this.#options.line.claim(item) !== undefined) return false;
    this.#push(item);
    return true;
  }

  async addLater(shown: DirectoryObject, guid: Uint8Array, usual: DecisionContext): Promise<void> {
    await this.waitFor(shown.guid);
    for (;;) {
      let context = usual;
      let item = this.#decide(shown, guid, context);
      if (item === undefined) {
        const read = await readObject(this.#options, guid);
        if ('reason' in read) {
          item = this.#unread(guid, read);
        } else {
          // The newest list has every key of the connection, those of this page's envelopes too.
          this.sessionKeys = read.sessionKeys;
          // An object that is gone by now comes once more as a deleted one.
          const whole = read.objects[0];
          if (whole === undefined) return;
          context = { ...context, fetched: true, pwdLastSetCame: shown.pwdLastSet !== undefined };
          item = this.#decide(whole, guid, context, shown);
        }
      }
      if (item === undefined) return;
      const taken = this.#options.line.claim(item);
      if (taken === undefined) {
        this.#push(item);
        return;
      }
      await this.flush();
      await taken;
    }
  }

  /** One that could not be read goes to the retry queue; all else of it stays as it is. */
  async addUnread(guid: Uint8Array, why: ReadRefusal): Promise<void> {
    await this.waitFor(guidToText(guid));
    this.#push(this.#unread(guid, why));
  }

  /** An object that comes again waits for its first coming, whose outcome decides. */
  async waitFor(guid: string): Promise<void> {
    const { line } = this.#options;
    if (!line.busy.has(guid)) return;
    await this.flush();
    await line.drain();
  }

  /** Sends what is in it; more may follow. */
  async flush(): Promise<void> {
    const { sessionKeys } = this;
    const items = this.#items;
    this.#items = [];
    await this.#options.line.start({ items, sessionKeys }, undefined, false);
  }

  #push(item: Item): void {
    const { decision } = item;
    const { state, line } = this.#options;
    if (decision.kind === 'pass' && !decision.inScope && state.retryQueue.size === 0) return;
    this.#items.push(item);
    line.busy.add(item.object.guid);
  }

  #unread(guid: Uint8Array, { reason, code }: ReadRefusal): Item {
    const known = this.#options.state.find(guid);
    const object = goneObject(guid);
    const refusal = { outcome: Outcome.error, reason, code, lasting: false };
    return newItem(object, guid, object, known, { kind: 'remember', row: known, inScope: false, refusal });
  }

  /** Undefined: the object must be read on its own. */
  #decide(
    object: DirectoryObject,
    guid: Uint8Array,
    context: DecisionContext,
    shown: DirectoryObject = object,
  ): Item | undefined {
    const known = this.#options.state.find(guid);
    const decision = decide(object, known, context);
    if (decision.kind === 'fetch') return undefined;
    return newItem(object, guid, shown, known, decision);
  }
}

/** One object as it is now; or why the directory refuses this object alone, so that it holds up nobody else. */
export async function readObject(
  { source, signal, reading }: DraftOptions,
  guid: Uint8Array,
): Promise<DirectoryPage | ReadRefusal> {
  try {
    return await source.object({ guid: guidToText(guid) }, signal, reading);
  } catch (error) {
    if (!(error instanceof PhsyncError && OBJECT_REFUSALS.has(error.code))) throw error;
    return { reason: error.message, code: error.code };
  }
}
