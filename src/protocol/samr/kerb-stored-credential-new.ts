/** KERB_STORED_CREDENTIAL_NEW with KERB_KEY_DATA_NEW, the value of Primary:Kerberos-Newer-Keys (MS-SAMR 2.2.10.6, 2.2.10.7). */

import {
  type KerbKeyData,
  LayoutReader,
  layOut,
  NEW_ENTRY_SIZE,
  type NewKey,
  type StoredCredentialBase,
  writeLayout,
} from './kerb-layout.js';

const SHAPE = {
  structure: 'KERB_STORED_CREDENTIAL_NEW',
  revision: 4,
  headerSize: 24,
  entrySize: NEW_ENTRY_SIZE,
} as const;
const SALT_AT = 12;
/** CredentialCount, ServiceCredentialCount, OldCredentialCount and OlderCredentialCount. */
const COUNTS_AT = [4, 6, 8, 10] as const;
const ITERATION_COUNT_AT = 20;

export interface KerbStoredCredentialNew extends StoredCredentialBase {
  readonly revision: 4;
  readonly credentials: readonly KerbKeyData[];
  /** Never seen in Windows' own. */
  readonly serviceCredentials: readonly KerbKeyData[];
  /** Of the password before. */
  readonly oldCredentials: readonly KerbKeyData[];
  /** Of the one before that. */
  readonly olderCredentials: readonly KerbKeyData[];
  readonly defaultIterationCount: number;
}

/** @throws ProtocolError `malformed` with the offset, never with a key. */
export function parseKerbStoredCredentialNew(bytes: Uint8Array): KerbStoredCredentialNew {
  const reader = new LayoutReader(bytes, SHAPE);
  const starts = COUNTS_AT.map((at) => reader.entries(reader.view.getUint16(at, true)));
  const [credentials, serviceCredentials, oldCredentials, olderCredentials] = starts.map((list) => reader.keys(list));
  return {
    revision: 4,
    flags: reader.view.getUint16(2, true),
    credentials: credentials!,
    serviceCredentials: serviceCredentials!,
    oldCredentials: oldCredentials!,
    olderCredentials: olderCredentials!,
    ...reader.salt(SALT_AT),
    defaultIterationCount: reader.view.getUint32(ITERATION_COUNT_AT, true),
    size: bytes.length,
    gaps: reader.gaps(),
  };
}

const listsOf = (value: KerbStoredCredentialNew): readonly (readonly KerbKeyData[])[] => [
  value.credentials,
  value.serviceCredentials,
  value.oldCredentials,
  value.olderCredentials,
];

/**
 * The bytes, with everything where its offset says, in memory that the caller wipes: of a parsed structure the same ones.
 * @throws RangeError where a part lies outside of `size`.
 */
export function writeKerbStoredCredentialNew(value: KerbStoredCredentialNew): Uint8Array<ArrayBuffer> {
  const lists = listsOf(value);
  const { bytes, view } = writeLayout(value, lists.flat(), SALT_AT, SHAPE);
  for (const [i, at] of COUNTS_AT.entries()) view.setUint16(at, lists[i]!.length, true);
  view.setUint32(ITERATION_COUNT_AT, value.defaultIterationCount, true);
  return bytes;
}

/** A structure with these keys, laid out as Windows does. */
export function kerbStoredCredentialNewOf(parts: {
  readonly defaultSalt: string;
  readonly defaultIterationCount: number;
  readonly credentials: readonly NewKey[];
  readonly serviceCredentials?: readonly NewKey[];
  readonly oldCredentials?: readonly NewKey[];
  readonly olderCredentials?: readonly NewKey[];
}): KerbStoredCredentialNew {
  const { defaultSalt, defaultIterationCount, credentials } = parts;
  const { serviceCredentials = [], oldCredentials = [], olderCredentials = [] } = parts;
  const { base, lists } = layOut(
    [credentials, serviceCredentials, oldCredentials, olderCredentials],
    Buffer.from(defaultSalt, 'utf16le'),
    SHAPE,
  );
  return {
    revision: 4,
    flags: 0,
    credentials: lists[0]!,
    serviceCredentials: lists[1]!,
    oldCredentials: lists[2]!,
    olderCredentials: lists[3]!,
    defaultIterationCount,
    ...base,
  };
}
