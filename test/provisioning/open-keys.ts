/** What a managed domain would find in a credential's blobs, opened with the private key. */

import type { KeyObject } from 'node:crypto';
import { parseKerbStoredCredentialNew } from '#src/protocol/samr/kerb-stored-credential-new.js';
import { decodePropertyValue } from '#src/protocol/samr/property-value.js';
import { parseUserProperties, propertyName } from '#src/protocol/samr/user-properties.js';
import {
  openAdAuthInfo,
  parseLegacyPlaintext,
  parseSupplementalPlaintext,
  unwrapWith,
} from '#src/provisioning/ad-auth-info.js';
import type { SyncCredentialsChangeItem } from '#src/provisioning/types.js';

export interface OpenedKeys {
  /** Hex. */
  readonly ntHash: string | undefined;
  /** Key type → hex. */
  readonly kerberos: ReadonlyMap<number, string> | undefined;
  /** Names of the properties that came. */
  readonly properties: readonly string[];
}

type Blobs = Pick<SyncCredentialsChangeItem, 'windowsLegacyCredentials' | 'windowsSupplementalCredentials'>;

export async function openKeys(
  { windowsLegacyCredentials: legacy, windowsSupplementalCredentials: supplemental }: Blobs,
  privateKey: KeyObject,
): Promise<OpenedKeys> {
  const open = (blob: string) =>
    openAdAuthInfo(Buffer.from(blob, 'base64'), (_thumbprint, encryptedKey) => unwrapWith(privateKey, encryptedKey));
  const ntHash = legacy && Buffer.from(parseLegacyPlaintext(await open(legacy))).toString('hex');
  if (!supplemental) return { ntHash, kerberos: undefined, properties: [] };
  const { properties } = parseUserProperties(parseSupplementalPlaintext(await open(supplemental)));
  const newer = properties.find((each) => propertyName(each) === 'Primary:Kerberos-Newer-Keys');
  const keys = newer && parseKerbStoredCredentialNew(decodePropertyValue(newer.value)).credentials;
  return {
    ntHash,
    kerberos: keys && new Map(keys.map(({ keyType, key }) => [keyType, Buffer.from(key).toString('hex')])),
    properties: properties.map(propertyName),
  };
}
