/** The recorded blobs and what stands in them, in the shapes that the codec gives. */

import { openEnvelope } from '#src/hasher/fallback/envelope.js';
import { ENVELOPE_OVERHEAD, EnvelopeStatus } from '#src/hasher/types.js';
import { type KerbKeyData, saltText } from '#src/protocol/samr/kerb-layout.js';
import { parseKerbStoredCredential } from '#src/protocol/samr/kerb-stored-credential.js';
import { parseKerbStoredCredentialNew } from '#src/protocol/samr/kerb-stored-credential-new.js';
import { decodePropertyValue } from '#src/protocol/samr/property-value.js';
import { propertyName, type UserProperty } from '#src/protocol/samr/user-properties.js';
import kerbkeys from '../../vectors/kerbkeys.json' with { type: 'json' };
import replication from '../../vectors/replication.json' with { type: 'json' };
import suppcred from '../../vectors/suppcred.json' with { type: 'json' };

export const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
export const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

type DecodedKey =
  | [list: string, iterationCount: number, keyType: number, key: string]
  | [list: string, keyType: number, key: string];

/** As in the vectors' `decoded`. */
export interface DecodedKerberos {
  readonly revision: number;
  readonly flags: number;
  readonly counts: readonly number[];
  readonly salt: string;
  readonly saltOffset: number;
  readonly iterations?: number;
  readonly keys: readonly DecodedKey[];
}

interface DecodedProperty {
  readonly name: string;
  readonly reserved: number;
  readonly valueLen: number;
  readonly value: unknown;
}

export interface SuppCredVector {
  readonly name: string;
  readonly length: number;
  readonly hex: string;
  readonly decoded: { readonly reserved5?: number; readonly properties: readonly DecodedProperty[] };
}

/** What a Windows DC replicated, with a password stored reversibly. */
function captured(): SuppCredVector {
  const { sessionKey, blob, decoded } = replication.find(({ name }) => name === 'SupplementalCredentials')!;
  const envelope = bytes(blob);
  const plain = new Uint8Array(envelope.length - ENVELOPE_OVERHEAD);
  if (openEnvelope([bytes(sessionKey)], envelope, undefined, plain) !== EnvelopeStatus.ok) {
    throw new Error('the captured envelope does not open');
  }
  return {
    name: 'captured from DRSGetNCChanges',
    length: plain.length,
    hex: hex(plain),
    decoded: decoded as unknown as SuppCredVector['decoded'],
  };
}

export const suppCredVectors = [...(suppcred as unknown as readonly SuppCredVector[]), captured()];
export const kerberosVectors = kerbkeys as unknown as readonly {
  readonly name: string;
  readonly hex: string;
  readonly decoded: DecodedKerberos;
}[];

const keysOf = (list: string, keys: readonly KerbKeyData[], isNew: boolean): DecodedKey[] =>
  keys.map(({ iterationCount, keyType, key }) =>
    isNew ? [list, iterationCount, keyType, hex(key)] : [list, keyType, hex(key)],
  );

/** What the codec reads, told as the vectors tell it. */
export function decodeKerberos(data: Uint8Array, revision: number): DecodedKerberos {
  if (revision === 3) {
    const value = parseKerbStoredCredential(data);
    return {
      revision: value.revision,
      flags: value.flags,
      counts: [value.credentials.length, value.oldCredentials.length],
      salt: saltText(value),
      saltOffset: value.defaultSaltOffset,
      keys: [...keysOf('cur', value.credentials, false), ...keysOf('old', value.oldCredentials, false)],
    };
  }
  const value = parseKerbStoredCredentialNew(data);
  const lists = [value.credentials, value.serviceCredentials, value.oldCredentials, value.olderCredentials];
  return {
    revision: value.revision,
    flags: value.flags,
    counts: lists.map((list) => list.length),
    salt: saltText(value),
    saltOffset: value.defaultSaltOffset,
    iterations: value.defaultIterationCount,
    keys: lists.flatMap((list, i) => keysOf(['cur', 'service', 'old', 'older'][i]!, list, true)),
  };
}

/** A property as the vectors tell it. */
export function decodeProperty(property: UserProperty): DecodedProperty {
  const name = propertyName(property);
  const value = decodePropertyValue(property.value);
  return { name, reserved: property.reserved, valueLen: value.length, value: decodeValue(name, value) };
}

function decodeValue(name: string, value: Uint8Array): unknown {
  switch (name) {
    case 'Packages':
      return Buffer.from(value).toString('utf16le').split('\0');
    case 'Primary:CLEARTEXT':
      return Buffer.from(value).toString('utf16le');
    case 'Primary:Kerberos':
      return decodeKerberos(value, 3);
    case 'Primary:Kerberos-Newer-Keys':
      return decodeKerberos(value, 4);
    case 'Primary:WDigest':
      return {
        header: hex(value.subarray(0, 16)),
        hashes: Array.from({ length: (value.length - 16) / 16 }, (_, i) =>
          hex(value.subarray(16 * i + 16, 16 * i + 32)),
        ),
      };
    default:
      return hex(value);
  }
}
