/** What a domain controller makes of a new password besides its NT hash: supplementalCredentials (MS-SAMR 2.2.10). */

import { randomFillSync } from 'node:crypto';
import { secretBytes } from '../../../crypto/secret-bytes.js';
import { defaultSalt, KerberosKeyType, stringToKey } from '../../../crypto/string-to-key.js';
import {
  kerbStoredCredentialNewOf,
  writeKerbStoredCredentialNew,
} from '../../../protocol/samr/kerb-stored-credential-new.js';
import { encodePropertyValue } from '../../../protocol/samr/property-value.js';
import { userPropertiesOf, writeUserProperties } from '../../../protocol/samr/user-properties.js';

const KEY_TYPES = [KerberosKeyType.aes256Sha1, KerberosKeyType.aes128Sha1] as const;
const ITERATIONS = 4096;
/** Header and 29 hashes of MD5. */
const WDIGEST_SIZE = 16 + 29 * 16;
const RESERVED_OF_PACKAGE = 1;
const RESERVED_OF_PACKAGES = 2;

const utf16le = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'utf16le'));
const PACKAGES = utf16le('Packages');
const NEWER_KEYS = utf16le('Primary:Kerberos-Newer-Keys');
const WDIGEST = utf16le('Primary:WDigest');
const PACKAGE_NAMES = encodePropertyValue(utf16le('Kerberos-Newer-Keys\0WDigest'));

export interface KeyOwner {
  /** The domain's DNS name. */
  readonly domain: string;
  readonly sAMAccountName: string;
  readonly isComputer: boolean;
}

/**
 * USER_PROPERTIES with AES keys of the password; in the place of WDigest's hashes stands chance, since nobody is to get
 * them. The caller wipes it. Some milliseconds: string-to-key is slow on purpose.
 */
export function supplementalCredentialsOf(password: string, owner: KeyOwner): Uint8Array {
  const { domain, sAMAccountName, isComputer } = owner;
  const salt = defaultSalt({ realm: domain, sAMAccountName, isComputer });
  const credentials = KEY_TYPES.map((keyType) => ({
    keyType,
    key: stringToKey(keyType, password, salt, { iterationCount: ITERATIONS }),
    iterationCount: ITERATIONS,
  }));
  const newerKeys = writeKerbStoredCredentialNew(
    kerbStoredCredentialNewOf({ defaultSalt: salt, defaultIterationCount: ITERATIONS, credentials }),
  );
  const wdigest = randomFillSync(secretBytes(WDIGEST_SIZE));
  const values = [newerKeys, wdigest].map(encodePropertyValue);
  try {
    return writeUserProperties(
      userPropertiesOf([
        { name: NEWER_KEYS, reserved: RESERVED_OF_PACKAGE, value: values[0]! },
        { name: PACKAGES, reserved: RESERVED_OF_PACKAGES, value: PACKAGE_NAMES },
        { name: WDIGEST, reserved: RESERVED_OF_PACKAGE, value: values[1]! },
      ]),
    );
  } finally {
    for (const bytes of [newerKeys, wdigest, ...values, ...credentials.map(({ key }) => key)]) bytes.fill(0);
  }
}
