/** The operations of IProvisioningWebService as both sides know them: names, request bodies, results. */

import type {
  AzureADSyncObject,
  AzureADSyncObjectResult,
  CompanyConfiguration,
  SyncCredentialsChangeItem,
  SyncCredentialsChangeResult,
  WindowsCredentialsSyncConfig,
} from './types.js';

export interface RequestBodies {
  ProvisionCredentials: { readonly items: readonly SyncCredentialsChangeItem[] };
  ProvisionAzureADSyncObjects: { readonly objects: readonly AzureADSyncObject[] };
  GetCompanyConfiguration: { readonly includeLicenseInformation: boolean };
  SetCompanyDirsyncFeatures: { readonly dirsyncFeatures: number };
  GetWindowsCredentialsSyncConfig: Record<string, never>;
  FinalizeExport: { readonly totalExported: number; readonly successfulExportCount: number };
}

export interface Results {
  ProvisionCredentials: { readonly results: readonly SyncCredentialsChangeResult[] };
  ProvisionAzureADSyncObjects: { readonly results: readonly AzureADSyncObjectResult[] };
  GetCompanyConfiguration: CompanyConfiguration;
  SetCompanyDirsyncFeatures: undefined;
  GetWindowsCredentialsSyncConfig: WindowsCredentialsSyncConfig;
  FinalizeExport: undefined;
}

export type OperationName = keyof RequestBodies;
