/** The tenant's store: what the directory side writes and the sign-in side reads, free of any database's words. */

import type { CredentialChange, CredentialOutcome, UserChange, UserOutcome, WindowsOutcome } from './changes.js';
import type { TenantDatabase } from './database.js';
import type { CredentialOrigin } from './tables.js';
import type { WriteGuard } from './write-guard.js';

/** What goes for a whole batch. */
export interface CredentialOptions {
  /** DisablePasswordExpiration is set with each password; otherwise it is taken away where it stands. */
  readonly disableExpiration: boolean;
  /** The agent's client id, for the history. */
  readonly actor: string;
  /** Told of each change with Windows credentials by its place; what it was told last holds, once the batch is on disk. */
  readonly onWindows?: ((index: number, outcome: WindowsOutcome) => void) | undefined;
  /** Undefined: it may write every user. */
  readonly guard?: WriteGuard | undefined;
}

/** What tokens and pages say of somebody. */
export interface Person {
  readonly objectId: string;
  readonly userPrincipalName: string;
  readonly displayName: string | null;
  readonly givenName: string | null;
  readonly surname: string | null;
  readonly mail: string | null;
}

export interface SignInUser extends Person {
  /** `users.id`, for the tables that refer to it. */
  readonly id: number;
  readonly accountEnabled: boolean;
  /** Undefined: no password in the directory. */
  readonly credential:
    | { readonly salt: Uint8Array; readonly iterations: number; readonly hash: Uint8Array }
    | undefined;
  /**
   * As it came with the password. Of a user without one: whether `lastPasswordChange` is 1601-01-01, as a directory has
   * it whose account must change the password at the next log-on.
   */
  readonly forcePasswordChangeOnLogon: boolean;
  /** Graph's passwordPolicies. */
  readonly passwordPolicies: string | null;
  /** From on premises, not of the cloud alone. */
  readonly synchronized: boolean;
  readonly passwordOrigin: CredentialOrigin | undefined;
  /** On premises, or in the cloud where it was set there. */
  readonly passwordChanged: Date | undefined;
}

export interface StoreCounts {
  readonly users: number;
  readonly deleted: number;
  readonly credentials: number;
}

/**
 * A batch is one transaction: when its promise resolves, all of it is on disk (it survives a killed process and a lost
 * power supply), when it rejects, nothing of it is stored. Outcomes stand in the order of the changes.
 * @throws PhsyncError `store-busy` (another writer, try again) or `store-failed`, from every method.
 */
export interface TenantStore {
  /** The tenant's GUID, drawn when the store was made. */
  readonly tenantId: string;
  /** For the tables of the other rooms. */
  readonly database: TenantDatabase;
  /** DirSyncFeatures of the company. */
  dirSyncFeatures(): Promise<number>;
  /**
   * Creates, updates, deletes users. A deleted one comes back, as the same object, when its anchor is upserted again.
   * Names may change hands within a batch, in any order. Without `guard` every user may be written.
   */
  applyUsers(changes: readonly UserChange[], guard?: WriteGuard): Promise<UserOutcome[]>;
  applyCredentials(changes: readonly CredentialChange[], options: CredentialOptions): Promise<CredentialOutcome[]>;
  /** By user principal name, in any case; deleted users are not found. */
  findSignInUser(userPrincipalName: string): Promise<SignInUser | undefined>;
  counts(): Promise<StoreCounts>;
  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII has them
const ASCII = /^[\x00-\x7f]*$/;

/**
 * How user principal names are compared: lower case in composed form. In this order, since J with a caron is composed
 * in lower case only; and with one small sigma, since which of the two a capital becomes depends on its place.
 */
export function userPrincipalNameKey(userPrincipalName: string): string {
  // Nearly all of them; normalizing would take as long as all else that is done to a name.
  if (ASCII.test(userPrincipalName)) return userPrincipalName.toLowerCase();
  return userPrincipalName.toLowerCase().normalize('NFC').replaceAll('\u03c2', '\u03c3');
}
