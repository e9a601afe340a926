/** What the checks of one object look at. */

import { type CompanyConfiguration, DirSyncFeature } from '../../provisioning/types.js';
import type { ConnectorConfig } from '../config.js';
import type { DomainServicesOffer } from '../domain-services/offer.js';
import type { SealedKeys } from '../domain-services/seal-unit.js';
import type { DirectoryObject, DirectorySource } from '../source.js';
import type { StateReader } from '../state/reader.js';

export interface ObjectUnderTest {
  readonly object: DirectoryObject;
  readonly guid: Uint8Array;
  readonly connector: ConnectorConfig;
  readonly source: Pick<DirectorySource, 'domain' | 'description'>;
  readonly reader: StateReader | undefined;
  readonly company: CompanyConfiguration | undefined;
  readonly domainServices: DomainServicesOffer | undefined;
  /** As they would be sent now. */
  readonly keys: SealedKeys | undefined;
  readonly staging: boolean;
  readonly now: number;
}

/** Temporary passwords are sent and marked so. */
export const forcesChange = (company: CompanyConfiguration | undefined): boolean =>
  company !== undefined && (company.dirSyncFeatures & DirSyncFeature.EnableUserForcePasswordChangeOnLogon) !== 0;
