/** What the agent remembers of one object, and what became of its password. */

/** Bits of `object.flags`. */
export const RowFlag = {
  /** In scope, thus made (or to be made) in the tenant. */
  inScope: 1,
  /** Out of scope by its place alone: a move may bring it in. */
  misplaced: 2,
  /** pwdLastSet was 0 when it last came: the password must be changed at the next log-on. */
  mustChange: 4,
} as const;

/** Status of a user's password, with Entra Connect's names where it has one. */
export const Outcome = {
  none: 0,
  success: 1,
  /** Must change at next log-on: not synchronized. */
  filteredByTarget: 2,
  /** The tenant does not (yet) know the user. */
  targetNotExported: 3,
  error: 4,
  /** The account has no password. */
  noPassword: 5,
} as const;
export type OutcomeCode = (typeof Outcome)[keyof typeof Outcome];

export const outcomeNames: Readonly<Record<OutcomeCode, string>> = {
  [Outcome.none]: 'None',
  [Outcome.success]: 'Success',
  [Outcome.filteredByTarget]: 'FilteredByTarget',
  [Outcome.targetNotExported]: 'TargetNotExportedToDirectory',
  [Outcome.error]: 'Error',
  [Outcome.noPassword]: 'NoPassword',
};

export interface ObjectRow {
  /** `User_<objectId>`; null while the tenant has not made the user. */
  readonly cloudAnchor: string | null;
  readonly flags: number;
  /** 53 bits over the properties that the tenant acknowledged; null: none. */
  readonly fingerprint: number | null;
  /** 53 bits over the DN: a move shows in nothing else. */
  readonly dnDigest: number;
  /** PROPERTY_META_DATA_EXT of the unicodePwd that the tenant acknowledged last; null: none. */
  readonly passwordVersion: number | null;
  /** Milliseconds since 1970. */
  readonly passwordChanged: number | null;
  readonly outcome: OutcomeCode;
}

/** Why an object goes into the retry queue. */
export interface RetryFailure {
  /** For people. */
  readonly reason: string;
  /** For monitors: `tenant-2`, `envelope-checksum`, … */
  readonly code: string;
  /** Only a change (of the object, its rights, the tenant) can cure it. */
  readonly lasting: boolean;
}

export interface RetryRow {
  readonly guid: Uint8Array;
  readonly reason: string;
  readonly code: string;
  /** Failures so far. */
  readonly attempts: number;
  /** Milliseconds since 1970. */
  readonly firstFailure: number;
  readonly nextTry: number;
}

/**
 * What one cycle did, for the log, for `--json` and for the state. Each object in scope counts once as credentialsSent,
 * filtered, noPassword, skipped or failed; one of whom the tenant took the password alone counts as sent and as failed.
 * `failed` has besides whom the tenant did not delete, and objects that the directory refused to show.
 */
export interface CycleCounts {
  pages: number;
  /** Objects that replication showed. */
  seen: number;
  inScope: number;
  created: number;
  updated: number;
  deleted: number;
  credentialsSent: number;
  /** In scope, with no new password. */
  skipped: number;
  /** Must change at next log-on. */
  filtered: number;
  /** The account has none. */
  noPassword: number;
  /** Put (back) into the retry queue. */
  failed: number;
}

export function noCounts(): CycleCounts {
  return {
    pages: 0,
    seen: 0,
    inScope: 0,
    created: 0,
    updated: 0,
    deleted: 0,
    credentialsSent: 0,
    skipped: 0,
    filtered: 0,
    noPassword: 0,
    failed: 0,
  };
}
