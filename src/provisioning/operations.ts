/** The operations of IProvisioningWebService, each described once for both sides: request body and result. */

import {
  boolean,
  type ContractType,
  dateTime,
  defaulted,
  integer,
  listOf,
  nillable,
  optional,
  record,
  recurringText,
  required,
  single,
  text,
  withNamespaces,
  XSI_NAMESPACE,
} from './contract-types.js';
import { ARRAYS_NAMESPACE, propertyValues, XSD_NAMESPACE } from './property-values.js';
import type {
  AzureADSyncObject,
  AzureADSyncObjectResult,
  CompanyConfiguration,
  SyncCredentialsChangeItem,
  SyncCredentialsChangeResult,
  SyncOperation,
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

/** No batch holds more items, whatever the tenant allows. */
export const MAX_BATCH_ITEMS = 10_000;

/** The namespace of operations and of what stands in none of the others. */
export const CHANGE_NAMESPACE = 'http://schemas.microsoft.com/online/aws/change/2010/01';
const SYNC_2014_NAMESPACE = 'http://schemas.microsoft.com/online/aws/change/2014/06';
const COEXISTENCE_NAMESPACE = 'http://schemas.datacontract.org/2004/07/Microsoft.Online.Coexistence.Schema';
/** phsync's own announcements, which other clients pass over. */
const LIMITS_NAMESPACE = 'urn:phsync:provisioning:limits';
const EPOCH_NAMESPACE = 'urn:phsync:provisioning:domain-services';

export interface Operation<Name extends OperationName> {
  readonly name: Name;
  /** The content of `<Name>`. */
  readonly request: ContractType<RequestBodies[Name]>;
  /** The content of `<NameResult>`; undefined: the operation answers with an empty `<NameResponse>`. */
  readonly result: ContractType<Results[Name]> | undefined;
}

const credentialItem = record<SyncCredentialsChangeItem>('SyncCredentialsChangeItem', {
  changeDate: required('b', 'ChangeDate', dateTime),
  cloudAnchor: nillable('b', 'CloudAnchor', text),
  credentialData: required('b', 'CredentialData', text),
  forcePasswordChangeOnLogon: defaulted('b', 'ForcePasswordChangeOnLogon', boolean, false),
  sourceAnchor: nillable('b', 'SourceAnchor', text),
  windowsLegacyCredentials: nillable('b', 'WindowsLegacyCredentials', text),
  windowsSupplementalCredentials: nillable('b', 'WindowsSupplementalCredentials', text),
});

const credentialResult = record<SyncCredentialsChangeResult>('SyncCredentialsChangeResult', {
  cloudAnchor: nillable('b', 'CloudAnchor', text),
  extendedErrorInformation: nillable('b', 'ExtendedErrorInformation', text),
  result: required('b', 'Result', integer),
  sourceAnchor: nillable('b', 'SourceAnchor', text),
});

const syncOperation: ContractType<SyncOperation> = {
  write: (writer, value) => writer.text(value),
  read(reader) {
    const value = reader.readRecurringText();
    if (value !== 'Add' && value !== 'Set' && value !== 'Delete') {
      throw reader.error('provisioning-structure', 'SyncOperation', 'expected Add, Set or Delete');
    }
    return value;
  },
};

const syncObject = record<AzureADSyncObject>('AzureADSyncObject', {
  propertyValues: required('b', 'PropertyValues', propertyValues),
  syncObjectType: required('b', 'SyncObjectType', recurringText),
  syncOperation: required('b', 'SyncOperation', syncOperation),
});

const syncObjectResult = record<AzureADSyncObjectResult>('AzureADSyncObjectResult', {
  cloudAnchor: nillable('b', 'CloudAnchor', text),
  resultCode: required('b', 'ResultCode', recurringText),
  resultErrorDescription: nillable('b', 'ResultErrorDescription', text),
  sourceAnchor: nillable('b', 'SourceAnchor', text),
});

type DirSyncConfiguration = CompanyConfiguration['dirSyncConfiguration'];

const companyConfiguration = record<CompanyConfiguration>('CompanyConfiguration', {
  allowedFeatures: defaulted('', 'AllowedFeatures', text, ''),
  dirSyncConfiguration: required(
    '',
    'DirSyncConfiguration',
    record<DirSyncConfiguration>('DirSyncConfiguration', {
      anchorAttribute: nillable('', 'AnchorAttribute', text),
      applicationVersion: nillable('', 'ApplicationVersion', text),
      clientVersion: nillable('', 'ClientVersion', text),
      isTrackingChanges: defaulted('', 'IsTrackingChanges', boolean, false),
      preventAccidentalDeletion: required(
        '',
        'PreventAccidentalDeletion',
        record<DirSyncConfiguration['preventAccidentalDeletion']>('PreventAccidentalDeletion', {
          deletionPrevention: defaulted('', 'DeletionPrevention', text, ''),
          thresholdCount: defaulted('', 'ThresholdCount', integer, 0),
          thresholdPercentage: defaulted('', 'ThresholdPercentage', integer, 0),
        }),
      ),
    }),
  ),
  dirSyncFeatures: required('', 'DirSyncFeatures', integer),
  displayName: defaulted('', 'DisplayName', text, ''),
  isDirSyncing: required('', 'IsDirSyncing', boolean),
  isPasswordSyncing: required('', 'IsPasswordSyncing', boolean),
  limits: optional(
    'l',
    'Limits',
    record<NonNullable<CompanyConfiguration['limits']>>('Limits', {
      credentialsPerBatch: required('l', 'CredentialsPerBatch', integer),
      objectsPerBatch: required('l', 'ObjectsPerBatch', integer),
    }) as ContractType<CompanyConfiguration['limits']>,
    undefined,
  ),
  maxLinksSupportedAcrossBatchInProvision2: defaulted('', 'MaxLinksSupportedAcrossBatchInProvision2', integer, 0),
  synchronizationInterval: defaulted('', 'SynchronizationInterval', text, ''),
  tenantId: defaulted('', 'TenantId', text, ''),
});

/** Request and result elements stand in CHANGE_NAMESPACE; both `i` and the contract's `b` are declared on them. */
function inNamespace<T extends object>(
  namespaces: Readonly<Record<string, string>>,
  type: ContractType<T>,
): ContractType<T> {
  return withNamespaces({ ...namespaces, i: XSI_NAMESPACE }, type);
}

const OPERATIONS: { readonly [Name in OperationName]: Operation<Name> } = {
  ProvisionCredentials: {
    name: 'ProvisionCredentials',
    request: single(
      '',
      'request',
      inNamespace(
        { b: COEXISTENCE_NAMESPACE },
        record<RequestBodies['ProvisionCredentials']>('request', {
          items: required(
            'b',
            'RequestItems',
            listOf('b', 'SyncCredentialsChangeItem', credentialItem, MAX_BATCH_ITEMS),
          ),
        }),
      ),
    ),
    result: inNamespace(
      { b: COEXISTENCE_NAMESPACE },
      record<Results['ProvisionCredentials']>('ProvisionCredentialsResult', {
        results: required(
          'b',
          'Results',
          listOf('b', 'SyncCredentialsChangeResult', credentialResult, MAX_BATCH_ITEMS),
        ),
      }),
    ),
  },
  ProvisionAzureADSyncObjects: {
    name: 'ProvisionAzureADSyncObjects',
    request: single(
      '',
      'syncRequest',
      inNamespace(
        { b: SYNC_2014_NAMESPACE, c: ARRAYS_NAMESPACE, d: XSD_NAMESPACE },
        record<RequestBodies['ProvisionAzureADSyncObjects']>('syncRequest', {
          objects: required('b', 'SyncObjects', listOf('b', 'AzureADSyncObject', syncObject, MAX_BATCH_ITEMS)),
        }),
      ),
    ),
    result: inNamespace(
      { b: SYNC_2014_NAMESPACE },
      record<Results['ProvisionAzureADSyncObjects']>('ProvisionAzureADSyncObjectsResult', {
        results: required(
          'b',
          'SyncObjectResults',
          listOf('b', 'AzureADSyncObjectResult', syncObjectResult, MAX_BATCH_ITEMS),
        ),
      }),
    ),
  },
  GetCompanyConfiguration: {
    name: 'GetCompanyConfiguration',
    request: record<RequestBodies['GetCompanyConfiguration']>('GetCompanyConfiguration', {
      includeLicenseInformation: defaulted('', 'includeLicenseInformation', boolean, false),
    }),
    result: inNamespace({ l: LIMITS_NAMESPACE }, companyConfiguration),
  },
  SetCompanyDirsyncFeatures: {
    name: 'SetCompanyDirsyncFeatures',
    request: record<RequestBodies['SetCompanyDirsyncFeatures']>('SetCompanyDirsyncFeatures', {
      dirsyncFeatures: required('', 'dirsyncFeatures', integer),
    }),
    result: undefined,
  },
  GetWindowsCredentialsSyncConfig: {
    name: 'GetWindowsCredentialsSyncConfig',
    request: record<Record<string, never>>('GetWindowsCredentialsSyncConfig', {}),
    result: inNamespace(
      { e: EPOCH_NAMESPACE },
      record<WindowsCredentialsSyncConfig>('GetWindowsCredentialsSyncConfigResult', {
        enableWindowsLegacyCredentials: required('', 'EnableWindowsLegacyCredentials', boolean),
        // The service spells it so.
        enableWindowsSupplementalCredentials: required('', 'EnableWindowsSupplementaCredentials', boolean),
        epoch: optional('e', 'Epoch', text, undefined),
        secretEncryptionCertificate: nillable('', 'SecretEncryptionCertificate', text),
      }),
    ),
  },
  FinalizeExport: {
    name: 'FinalizeExport',
    request: record<RequestBodies['FinalizeExport']>('FinalizeExport', {
      totalExported: required('', 'totalExported', integer),
      successfulExportCount: required('', 'successfulExportCount', integer),
    }),
    result: undefined,
  },
};

export function operation<Name extends OperationName>(name: Name): Operation<Name> {
  return OPERATIONS[name];
}

export function isOperationName(name: string): name is OperationName {
  return Object.hasOwn(OPERATIONS, name);
}
