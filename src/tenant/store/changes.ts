/** What agents bring to the tenant's store, and what becomes of it. */

/**
 * A user's attributes as provisioned. `undefined` leaves a stored value as it is, `null` clears it. Strings keep the
 * spelling they came with; user principal names are compared without regard to case.
 */
export interface UserAttributes {
  readonly userPrincipalName?: string | undefined;
  readonly displayName?: string | null | undefined;
  readonly givenName?: string | null | undefined;
  readonly surname?: string | null | undefined;
  readonly mail?: string | null | undefined;
  readonly accountEnabled?: boolean | undefined;
  readonly onPremisesSamAccountName?: string | null | undefined;
  readonly onPremisesDistinguishedName?: string | null | undefined;
  /** objectSid's bytes. */
  readonly onPremisesSecurityIdentifier?: Uint8Array | null | undefined;
  readonly dnsDomainName?: string | null | undefined;
  readonly netBiosName?: string | null | undefined;
  readonly lastPasswordChange?: Date | null | undefined;
}

export type UserChange =
  | { readonly kind: 'upsert'; readonly sourceAnchor: string; readonly attributes: UserAttributes }
  | { readonly kind: 'delete'; readonly sourceAnchor: string };

/** `objectId` is undefined where a user to delete was not there, which is no failure. */
export type UserOutcome =
  | { readonly status: 'stored'; readonly objectId: string | undefined }
  /** Another user has this user principal name. */
  | { readonly status: 'duplicateUserPrincipalName' }
  /** A new user came without user principal name. */
  | { readonly status: 'userPrincipalNameMissing' }
  /** By the guard. */
  | { readonly status: 'refused' };

/** The user whose credential changes, by source anchor or (where there is none) by object id. */
export interface CredentialChange {
  readonly sourceAnchor: string | undefined;
  readonly objectId: string | undefined;
  /** The time of the on-premises change: an older one than the stored is refused. */
  readonly changeDate: Date;
  /** 10 bytes, 32 bytes: the parts of the OrgId credential. */
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly hash: Uint8Array;
  readonly forcePasswordChangeOnLogon: boolean;
  /** What came with it for Domain Services. */
  readonly windows?: WindowsCredentials | undefined;
}

/** ADAuthInfo blobs, sealed to the managed domain's certificate and opaque here. */
export interface WindowsCredentials {
  /** 20 bytes: SHA-1 of the certificate that both are sealed to. */
  readonly thumbprint: Uint8Array;
  readonly legacy: SealedBlob | null;
  readonly supplemental: SealedBlob | null;
}

/** The format has no checksum of its own: what is stored beside it says whether it still is what was taken in. */
export interface SealedBlob {
  readonly bytes: Uint8Array;
  /** SHA-256 of `bytes`, made when they came. */
  readonly digest: Uint8Array;
}

/**
 * `off`: Domain Services is not enabled. The time of an older change is less than that of the last one on premises, though
 * another password was set in the cloud since: the managed domain goes on with the password on premises.
 */
export type WindowsOutcome = 'stored' | 'off' | 'unknownCertificate' | 'unknownUser' | 'olderChange';

/** `refused`: by the guard. */
export type CredentialOutcome = 'stored' | 'unknownUser' | 'olderChange' | 'refused';
