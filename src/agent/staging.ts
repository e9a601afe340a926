/** The tenant in staging mode and in a dry run: it is asked for its configuration, and told nothing. */

import type { AzureADSyncObject, SyncCredentialsChangeItem } from '../provisioning/types.js';
import { CredentialResult } from '../provisioning/types.js';
import type { TenantClient } from './link.js';

/** Stands for the anchor that a tenant would give: nobody is looked up by it, for nothing is sent. */
const NOBODY = 'User_staging';

/** Answers for the tenant that it took everything; `real` answers what its configuration is. */
export function stagingClient(
  real: Pick<TenantClient, 'getCompanyConfiguration' | 'getWindowsCredentialsSyncConfig'>,
): TenantClient {
  return {
    getCompanyConfiguration: (options) => real.getCompanyConfiguration(options),
    getWindowsCredentialsSyncConfig: (options) => real.getWindowsCredentialsSyncConfig(options),
    // Nothing heals the feature here: a real change it would be.
    setCompanyDirsyncFeatures: () => Promise.reject(new Error('staging mode changes nothing in the tenant')),
    provisionAzureADSyncObjects: (objects: readonly AzureADSyncObject[]) =>
      Promise.resolve(
        objects.map(({ propertyValues }) => ({
          resultCode: 'Success',
          resultErrorDescription: undefined,
          cloudAnchor: NOBODY,
          sourceAnchor: propertyValues.get('SourceAnchor') as string,
        })),
      ),
    provisionCredentials: (items: readonly SyncCredentialsChangeItem[]) =>
      Promise.resolve(
        items.map(({ cloudAnchor, sourceAnchor }) => ({
          cloudAnchor,
          sourceAnchor,
          result: CredentialResult.success,
          extendedErrorInformation: undefined,
        })),
      ),
  };
}
