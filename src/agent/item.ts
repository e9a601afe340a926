/** An object on its way through a unit. */

import type { Decision } from './decision.js';
import type { SealedKeys } from './domain-services/seal-unit.js';
import type { DirectoryObject } from './source.js';
import type { ObjectRow, OutcomeCode, RetryFailure } from './state/rows.js';
import { sourceAnchorOf } from './user-properties.js';

/** One object of a unit, with what was decided and what has become of it so far. */
export interface Item {
  readonly object: DirectoryObject;
  readonly guid: Uint8Array;
  /** What the page showed of it, where it was then read on its own. */
  readonly shown: DirectoryObject;
  readonly known: ObjectRow | undefined;
  readonly decision: Exclude<Decision, { kind: 'fetch' }>;
  /** The user's anchor in the tenant; null: the tenant does not have the user. */
  cloudAnchor: string | null;
  /** The tenant had the user who was deleted. */
  wasThere: boolean;
  /** The tenant has the properties that were sent. */
  provisioned: boolean;
  /** The tenant has the password that was sent, or a newer one. */
  acknowledged: boolean;
  /** What goes to Domain Services with the password; undefined: nothing. */
  keys: SealedKeys | undefined;
  /** Where the tenant (or the envelope) said no: goes to the retry queue with it. */
  failure: (RetryFailure & { readonly outcome: OutcomeCode }) | undefined;
}

/** An object that was decided upon, and of which nothing has been sent yet. */
export function newItem(
  object: DirectoryObject,
  guid: Uint8Array,
  shown: DirectoryObject,
  known: ObjectRow | undefined,
  decision: Item['decision'],
): Item {
  return {
    object,
    guid,
    shown,
    known,
    decision,
    cloudAnchor: known?.cloudAnchor ?? null,
    wasThere: false,
    provisioned: decision.kind === 'sync' && !decision.provision,
    acknowledged: false,
    keys: undefined,
    failure: 'refusal' in decision ? decision.refusal : undefined,
  };
}

/** What the tenant is told as source anchor: the one that it was told before, if it was. */
export function anchorOf({ guid, known, decision }: Item): string {
  const row = decision.kind === 'sync' ? decision.row : known;
  return sourceAnchorOf(row?.sourceAnchor ?? guid);
}
