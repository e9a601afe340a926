/** What is decided of one replicated object, and what that takes to know. */

import type { Scope } from './scope.js';
import type { ObjectRow, OutcomeCode } from './state/rows.js';
import type { Domain } from './user-properties.js';

/** Who else has the source anchor of an object, and is a user of the tenant's by it. */
export interface Peer {
  /** Of the same connector: two objects of one directory. */
  readonly own: boolean;
  readonly connector: number;
  readonly guid: Uint8Array;
  readonly cloudAnchor: string;
  readonly disabled: boolean;
  /** Milliseconds since 1970. */
  readonly passwordChanged: number | null;
}

export interface DecisionContext {
  readonly scope: Scope;
  readonly domain: Domain;
  /** Send user and password even where the tenant acknowledged both: a full synchronization, or a retry. */
  readonly force: boolean;
  /** A full synchronization: the directory is right, also where it shows an older password than was sent. */
  readonly full: boolean;
  /**
   * Whether this full synchronization has settled the object already: then an older password is no restored directory's,
   * but what a domain controller shows that lags behind the one before, or a page that was asked for earlier.
   */
  readonly settledInPass?: ((guid: string) => boolean) | undefined;
  /**
   * The last cycle was cut off, or the object waits in the retry queue: the tenant may hold the user, though the state
   * knows nothing of it yet.
   */
  readonly recovering: boolean;
  /** The object was read on its own and is whole; asking again would give no more. */
  readonly fetched: boolean;
  /** The change that the object was read for carried pwdLastSet: a 0 was set now, also where it was 0 before. */
  readonly pwdLastSetCame: boolean;
  /** The tenant's EnableUserForcePasswordChangeOnLogon: temporary passwords are sent, and marked so. */
  readonly forceChange: boolean;
  /** Accounts that have expired are disabled in the tenant. */
  readonly disableExpired: boolean;
  /** Keys for Domain Services go with each password; undefined: they do not. */
  readonly domainServices?: { readonly kerberos: boolean } | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Who else has a source anchor (null: the objectGUID). */
  readonly peer?: ((anchor: Uint8Array | null, guid: string) => Peer | undefined) | undefined;
}

/** What stands in the way of an object, whatever else is sent of it: goes to the retry queue. */
export interface Refusal {
  readonly outcome: OutcomeCode;
  readonly code: string;
  readonly reason: string;
  /** Until somebody changes something. */
  readonly lasting: boolean;
}

export type Decision =
  /** Nothing to do and nothing to remember. */
  | { readonly kind: 'pass'; readonly inScope: boolean }
  /** The page has only a part of what is needed: read the object on its own. */
  | { readonly kind: 'fetch' }
  /**
   * `row`: to be stored as it is; undefined: to be forgotten. `handOver`: the tenant's user is this one's from now on,
   * who must be looked at anew.
   */
  | {
      readonly kind: 'remember';
      readonly row: ObjectRow | undefined;
      readonly inScope: boolean;
      readonly refusal?: Refusal | undefined;
      readonly handOver?: Peer | undefined;
    }
  | { readonly kind: 'delete'; readonly row: ObjectRow | undefined }
  /**
   * `row` is what holds once all of it was acknowledged. `forceChange`: the credential makes the user change it.
   * `pwdLastSetOnly`: the password is the one that the tenant has.
   */
  | {
      readonly kind: 'sync';
      readonly provision: boolean;
      readonly credential: boolean;
      readonly forceChange: boolean;
      readonly pwdLastSetOnly: boolean;
      readonly row: ObjectRow;
      readonly refusal?: Refusal | undefined;
    };
