/**
 * What writes into a managed domain, whatever kind of domain controller it has: Samba's database today (samba/), and what
 * README.md says a writer for a Windows domain controller would do.
 */

/** An account as it is to be; the names are in the order of preference, and the first that nobody has is taken. */
export interface ManagedUser {
  /** The object's id in the tenant: a GUID in lower case. */
  readonly objectId: string;
  /** Of at most 20 characters, all of them fit for a sAMAccountName. An account that has one of them keeps it. */
  readonly samAccountNames: readonly string[];
  /** Of at most 64 characters. An account that has one of them keeps it. */
  readonly commonNames: readonly string[];
  readonly userPrincipalName: string;
  readonly displayName: string | undefined;
  readonly givenName: string | undefined;
  readonly surname: string | undefined;
  readonly mail: string | undefined;
  /** Off: ACCOUNTDISABLE. */
  readonly enabled: boolean;
  /** DONT_EXPIRE_PASSWORD. */
  readonly passwordNeverExpires: boolean;
  /** Of the account in the first domain, for sIDHistory. */
  readonly securityIdentifier: string | undefined;
}

/** What the first domain keeps of one password. */
export interface ManagedSecrets {
  /** 16 bytes. The writer copies nothing of it that outlives the call; who made it wipes it. */
  readonly ntHash: Buffer;
  /** USER_PROPERTIES (MS-SAMR 2.2.10) with Kerberos keys alone; undefined: there are none, and none may stay. */
  readonly kerberosKeys: Buffer | undefined;
  /** FILETIME of the change in the first domain. An account whose pwdLastSet is later keeps what it has. */
  readonly changedAt: bigint;
}

export type ManagedChange =
  | { readonly kind: 'user'; readonly user: ManagedUser; readonly secrets: ManagedSecrets | undefined }
  /** Of an account that this program made; any other is left alone. */
  | { readonly kind: 'deleted'; readonly objectId: string };

export interface AppliedChange {
  readonly result: 'created' | 'updated' | 'unchanged' | 'deleted' | 'absent';
  readonly samAccountName?: string;
  /**
   * Of one that is updated: attributes by their LDAP names, and `enabled`, `disabled`, `passwordNeverExpires` or
   * `passwordExpires` in place of userAccountControl.
   */
  readonly changed?: readonly string[] | undefined;
  /** undefined: the change came without secrets. `older`: the domain has a later password, which stays. */
  readonly password?: 'written' | 'unchanged' | 'older';
  /** Why the password was not written, while the account is as it should be: `keys-malformed`, `keys-unusable`, `keys-too-large`. */
  readonly passwordError?: { readonly code: string; readonly message: string };
  /**
   * `sid-left-out`: the SID of the first domain cannot become sIDHistory here (built-in, of this very domain, or another
   * account's).
   */
  readonly notes: readonly string[];
  /** objectIds of accounts that this program made, whose userPrincipalName or sAMAccountName is this one's by now. */
  readonly displaced?: readonly string[] | undefined;
}

/** Why one change was not taken; the others of its batch were. */
export interface RefusedChange {
  readonly error: { readonly code: string; readonly message: string };
}

export type Outcome = AppliedChange | RefusedChange;

/** The domain that was opened. */
export interface ManagedDomain {
  readonly dnsDomain: string;
  readonly netbiosDomain: string;
  /** Distinguished name of the domain. */
  readonly dn: string;
  readonly sid: string;
  /** The name of the domain controller that is written to. */
  readonly dc: string;
  /** Another one after a restore from backup: what was written since that backup is gone. */
  readonly invocationId: string;
  /** objectIds of all accounts that this program made and that still stand. */
  readonly users: readonly string[];
}

export interface ApplyOptions {
  /** Says what would be done, and does nothing. */
  readonly dryRun?: boolean;
}

export interface ManagedDomainWriter {
  /** @throws PhsyncError `managed-domain-…`: the domain controller cannot be written to now, as a whole */
  open(): Promise<ManagedDomain>;
  /**
   * Applies the changes in their order; one outcome for each. What is said to be done is on the domain controller's disk.
   * To apply a change again changes nothing more; to apply none finds out whether the domain controller works. @throws PhsyncError `managed-domain-…` where the domain controller does
   * not work as a whole, or is another one than was opened: some of the changes may be done then; open and apply them again.
   */
  apply(changes: readonly ManagedChange[], options?: ApplyOptions): Promise<readonly Outcome[]>;
  close(): Promise<void>;
}
