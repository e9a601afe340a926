/** What the agent remembers of one object, and what became of its password. */

/** Bits of `object.flags`. */
export const RowFlag = {
  /** In scope, thus made (or to be made) in the tenant. */
  inScope: 1,
  /** Out of scope by its place alone: a move may bring it in. */
  misplaced: 2,
  /** pwdLastSet was 0 when it last came: the password must be changed at the next log-on. */
  mustChange: 4,
  /** The password that the directory holds now was not sent: it waits for what holds it back to go. */
  withheld: 8,
  /** The tenant's credential makes the user change the password at the next sign-in. */
  forced: 16,
  /** adminDescription keeps the password out (selective password hash synchronization). */
  passwordOff: 32,
  /** The directory has another source anchor than the tenant was told, which is not followed. */
  anchorChanged: 64,
  /** The tenant was told that the account is disabled, since it has expired. */
  expired: 128,
  /** Disabled in the directory. */
  disabled: 256,
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
  /** Left out by adminDescription: the user is in the tenant, the password is not sent. */
  filteredByRule: 6,
  /** The password is in the tenant; the source anchor has changed since, which nothing follows. */
  anchorChanged: 7,
  /** Another connector's enabled account of the same source anchor is the tenant's user. */
  heldElsewhere: 8,
  /** The tenant has the password, and Domain Services go without Kerberos keys: the directory has none of this user. */
  missingAttribute: 9,
} as const;
export type OutcomeCode = (typeof Outcome)[keyof typeof Outcome];

export const outcomeNames: Readonly<Record<OutcomeCode, string>> = {
  [Outcome.none]: 'None',
  [Outcome.success]: 'Success',
  [Outcome.filteredByTarget]: 'FilteredByTarget',
  [Outcome.targetNotExported]: 'TargetNotExportedToDirectory',
  [Outcome.error]: 'Error',
  [Outcome.noPassword]: 'NoPassword',
  [Outcome.filteredByRule]: 'FilteredByRule',
  [Outcome.anchorChanged]: 'SourceAnchorChanged',
  [Outcome.heldElsewhere]: 'HeldByAnotherConnector',
  [Outcome.missingAttribute]: 'MissingAttribute',
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
  /** What the tenant was told as source anchor, 16 bytes; null: objectGUID. */
  readonly sourceAnchor: Uint8Array | null;
  /** accountExpires in milliseconds since 1970; null: never. */
  readonly accountExpires: number | null;
  /**
   * PROPERTY_META_DATA_EXT of the supplementalCredentials whose keys went to Domain Services with that password, 0 where
   * the object had none; null: the password went without keys.
   */
  readonly keysVersion: number | null;
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
 * filtered, filteredByRule, noPassword, skipped or failed; one of whom the tenant took the password alone counts as sent and as failed.
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
  /** Left out by adminDescription. */
  filteredByRule: number;
  /** The account has none. */
  noPassword: number;
  /** Put (back) into the retry queue. */
  failed: number;
  /** Of credentialsSent: the password is the same, pwdLastSet alone has changed (event 668). */
  pwdLastSetOnly: number;
  /** Of credentialsSent: with keys for Domain Services. */
  sealed: number;
  /** Of sealed: without Kerberos keys, since the directory has none of the user. */
  keysMissing: number;
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
    filteredByRule: 0,
    noPassword: 0,
    failed: 0,
    pwdLastSetOnly: 0,
    sealed: 0,
    keysMissing: 0,
  };
}
