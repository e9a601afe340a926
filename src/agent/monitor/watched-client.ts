/** A tenant's client whose calls are counted. */

import type { Clock } from '../clock.js';
import type { TenantClient } from '../link.js';
import type { TenantObserver } from '../observer.js';

export function watchedClient(client: TenantClient, observer: TenantObserver, clock: Clock): TenantClient {
  async function watch<T>(operation: string, call: () => Promise<T>): Promise<T> {
    const began = clock.now();
    let outcome = 'success';
    try {
      return await call();
    } catch (error) {
      const { code } = error as { code?: unknown };
      outcome = typeof code === 'string' ? code : 'error';
      throw error;
    } finally {
      observer.tenantCall(operation, (clock.now() - began) / 1000, outcome);
    }
  }
  return {
    getCompanyConfiguration: (options) =>
      watch('GetCompanyConfiguration', () => client.getCompanyConfiguration(options)),
    getWindowsCredentialsSyncConfig: (options) =>
      watch('GetWindowsCredentialsSyncConfig', () => client.getWindowsCredentialsSyncConfig(options)),
    provisionAzureADSyncObjects: (objects, options) =>
      watch('ProvisionAzureADSyncObjects', () => client.provisionAzureADSyncObjects(objects, options)),
    provisionCredentials: (items, options) =>
      watch('ProvisionCredentials', () => client.provisionCredentials(items, options)),
    setCompanyDirsyncFeatures: (features, options) =>
      watch('SetCompanyDirsyncFeatures', () => client.setCompanyDirsyncFeatures(features, options)),
  };
}
