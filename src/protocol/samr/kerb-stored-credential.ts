/** KERB_STORED_CREDENTIAL with KERB_KEY_DATA, the value of Primary:Kerberos: DES keys only (MS-SAMR 2.2.10.4, 2.2.10.5). */

import {
  type KerbKeyData,
  LayoutReader,
  layOut,
  type NewKey,
  type StoredCredentialBase,
  writeLayout,
} from './kerb-layout.js';

const SHAPE = { structure: 'KERB_STORED_CREDENTIAL', revision: 3, headerSize: 16, entrySize: 20 } as const;
const SALT_AT = 8;

export interface KerbStoredCredential extends StoredCredentialBase {
  readonly revision: 3;
  readonly credentials: readonly KerbKeyData[];
  /** Of the password before. */
  readonly oldCredentials: readonly KerbKeyData[];
}

/** @throws ProtocolError `malformed` with the offset, never with a key. */
export function parseKerbStoredCredential(bytes: Uint8Array): KerbStoredCredential {
  const reader = new LayoutReader(bytes, SHAPE);
  const starts = [4, 6].map((at) => reader.entries(reader.view.getUint16(at, true)));
  const [credentials, oldCredentials] = starts.map((list) => reader.keys(list));
  return {
    revision: 3,
    flags: reader.view.getUint16(2, true),
    credentials: credentials!,
    oldCredentials: oldCredentials!,
    ...reader.salt(SALT_AT),
    size: bytes.length,
    gaps: reader.gaps(),
  };
}

/**
 * The bytes, with everything where its offset says, in memory that the caller wipes: of a parsed structure the same
 * ones, Windows 2003's padding included.
 * @throws RangeError where a part lies outside of `size`.
 */
export function writeKerbStoredCredential(value: KerbStoredCredential): Uint8Array<ArrayBuffer> {
  const { bytes, view } = writeLayout(value, [...value.credentials, ...value.oldCredentials], SALT_AT, SHAPE);
  view.setUint16(4, value.credentials.length, true);
  view.setUint16(6, value.oldCredentials.length, true);
  return bytes;
}

/** A structure with these keys, laid out as Windows does since 2008. */
export function kerbStoredCredentialOf(parts: {
  readonly defaultSalt: string;
  readonly credentials: readonly NewKey[];
  readonly oldCredentials?: readonly NewKey[];
}): KerbStoredCredential {
  const salt = Buffer.from(parts.defaultSalt, 'utf16le');
  const { base, lists } = layOut([parts.credentials, parts.oldCredentials ?? []], salt, SHAPE);
  return { revision: 3, flags: 0, credentials: lists[0]!, oldCredentials: lists[1]!, ...base };
}
