/** Where users and their secrets come from: the real directory over DRS, or the simulated lab directory. */

/** A position of the directory's change stream, as bytes that only the source that made it reads. */
export type Cookie = Uint8Array;

/** What replication said of one object. Attributes that did not come with this page are undefined. */
export interface DirectoryObject {
  /** objectGUID, lower-case text with dashes. */
  readonly guid: string;
  readonly dn: string;
  /** `S-1-5-21-…`; undefined where the DSNAME carries none. */
  readonly sid: string | undefined;
  /** The last sub-authority of the SID, 0 without one. It keys the DES layer. */
  readonly rid: number;
  readonly deleted: boolean;
  /** True where the DN came because it is new: of an object that was made, renamed or moved. */
  readonly renamed?: boolean | undefined;
  /** lDAPDisplayName of the most derived class (`user`, `computer`, …); an OID where the name is not known. */
  readonly objectClass: string | undefined;
  readonly sAMAccountName: string | undefined;
  readonly userPrincipalName: string | undefined;
  readonly displayName: string | undefined;
  readonly givenName: string | undefined;
  readonly sn: string | undefined;
  readonly mail: string | undefined;
  readonly userAccountControl: number | undefined;
  /** True of the accounts that the directory made itself: Administrator, Guest, krbtgt, … */
  readonly isCriticalSystemObject?: boolean | undefined;
  /** FILETIME; 0n = must change at next logon. */
  readonly pwdLastSet: bigint | undefined;
  readonly accountExpires: bigint | undefined;
  /** mS-DS-ConsistencyGuid: the source anchor where it has 16 bytes; empty: it was removed. */
  readonly consistencyGuid?: Uint8Array | undefined;
  readonly adminDescription?: string | undefined;
  /** What else the scope's conditions ask for, by lDAPDisplayName; '' of one that was removed. */
  readonly attributes?: ReadonlyMap<string, string> | undefined;
  /** ENCRYPTED_PAYLOAD of unicodePwd; undefined: not in this page; empty: the account has no password. */
  readonly unicodePwd: Uint8Array | undefined;
  /** PROPERTY_META_DATA_EXT of unicodePwd: the DC's order of this user's password changes. */
  readonly passwordVersion: number | undefined;
  /** Originating time of the password change, seconds precision. */
  readonly passwordChanged: Date | undefined;
  /**
   * ENCRYPTED_PAYLOAD of supplementalCredentials, where it was asked for; undefined: not in this page; empty: it was
   * removed.
   */
  readonly supplementalCredentials?: Uint8Array | undefined;
  /** PROPERTY_META_DATA_EXT of supplementalCredentials. */
  readonly supplementalVersion?: number | undefined;
}

/** What is read besides what is always read. */
export interface ReadOptions {
  /** supplementalCredentials: two to four kilobytes of each user's keys, which nobody else has a use for. */
  readonly supplementalCredentials?: boolean;
}

export interface DirectoryPage {
  readonly objects: readonly DirectoryObject[];
  /** Every session key of the connection so far, newest first: they open this page's envelopes. */
  readonly sessionKeys: readonly Uint8Array[];
  /** Continue here once every object of this page is settled. */
  readonly cookie: Cookie;
  /** False on the last page of the cycle. */
  readonly more: boolean;
  /** Objects in the whole naming context where the source knows it (for progress), else undefined. */
  readonly total: number | undefined;
}

export interface DirectorySource {
  readonly kind: 'drs' | 'lab';
  /** A line for people: `dc1.phs.test (127.0.0.1)`, or `simulated lab directory, 20,000 users`. */
  readonly description: string;
  /** The domain's DNS name, e.g. `phs.test`, and its NetBIOS name where known. */
  readonly domain: { readonly dnsName: string; readonly netbiosName: string | undefined };
  /** The naming context's pages from the cookie on (undefined: from the beginning). Pulls a page only when asked. */
  pages(cookie: Cookie | undefined, signal?: AbortSignal, options?: ReadOptions): AsyncIterable<DirectoryPage>;
  /** One object as it is now (EXOP_REPL_OBJ), as a page of one; no object: it does not exist. */
  object(
    reference: { readonly guid: string } | { readonly dn: string },
    signal?: AbortSignal,
    options?: ReadOptions,
  ): Promise<DirectoryPage>;
  close(): Promise<void>;
}
