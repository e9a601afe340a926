/** Requests and results that exercise every member, for several tests. */

import { expect } from 'vitest';
import { PropertyList } from '#src/provisioning/properties.js';
import type { RequestBodies, Results, SyncToken } from '#src/provisioning/server-codec.js';
import type { CompanyConfiguration, PropertyValue } from '#src/provisioning/types.js';

/** Properties are equal where a Map of them is, in whatever form they are kept. */
expect.addEqualityTesters([
  function (this: { equals(a: unknown, b: unknown): boolean }, a: unknown, b: unknown) {
    if (!(a instanceof PropertyList) && !(b instanceof PropertyList)) return undefined;
    const entries = [a, b].map((side) => (side instanceof PropertyList || side instanceof Map ? [...side] : undefined));
    return (
      entries[0] !== undefined && entries[1] !== undefined && this.equals(new Map(entries[0]), new Map(entries[1]))
    );
  },
]);

export const syncToken: SyncToken = {
  applicationId: '1651564e-7ce4-4d99-88be-0a65050d8dc3',
  bearerToken: 'header.payload.signature',
  clientVersion: '8.0',
  dirSyncBuildNumber: '2.4.21.0',
  fimBuildNumber: '2.4.21.0',
  isInstalledOnDC: false,
  issueDateTime: '0001-01-01T00:00:00',
  languageId: 'en-US',
  liveToken: '',
  protocolVersion: '2.0',
  richCoexistenceEnabled: false,
  trackingId: '33221100-5544-7766-8899-aabbccddeeff',
};

export const header = {
  messageId: 'urn:uuid:33221100-5544-7766-8899-aabbccddeeff',
  to: 'https://tenant.test/provisioningservice.svc',
  syncToken,
};

export const companyConfiguration: CompanyConfiguration = {
  tenantId: '8a4e5f04-0d5c-4b0e-9f5e-2c1f7f3b7a11',
  displayName: 'PHS Tést & Söhne',
  dirSyncFeatures: 41017,
  isDirSyncing: true,
  isPasswordSyncing: false,
  allowedFeatures: 'None',
  dirSyncConfiguration: {
    anchorAttribute: 'mS-DS-ConsistencyGuid',
    applicationVersion: undefined,
    clientVersion: '8.0',
    isTrackingChanges: false,
    preventAccidentalDeletion: { deletionPrevention: 'EnabledForCount', thresholdCount: 500, thresholdPercentage: 0 },
  },
  maxLinksSupportedAcrossBatchInProvision2: 15_000,
  synchronizationInterval: 'PT30M',
  limits: { credentialsPerBatch: 1000, objectsPerBatch: 500 },
};

export const propertyValues: ReadonlyMap<string, PropertyValue> = new Map<string, PropertyValue>([
  ['SourceAnchor', 'q8+KXE9qRUuHmiMlJpMRUg=='],
  ['userPrincipalName', 'jürgen.müller@phs.test'],
  ['displayName', ''],
  ['accountEnabled', true],
  ['cloudMastered', false],
  ['countryCode', 276],
  ['negative', -7],
  ['long', 2 ** 40],
  ['double', 1.5],
  ['onPremiseSecurityIdentifier', Uint8Array.from({ length: 28 }, (_, i) => i)],
  ['empty', new Uint8Array()],
  ['nothing', null],
  ['proxyAddresses', ['SMTP:jm@phs.test', 'smtp:j.m@phs.test']],
  ['userCertificate', [Uint8Array.of(1, 2), Uint8Array.of(3)]],
]);

export const bodies: { readonly [Name in keyof RequestBodies]: RequestBodies[Name] } = {
  ProvisionCredentials: {
    items: [
      {
        changeDate: new Date('2024-02-29T12:34:56.789Z'),
        cloudAnchor: undefined,
        credentialData:
          'v1;PPH1_MD4,107a154d0bc0965d98a7,1000,104f4d1a290a283b6d169788bdf1351514da51249a9e8cee7911e9e7525f66e9;',
        forcePasswordChangeOnLogon: false,
        sourceAnchor: 'q8+KXE9qRUuHmiMlJpMRUg==',
        windowsLegacyCredentials: undefined,
        windowsSupplementalCredentials: undefined,
      },
      {
        changeDate: new Date('1999-12-31T23:59:59Z'),
        cloudAnchor: 'User_5a0a4a0e-6b3b-4c1c-8f5e-0f7f3b7a1122',
        credentialData: '',
        forcePasswordChangeOnLogon: true,
        sourceAnchor: undefined,
        windowsLegacyCredentials: 'AQAA'.repeat(119),
        windowsSupplementalCredentials: 'AQAB'.repeat(300),
      },
    ],
  },
  ProvisionAzureADSyncObjects: {
    objects: [
      { propertyValues, syncObjectType: 'User', syncOperation: 'Set' },
      { propertyValues: new Map([['SourceAnchor', 'x']]), syncObjectType: 'User', syncOperation: 'Delete' },
    ],
  },
  GetCompanyConfiguration: { includeLicenseInformation: false },
  SetCompanyDirsyncFeatures: { dirsyncFeatures: 41017 },
  GetWindowsCredentialsSyncConfig: {},
  FinalizeExport: { totalExported: 12, successfulExportCount: 11 },
};

export const results: { readonly [Name in keyof Results]: Results[Name] } = {
  ProvisionCredentials: {
    results: [
      {
        cloudAnchor: undefined,
        extendedErrorInformation: undefined,
        result: 0,
        sourceAnchor: 'q8+KXE9qRUuHmiMlJpMRUg==',
      },
      {
        cloudAnchor: 'User_5a0a4a0e-6b3b-4c1c-8f5e-0f7f3b7a1122',
        extendedErrorInformation: 'anchor <not> found',
        result: 2,
        sourceAnchor: undefined,
      },
    ],
  },
  ProvisionAzureADSyncObjects: {
    results: [
      {
        resultCode: 'Success',
        resultErrorDescription: undefined,
        cloudAnchor: 'User_1',
        sourceAnchor: 'q8+KXE9qRUuHmiMlJpMRUg==',
      },
      { resultCode: 'Failure', resultErrorDescription: 'unknown', cloudAnchor: undefined, sourceAnchor: 'x' },
    ],
  },
  GetCompanyConfiguration: companyConfiguration,
  SetCompanyDirsyncFeatures: undefined,
  GetWindowsCredentialsSyncConfig: {
    enableWindowsLegacyCredentials: true,
    enableWindowsSupplementalCredentials: false,
    secretEncryptionCertificate: 'MIIB',
  },
  FinalizeExport: undefined,
};
