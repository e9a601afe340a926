/** Domain Services credentials, sealed: envelopes as a domain controller replicates them in, ADAuthInfo blobs out. */

import { secretBytes } from '../crypto/secret-bytes.js';
import type { Backend } from '../hasher/backend.js';
import { ENVELOPE_OVERHEAD, ENVELOPE_SIZE, EnvelopeStatus, type FlatItems, NT_HASH_SIZE } from '../hasher/types.js';
import { ProtocolError } from '../protocol/errors.js';
import { keepKerberosKeys } from '../protocol/samr/keep-kerberos-keys.js';
import {
  legacyPlaintext,
  type Recipient,
  type SealedKey,
  sealAdAuthInfo,
  sealKey,
  supplementalPlaintext,
} from './ad-auth-info.js';

const AES_KEY_SIZE = 32;
const IV_SIZE = 16;
/** What one user and change needs of chance: the AES key, an IV for each blob, and what may take the NT hash's place. */
const DRAWN_SIZE = AES_KEY_SIZE + 2 * IV_SIZE + NT_HASH_SIZE;

/** Of the blobs: everything in them that is of one size (32 header, 20 thumbprint, 16 IV) but for the RSA ciphertext. */
const BLOB_HEADER_SIZE = 68;
/** 24 bytes of payload and their padding. */
const LEGACY_DATA_SIZE = 32;
/**
 * The most by which the ciphertext is longer than the envelope that it is made of: 8 bytes of ATTRTYP and length, up to
 * 16 of padding, and Packages (134 bytes) where there was none.
 */
const SUPPLEMENTAL_MARGIN = 160;

/** Bytes of the recipient's RSA modulus. */
export const rsaSizeOf = ({ publicKey }: Recipient): number => publicKey.asymmetricKeyDetails!.modulusLength! / 8;

/** Bytes of WindowsLegacyCredentials under an RSA key of so many bytes. */
export const legacySize = (rsaSize: number): number => BLOB_HEADER_SIZE + rsaSize + LEGACY_DATA_SIZE;

/** Bytes that WindowsSupplementalCredentials takes at most beyond the envelope that it is made of. */
export const supplementalRoom = (rsaSize: number): number => BLOB_HEADER_SIZE + rsaSize + SUPPLEMENTAL_MARGIN;

/** What became of one field; `EnvelopeStatus` goes before. */
export const FieldStatus = {
  ...EnvelopeStatus,
  /** There was no envelope. */
  absent: 4,
  /** The envelope was opened, and what was in it is no supplementalCredentials. */
  malformed: 5,
  /** There is no Kerberos key in it. */
  noKerberosKeys: 6,
} as const;
export type FieldStatusCode = (typeof FieldStatus)[keyof typeof FieldStatus];

/** n users. Everything with a secret in it lies in shared memory, which the main thread wipes. */
export interface SealSlice {
  /** False: chance takes the place of the NT hash, and the envelope with it is not opened. */
  readonly ntlm: boolean;
  readonly sessionKeys: Uint8Array;
  readonly sessionKeyOffsets: Uint32Array;
  readonly rids: Uint32Array;
  /** Envelopes; one that is missing has no bytes and a status of `absent`. */
  readonly unicodePwd: FlatItems;
  readonly supplementalCredentials: FlatItems;
  /** In: 0 or `absent`. Out: n statuses. */
  readonly legacyStatus: Uint8Array;
  readonly supplementalStatus: Uint8Array;
  /** Out: n × `legacySize`. */
  readonly legacy: Uint8Array;
  /** Out: the i-th blob begins i × `supplementalRoom` bytes behind where the i-th envelope begins. */
  readonly supplemental: Uint8Array;
  /** Out: the blobs' sizes, 0 where there is none. */
  readonly supplementalSizes: Uint32Array;
}

/** Where the i-th user's blobs stand in `legacy` and `supplemental`. */
export const legacyAt = (rsaSize: number, i: number): number => i * legacySize(rsaSize);
export const supplementalAt = (rsaSize: number, i: number, offsets: Uint32Array): number =>
  i * supplementalRoom(rsaSize) + offsets[i]! - offsets[0]!;

/** Fills bytes from a cryptographically secure generator. */
export type Random = (bytes: Uint8Array<ArrayBuffer>) => void;

/** In this thread's own memory, for the time of one slice. */
interface Scratch {
  /** Data begin where their envelopes do. */
  readonly ntHashes: Uint8Array;
  readonly plain: Uint8Array;
  /** As long as the longest. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** n × DRAWN_SIZE. */
  readonly drawn: Uint8Array<ArrayBuffer>;
}

/** Opens the envelopes that are there into `data`. */
function open(
  backend: Backend,
  { sessionKeys, sessionKeyOffsets }: SealSlice,
  { bytes, offsets }: FlatItems,
  rids: Uint32Array | null,
  data: Uint8Array,
  status: Uint8Array,
): void {
  const opened = new Uint8Array(status.length);
  backend.openBatch(sessionKeys, sessionKeyOffsets, bytes, offsets, rids, data, opened);
  for (let i = 0; i < status.length; i++) {
    if (status[i] !== FieldStatus.absent) status[i] = opened[i]!;
  }
}

function openAll(backend: Backend, slice: SealSlice, { ntHashes, plain }: Scratch): void {
  const { ntlm, rids, unicodePwd, supplementalCredentials, legacyStatus, supplementalStatus } = slice;
  if (ntlm) {
    open(backend, slice, unicodePwd, rids, ntHashes, legacyStatus);
    for (let i = 0; i < legacyStatus.length; i++) {
      // Two hashes open as one does.
      const size = unicodePwd.offsets[i + 1]! - unicodePwd.offsets[i]!;
      if (legacyStatus[i] === FieldStatus.ok && size !== ENVELOPE_SIZE) legacyStatus[i] = FieldStatus.length;
    }
  } else {
    legacyStatus.fill(FieldStatus.ok);
  }
  open(backend, slice, supplementalCredentials, null, plain, supplementalStatus);
}

/** The Kerberos keys of an opened supplementalCredentials, which the caller wipes, or why there are none. */
function keep(plain: Uint8Array): Uint8Array | FieldStatusCode {
  try {
    return keepKerberosKeys(plain) ?? FieldStatus.noKerberosKeys;
  } catch (error) {
    if (error instanceof ProtocolError) return FieldStatus.malformed;
    throw error;
  }
}

/** The i-th user's Kerberos keys, which the caller wipes. */
function kerberosKeys({ supplementalCredentials, supplementalStatus }: SealSlice, plain: Uint8Array, i: number) {
  if (supplementalStatus[i] !== FieldStatus.ok) return undefined;
  const { offsets } = supplementalCredentials;
  const kept = keep(plain.subarray(offsets[i]!, offsets[i + 1]! - ENVELOPE_OVERHEAD));
  if (typeof kept !== 'number') return kept;
  supplementalStatus[i] = kept;
  return undefined;
}

/** A blob of `payload`, which is wiped. */
function blobOf(payload: Uint8Array, recipient: Recipient, key: SealedKey, iv: Uint8Array): Buffer {
  try {
    return sealAdAuthInfo(payload, recipient, key, iv);
  } finally {
    payload.fill(0);
  }
}

function sealOne(
  slice: SealSlice,
  recipient: Recipient,
  { ntHashes, plain, payload, drawn }: Scratch,
  i: number,
): void {
  const { ntlm, unicodePwd, supplementalCredentials, legacyStatus, supplementalSizes } = slice;
  const rsaSize = rsaSizeOf(recipient);
  supplementalSizes[i] = 0;
  const hasNtHash = legacyStatus[i] === FieldStatus.ok;
  const kept = kerberosKeys(slice, plain, i);
  if (!hasNtHash && kept === undefined) return;
  let at = i * DRAWN_SIZE;
  const next = (size: number): Uint8Array => {
    at += size;
    return drawn.subarray(at - size, at);
  };
  try {
    const key = sealKey(next(AES_KEY_SIZE), recipient);
    const [legacyIv, supplementalIv, chance] = [next(IV_SIZE), next(IV_SIZE), next(NT_HASH_SIZE)];
    if (hasNtHash) {
      const from = unicodePwd.offsets[i]!;
      const ntHash = ntlm ? ntHashes.subarray(from, from + NT_HASH_SIZE) : chance;
      slice.legacy.set(blobOf(legacyPlaintext(ntHash, payload), recipient, key, legacyIv), legacyAt(rsaSize, i));
    }
    if (kept !== undefined) {
      const blob = blobOf(supplementalPlaintext(kept, payload), recipient, key, supplementalIv);
      slice.supplemental.set(blob, supplementalAt(rsaSize, i, supplementalCredentials.offsets));
      supplementalSizes[i] = blob.length;
    }
  } finally {
    kept?.fill(0);
  }
}

function longestItem({ offsets }: FlatItems): number {
  let longest = 0;
  for (let i = 1; i < offsets.length; i++) longest = Math.max(longest, offsets[i]! - offsets[i - 1]!);
  return longest;
}

/**
 * Seals a slice's users for `recipient`, each under an AES key of their own, which one RSA operation wraps for both blobs.
 * Everything secret is wiped at the end but for the slice's own memory, which is the caller's.
 */
export function sealSlice(backend: Backend, recipient: Recipient, slice: SealSlice, random: Random): void {
  const { ntlm, rids, unicodePwd, supplementalCredentials } = slice;
  const scratch: Scratch = {
    ntHashes: secretBytes(ntlm ? unicodePwd.bytes.length : 0),
    plain: secretBytes(supplementalCredentials.bytes.length),
    payload: secretBytes(longestItem(supplementalCredentials) + SUPPLEMENTAL_MARGIN),
    drawn: secretBytes(rids.length * DRAWN_SIZE),
  };
  try {
    openAll(backend, slice, scratch);
    random(scratch.drawn);
    for (let i = 0; i < rids.length; i++) sealOne(slice, recipient, scratch, i);
  } finally {
    for (const bytes of Object.values(scratch)) bytes.fill(0);
  }
}
