/** The provisioning service's vocabulary, shared by the client and the server codec. Names are the wire's. */

import type { Properties } from './properties.js';

export { type Properties, PropertyList, PropertyNames, type PropertyValue } from './properties.js';

/** DirSyncFeatures bit set: read, modified and written as a whole. */
export const DirSyncFeature = {
  PasswordHashSync: 1,
  PasswordWriteBack: 2,
  DirectoryExtensions: 4,
  DuplicateUPNResiliency: 8,
  EnableSoftMatchOnUpn: 16,
  DuplicateProxyAddressResiliency: 32,
  EnforceCloudPasswordPolicyForPasswordSyncedUsers: 512,
  UnifiedGroupWriteback: 1024,
  UserWriteback: 2048,
  DeviceWriteback: 4096,
  SynchronizeUpnForManagedUsers: 8192,
  EnableUserForcePasswordChangeOnLogon: 16384,
  PassThroughAuthentication: 131072,
  BlockSoftMatch: 524288,
  BlockCloudObjectTakeoverThroughHardMatch: 1048576,
} as const;

/** The names of the bits that are set; one without a name by its value. */
export function dirSyncFeatureNames(features: number): string[] {
  const names = Object.entries(DirSyncFeature).flatMap(([name, bit]) => ((features & bit) === 0 ? [] : [name]));
  const known = Object.values(DirSyncFeature).reduce((bits, bit) => bits | bit, 0);
  const unnamed = Array.from({ length: 31 }, (_, i) => 2 ** i).filter((bit) => (features & ~known & bit) !== 0);
  return [...names, ...unnamed.map(String)];
}

export type SyncOperation = 'Add' | 'Set' | 'Delete';

export interface AzureADSyncObject {
  readonly syncObjectType: string;
  readonly syncOperation: SyncOperation;
  /**
   * By name; for a user: SourceAnchor, userPrincipalName, displayName, givenName, surname, mail, accountEnabled,
   * onPremisesSamAccountName, onPremisesDistinguishedName, onPremiseSecurityIdentifier (bytes), dnsDomainName,
   * netBiosName, lastPasswordChangeTimestamp (generalized time), cloudMastered.
   */
  readonly propertyValues: Properties;
}

export interface AzureADSyncObjectResult {
  /** `Success`, or the reason's name. */
  readonly resultCode: string;
  readonly resultErrorDescription: string | undefined;
  readonly cloudAnchor: string | undefined;
  readonly sourceAnchor: string | undefined;
}

export interface SyncCredentialsChangeItem {
  /** The time of the on-premises change; may lie in the past. */
  readonly changeDate: Date;
  /** `User_<objectId>`. */
  readonly cloudAnchor: string | undefined;
  /** `v1;PPH1_MD4,…;` */
  readonly credentialData: string;
  readonly forcePasswordChangeOnLogon: boolean;
  /** Base64 of objectGUID's (or mS-DS-ConsistencyGuid's) 16 bytes. */
  readonly sourceAnchor: string | undefined;
  /** Base64 ADAuthInfo blobs for Domain Services. */
  readonly windowsLegacyCredentials: string | undefined;
  readonly windowsSupplementalCredentials: string | undefined;
}

/** SyncCredentialsChangeResult/Result: 0 and 2 are the service's known values, the others ours. */
export const CredentialResult = {
  success: 0,
  /** The anchor is not (yet) known to the service: try again later. */
  anchorNotFound: 2,
  /** An older change than the one stored: refused, nothing to retry. */
  olderChange: 3,
  /** CredentialData is not a credential the service takes. */
  invalidCredential: 4,
  /** The service failed on this item alone: try again later. */
  temporaryFailure: 5,
  /**
   * The credential is dealt with, its Windows credentials are not taken: malformed, or sealed to a certificate that the
   * service does not know. Ask GetWindowsCredentialsSyncConfig anew, seal anew, send again.
   */
  invalidWindowsCredentials: 6,
  /** Never on the wire: the service answered this item, sent alone, with a fault. */
  refusedAlone: -1,
} as const;

export interface SyncCredentialsChangeResult {
  readonly cloudAnchor: string | undefined;
  readonly extendedErrorInformation: string | undefined;
  readonly result: number;
  readonly sourceAnchor: string | undefined;
}

export interface CompanyConfiguration {
  readonly tenantId: string;
  readonly displayName: string;
  readonly dirSyncFeatures: number;
  readonly isDirSyncing: boolean;
  readonly isPasswordSyncing: boolean;
  readonly allowedFeatures: string;
  readonly dirSyncConfiguration: {
    readonly anchorAttribute: string | undefined;
    readonly applicationVersion: string | undefined;
    readonly clientVersion: string | undefined;
    readonly isTrackingChanges: boolean;
    readonly preventAccidentalDeletion: {
      readonly deletionPrevention: string;
      readonly thresholdCount: number;
      readonly thresholdPercentage: number;
    };
  };
  readonly maxLinksSupportedAcrossBatchInProvision2: number;
  /** ISO 8601 duration, PT30M. */
  readonly synchronizationInterval: string;
  /** phsync's own announcement, absent from Microsoft's service (whose limits are 50 credentials a batch). */
  readonly limits: { readonly credentialsPerBatch: number; readonly objectsPerBatch: number } | undefined;
}

/** What the agent needs to send credentials for Domain Services. */
export interface WindowsCredentialsSyncConfig {
  readonly enableWindowsLegacyCredentials: boolean;
  readonly enableWindowsSupplementalCredentials: boolean;
  /** Base64 X.509: the Domain Services public certificate. */
  readonly secretEncryptionCertificate: string | undefined;
  /**
   * phsync's own announcement, absent from Microsoft's service: of the time since Domain Services were switched on last.
   * With another one, nothing that was sent before is there any more.
   */
  readonly epoch?: string | undefined;
}

/** AdminWebServiceFault's ErrorCode as seen in Microsoft's event texts. */
export const ProvisioningErrorCode = {
  directoryBusy: 81,
  passwordSyncNotActivated: 90,
} as const;
