/**
 * The 19 flags of Graph's onPremisesDirectorySynchronizationFeature, and where each has its one truth: a bit of the
 * provisioning wire's DirSyncFeatures, or (where the wire has none) the tenant's other features.
 */

import { DirSyncFeature } from '../../../provisioning/types.js';
import type { CompanyFeatures } from '../../policies/company-features.js';

/** Flag to bit. Bits that are no flag of Graph's (PassThroughAuthentication, unknown ones) stay as they are. */
const bits = {
  passwordSyncEnabled: DirSyncFeature.PasswordHashSync,
  passwordWritebackEnabled: DirSyncFeature.PasswordWriteBack,
  directoryExtensionsEnabled: DirSyncFeature.DirectoryExtensions,
  quarantineUponUpnConflictEnabled: DirSyncFeature.DuplicateUPNResiliency,
  softMatchOnUpnEnabled: DirSyncFeature.EnableSoftMatchOnUpn,
  quarantineUponProxyAddressesConflictEnabled: DirSyncFeature.DuplicateProxyAddressResiliency,
  cloudPasswordPolicyForPasswordSyncedUsersEnabled: DirSyncFeature.EnforceCloudPasswordPolicyForPasswordSyncedUsers,
  unifiedGroupWritebackEnabled: DirSyncFeature.UnifiedGroupWriteback,
  userWritebackEnabled: DirSyncFeature.UserWriteback,
  deviceWritebackEnabled: DirSyncFeature.DeviceWriteback,
  synchronizeUpnForManagedUsersEnabled: DirSyncFeature.SynchronizeUpnForManagedUsers,
  userForcePasswordChangeOnLogonEnabled: DirSyncFeature.EnableUserForcePasswordChangeOnLogon,
  blockSoftMatchEnabled: DirSyncFeature.BlockSoftMatch,
  blockCloudObjectTakeoverThroughHardMatchEnabled: DirSyncFeature.BlockCloudObjectTakeoverThroughHardMatch,
} as const;

type OtherFlag =
  | 'bypassDirSyncOverridesEnabled'
  | 'concurrentCredentialUpdateEnabled'
  | 'concurrentOrgIdProvisioningEnabled'
  | 'fopeConflictResolutionEnabled'
  | 'groupWriteBackEnabled';

export type SynchronizationFlag = keyof typeof bits | OtherFlag;
export type SynchronizationFlags = Readonly<Record<SynchronizationFlag, boolean>>;

/** In the order in which Graph's documentation shows them. */
export const synchronizationFlags: readonly SynchronizationFlag[] = [
  'passwordSyncEnabled',
  'passwordWritebackEnabled',
  'directoryExtensionsEnabled',
  'quarantineUponUpnConflictEnabled',
  'quarantineUponProxyAddressesConflictEnabled',
  'softMatchOnUpnEnabled',
  'cloudPasswordPolicyForPasswordSyncedUsersEnabled',
  'fopeConflictResolutionEnabled',
  'unifiedGroupWritebackEnabled',
  'userWritebackEnabled',
  'deviceWritebackEnabled',
  'synchronizeUpnForManagedUsersEnabled',
  'userForcePasswordChangeOnLogonEnabled',
  'concurrentOrgIdProvisioningEnabled',
  'concurrentCredentialUpdateEnabled',
  'groupWriteBackEnabled',
  'blockSoftMatchEnabled',
  'blockCloudObjectTakeoverThroughHardMatchEnabled',
  'bypassDirSyncOverridesEnabled',
];

/** As the store has them. */
type StoredFeatures = Pick<CompanyFeatures, 'dirsync_features' | 'other_features'>;

const hasBit = (flag: SynchronizationFlag): flag is keyof typeof bits => Object.hasOwn(bits, flag);

export function flagsOf({ dirsync_features, other_features }: StoredFeatures): SynchronizationFlags {
  const other = JSON.parse(other_features) as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    synchronizationFlags.map((flag) => [
      flag,
      hasBit(flag) ? (dirsync_features & bits[flag]) !== 0 : other[flag] === true,
    ]),
  ) as SynchronizationFlags;
}

/** `stored` with the named flags set or taken away, and everything else as it was. */
export function withFlags(
  stored: StoredFeatures,
  changes: Readonly<Partial<Record<SynchronizationFlag, boolean | undefined>>>,
): StoredFeatures {
  let features = stored.dirsync_features;
  const other = { ...(JSON.parse(stored.other_features) as Record<string, unknown>) };
  for (const flag of synchronizationFlags) {
    const on = changes[flag];
    if (on === undefined) continue;
    if (!hasBit(flag)) other[flag] = on;
    else features = on ? features | bits[flag] : features & ~bits[flag];
  }
  return { dirsync_features: features, other_features: JSON.stringify(other) };
}
