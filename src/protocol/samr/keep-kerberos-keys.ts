/** What of supplementalCredentials leaves the domain: its Kerberos keys, and nothing else (MS-SAMR 3.1.1.8.11). */

import { secretBytes } from '../../crypto/secret-bytes.js';
import { ProtocolError } from '../errors.js';
import { parseKerbStoredCredential } from './kerb-stored-credential.js';
import { parseKerbStoredCredentialNew } from './kerb-stored-credential-new.js';
import { decodePropertyValue, encodePropertyValue } from './property-value.js';
import { parseUserProperties, type UserProperty, userPropertiesOf, writeUserProperties } from './user-properties.js';

const utf16le = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'utf16le'));

const PACKAGES = utf16le('Packages');
/** The packages that are kept: the property, the name that `Packages` gives it, and how its value is read. */
const KERBEROS = ['Kerberos-Newer-Keys', 'Kerberos'].map((name) => ({
  property: utf16le(`Primary:${name}`),
  name,
  parse: name === 'Kerberos' ? parseKerbStoredCredential : parseKerbStoredCredentialNew,
}));
/** Reserved of `Packages`, and of every other property, as Windows writes them. */
const RESERVED_OF_PACKAGES = 2;
const RESERVED_OF_PACKAGE = 1;

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // Not `every`: its calls took as long as the parsing.
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A decoded value, of which the longest has 65,535 digits. One for all calls: memory made anew took as long as the rest. */
const VALUE = secretBytes(2 ** 15);

/** Whether a current key is in it. @throws ProtocolError where the value is none of its package. */
function hasKey(property: UserProperty, parse: (typeof KERBEROS)[number]['parse']): boolean {
  const value = decodePropertyValue(property.value, VALUE.subarray(0, property.value.length >>> 1));
  try {
    return parse(value).credentials.some(({ key }) => key.length > 0);
  } finally {
    value.fill(0);
  }
}

/** The property of each package that has a current key, in the order of the original. */
function kept(properties: readonly UserProperty[]): { name: string; property: UserProperty }[] {
  const found: { name: string; property: UserProperty }[] = [];
  for (const property of properties) {
    const known = KERBEROS.find((each) => isSame(each.property, property.name));
    if (known === undefined) continue;
    if (found.some(({ name }) => name === known.name)) {
      throw new ProtocolError('malformed', `USER_PROPERTIES: Primary:${known.name} comes more than once`, {
        structure: 'USER_PROPERTIES',
      });
    }
    if (hasKey(property, known.parse)) found.push({ name: known.name, property });
  }
  return found;
}

/** By what is in it: one package, the other, or both in either order. */
const packages = new Map<string, UserProperty>();

function packagesOf(names: readonly string[]): UserProperty {
  const text = names.join('\0');
  let property = packages.get(text);
  if (property === undefined) {
    property = { name: PACKAGES, reserved: RESERVED_OF_PACKAGES, value: encodePropertyValue(utf16le(text)) };
    packages.set(text, property);
  }
  return property;
}

/**
 * USER_PROPERTIES of Primary:Kerberos-Newer-Keys and Primary:Kerberos alone, and of Packages naming just these, from the
 * clear bytes of supplementalCredentials; undefined where neither has a current key. The digits of the two values are
 * copied as bytes; the reserved fields, which may hold anything, are written anew. The caller wipes both.
 * @throws ProtocolError `malformed` where the blob, or one of the two values, is not what it should be.
 */
export function keepKerberosKeys(plain: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const found = kept(parseUserProperties(plain).properties);
  if (found.length === 0) return undefined;
  return writeUserProperties(
    userPropertiesOf([
      ...found.map(({ property }) => ({ ...property, reserved: RESERVED_OF_PACKAGE })),
      packagesOf(found.map(({ name }) => name)),
    ]),
  );
}

/**
 * Refuses what `keepKerberosKeys` did not write: another property, another order, a reserved field that is not its own.
 * @throws ProtocolError `malformed`
 */
export function checkKerberosKeysOnly(reduced: Uint8Array): void {
  const again = keepKerberosKeys(reduced);
  try {
    if (again === undefined || !isSame(again, reduced)) {
      throw new ProtocolError('malformed', 'USER_PROPERTIES: Kerberos keys and nothing else expected', {
        structure: 'USER_PROPERTIES',
      });
    }
  } finally {
    again?.fill(0);
  }
}
