/**
 * ADAuthInfo: the envelope of WindowsLegacyCredentials and WindowsSupplementalCredentials. Thirteen little-endian fields
 * of no published specification, as AADInternals writes them: an AES-256 key under RSA-OAEP (PKCS #1 2.2, SHA-1, empty
 * label, byte-reversed as CryptoAPI has it), and the payload under that key with CBC and PKCS #7.
 */

import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  randomFillSync,
  timingSafeEqual,
  X509Certificate,
} from 'node:crypto';
import { secretBytes } from '../crypto/secret-bytes.js';
import { PhsyncError } from '../hasher/errors.js';
import { ProtocolError } from '../protocol/errors.js';
import { checkKerberosKeysOnly } from '../protocol/samr/keep-kerberos-keys.js';

const VERSION = 1;
const RSA = 1;
const AES = 1;
const HEADER_SIZE = 32;
const THUMBPRINT_SIZE = 20;
const AES_KEY_SIZE = 32;
const BLOCK_SIZE = 16;
const MIN_RSA_BITS = 2048;
/** What an RSA operation costs grows with the cube of it. */
const MAX_RSA_BITS = 16_384;
/** USER_PROPERTIES with two values, neither of which can be longer than 64 KiB, fits well. */
const MAX_DATA_SIZE = 256 * 1024;

/** Whom a blob is for. */
export interface Recipient {
  /** RSA, 2048 bits and more. */
  readonly publicKey: KeyObject;
  /** SHA-1 of the certificate's DER: how the blob names it. */
  readonly thumbprint: Buffer;
}

/** One AES-256 key, clear and as the recipient gets it. For both blobs of one user's one change, and no further. */
export interface SealedKey {
  /** 32 bytes; whoever made it wipes it. */
  readonly aesKey: Uint8Array;
  /** RSA-OAEP of it in the order of the wire, which is the reverse of OpenSSL's. */
  readonly encryptedKey: Uint8Array;
  /** The recipient's. */
  readonly thumbprint: Uint8Array;
}

/** A blob's parts; views on it, but for the key. */
export interface AdAuthInfo {
  readonly thumbprint: Uint8Array;
  /** The RSA ciphertext, big-endian, as RSA implementations take it. */
  readonly encryptedKey: Buffer;
  readonly iv: Uint8Array;
  readonly data: Uint8Array;
}

/**
 * Undoes RSA-OAEP (SHA-1, MGF1 with SHA-1, empty label) with the private key of the certificate that `thumbprint` names:
 * the key, which `openAdAuthInfo` wipes, or undefined where the padding is wrong, whatever is wrong about it.
 * Throws `unknownCertificate(thumbprint)` where there is no such key, and its own errors where a key store fails.
 */
export type Unwrap = (
  thumbprint: Uint8Array,
  encryptedKey: Buffer,
) => Promise<Uint8Array | undefined> | Uint8Array | undefined;

/**
 * The recipient of a certificate: DER, or PEM. Its dates are not looked at: a blob is for whoever has the key.
 * @throws PhsyncError `ad-auth-info-certificate` for anything but a certificate with an RSA key of 2048 to 16,384 bits,
 * a multiple of 8.
 */
export function recipientOf(certificate: Uint8Array): Recipient {
  const { raw, publicKey } = readCertificate(certificate);
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey;
  const bits = details?.modulusLength ?? 0;
  // Whole bytes only: the blob's sizes follow from the modulus.
  if (type !== 'rsa' || bits < MIN_RSA_BITS || bits > MAX_RSA_BITS || bits % 8 !== 0) {
    throw new PhsyncError(
      'ad-auth-info-certificate',
      `Domain Services certificate: an RSA key of ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits expected, ` +
        `not ${type}${type === 'rsa' ? ` of ${bits}` : ''}`,
      { facts: { keyType: type, bits } },
    );
  }
  return { publicKey, thumbprint: createHash('sha1').update(raw).digest() };
}

function readCertificate(certificate: Uint8Array): { raw: Buffer; publicKey: KeyObject } {
  try {
    const { raw, publicKey } = new X509Certificate(certificate);
    return { raw, publicKey };
  } catch (cause) {
    throw new PhsyncError(
      'ad-auth-info-certificate',
      `Domain Services certificate: X.509 expected, which these ${certificate.length} bytes are not`,
      { cause },
    );
  }
}

/** A fresh key for the recipient: the one RSA operation of a user's change. The caller wipes `aesKey`. */
export function newSealedKey({ publicKey, thumbprint }: Recipient): SealedKey {
  return sealKey(randomFillSync(secretBytes(AES_KEY_SIZE)), { publicKey, thumbprint });
}

/** The given AES key for the recipient. */
export function sealKey(aesKey: Uint8Array, { publicKey, thumbprint }: Recipient): SealedKey {
  if (aesKey.length !== AES_KEY_SIZE) throw new RangeError(`an AES-256 key has 32 bytes, not ${aesKey.length}`);
  // SHA-1 is node:crypto's own choice: by name, OpenSSL looks it up at every call, which is 4 % of it.
  const encryptedKey = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, aesKey).reverse();
  return { aesKey, encryptedKey, thumbprint };
}

/**
 * A blob of `plaintext` for the recipient, under `key`, which must be the recipient's and stays the caller's; without
 * one, under a key that nobody else gets. `iv` is drawn afresh: one is given to test vectors only.
 *
 * @example sealAdAuthInfo(legacyPlaintext(ntHash), recipientOf(certificateDer)) // 356 bytes with RSA-2048
 */
export function sealAdAuthInfo(
  plaintext: Uint8Array,
  recipient: Recipient,
  key?: SealedKey,
  iv: Uint8Array = randomBytes(BLOCK_SIZE),
): Buffer {
  const own = key === undefined ? newSealedKey(recipient) : undefined;
  try {
    return seal(plaintext, recipient, (key ?? own)!, iv);
  } finally {
    own?.aesKey.fill(0);
  }
}

function seal(plaintext: Uint8Array, recipient: Recipient, key: SealedKey, iv: Uint8Array): Buffer {
  const { aesKey, encryptedKey, thumbprint } = key;
  if (Buffer.compare(thumbprint, recipient.thumbprint) !== 0) throw new RangeError('the key is for another recipient');
  if (iv.length !== BLOCK_SIZE) throw new RangeError(`an IV has ${BLOCK_SIZE} bytes, not ${iv.length}`);
  const dataSize = plaintext.length - (plaintext.length % BLOCK_SIZE) + BLOCK_SIZE;
  if (dataSize > MAX_DATA_SIZE) {
    throw new RangeError(`at most ${MAX_DATA_SIZE - 1} bytes can be sealed, not ${plaintext.length}`);
  }
  const ivAt = HEADER_SIZE + THUMBPRINT_SIZE + encryptedKey.length;
  const dataAt = ivAt + BLOCK_SIZE;
  const blob = Buffer.allocUnsafe(dataAt + dataSize);
  const fields = [VERSION, 0, RSA, AES, THUMBPRINT_SIZE, encryptedKey.length, BLOCK_SIZE, dataSize];
  // Not in parts for Buffer.concat, nor by entries(): the envelope took as long as the encryption of the NT hash.
  for (let i = 0; i < fields.length; i++) blob.writeUInt32LE(fields[i]!, 4 * i);
  blob.set(thumbprint, HEADER_SIZE);
  blob.set(encryptedKey, HEADER_SIZE + THUMBPRINT_SIZE);
  blob.set(iv, ivAt);
  const cipher = createCipheriv('aes-256-cbc', aesKey, iv);
  const whole = cipher.update(plaintext);
  blob.set(whole, dataAt);
  blob.set(cipher.final(), dataAt + whole.length);
  return blob;
}

function malformed(what: string, offset: number): PhsyncError {
  return new PhsyncError('ad-auth-info-malformed', `ADAuthInfo: ${what} at offset ${offset}`, { facts: { offset } });
}

/**
 * A blob's parts.
 * @throws PhsyncError `ad-auth-info-malformed` where a field of the header, or the length, is not what the format says.
 */
export function readAdAuthInfo(blob: Uint8Array): AdAuthInfo {
  if (blob.length < HEADER_SIZE) throw malformed(`a header of ${HEADER_SIZE} bytes expected, not ${blob.length},`, 0);
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const fixed = {
    version: VERSION,
    reserved: 0,
    keyAlgorithm: RSA,
    payloadAlgorithm: AES,
    thumbprint: THUMBPRINT_SIZE,
  };
  for (const [i, [name, expected]] of Object.entries(fixed).entries()) {
    const found = view.getUint32(4 * i, true);
    if (found !== expected) throw malformed(`${name}: ${expected} expected, not ${found},`, 4 * i);
  }
  const keySize = view.getUint32(20, true);
  if (keySize < MIN_RSA_BITS / 8 || keySize > MAX_RSA_BITS / 8) {
    throw malformed(
      `an encrypted key of ${MIN_RSA_BITS / 8} to ${MAX_RSA_BITS / 8} bytes expected, not ${keySize},`,
      20,
    );
  }
  const ivSize = view.getUint32(24, true);
  if (ivSize !== BLOCK_SIZE) throw malformed(`an IV of ${BLOCK_SIZE} bytes expected, not ${ivSize},`, 24);
  const dataSize = view.getUint32(28, true);
  if (dataSize === 0 || dataSize % BLOCK_SIZE !== 0 || dataSize > MAX_DATA_SIZE) {
    throw malformed(`whole blocks of ${BLOCK_SIZE} bytes, ${MAX_DATA_SIZE} at most, expected, not ${dataSize},`, 28);
  }
  const ivAt = HEADER_SIZE + THUMBPRINT_SIZE + keySize;
  const dataAt = ivAt + BLOCK_SIZE;
  if (blob.length !== dataAt + dataSize) {
    throw malformed(
      `${dataAt + dataSize} bytes expected, not ${blob.length}: the end`,
      Math.min(blob.length, dataAt + dataSize),
    );
  }
  return {
    thumbprint: blob.subarray(HEADER_SIZE, HEADER_SIZE + THUMBPRINT_SIZE),
    encryptedKey: Buffer.from(blob.subarray(HEADER_SIZE + THUMBPRINT_SIZE, ivAt)).reverse(),
    iv: blob.subarray(ivAt, dataAt),
    data: blob.subarray(dataAt),
  };
}

/** What `Unwrap` throws where it has no key for the thumbprint. */
export function unknownCertificate(thumbprint: Uint8Array): PhsyncError {
  const hex = Buffer.from(thumbprint).toString('hex');
  return new PhsyncError(
    'ad-auth-info-unknown-certificate',
    `ADAuthInfo: sealed for the certificate with the SHA-1 thumbprint ${hex}, whose private key is not here`,
    { facts: { thumbprint: hex } },
  );
}

/** RSA-OAEP with a private key at hand, for `Unwrap`: undefined where OpenSSL refuses the ciphertext or its padding. */
export function unwrapWith(privateKey: KeyObject, encryptedKey: Uint8Array): Buffer | undefined {
  try {
    return privateDecrypt(
      { key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' },
      encryptedKey,
    );
  } catch (error) {
    // ERR_OSSL_RSA_OAEP_DECODING_ERROR and its like; anything else is not the ciphertext's fault.
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_OSSL_RSA_')) return undefined;
    throw error;
  }
}

/**
 * The one error of everything that fails behind the header: OAEP, padding, and what the plaintext must begin with. Told
 * apart, they would tell whoever sends altered blobs what is in them (Manger's and Vaudenay's attacks).
 */
function wrongKey(): PhsyncError {
  return new PhsyncError(
    'ad-auth-info-wrong-key',
    'ADAuthInfo: cannot be opened; it was sealed for another key than its thumbprint says, or altered on its way',
  );
}

/**
 * The payload of a blob, in memory of its own, which the caller wipes. Where the unwrapping fails, a random key goes the
 * rest of the way, so that this takes the same steps whatever is wrong.
 * @throws PhsyncError `ad-auth-info-malformed`, `ad-auth-info-unknown-certificate`, `ad-auth-info-wrong-key`, and what
 * `unwrap` throws of its own.
 */
export async function openAdAuthInfo(blob: Uint8Array, unwrap: Unwrap): Promise<Uint8Array> {
  const { thumbprint, encryptedKey, iv, data } = readAdAuthInfo(blob);
  const substitute = randomBytes(AES_KEY_SIZE);
  const unwrapped = await unwrap(thumbprint, encryptedKey);
  const isKey = unwrapped?.length === AES_KEY_SIZE;
  let padded: Uint8Array;
  try {
    padded = decrypt(isKey ? unwrapped : substitute, iv, data);
  } finally {
    unwrapped?.fill(0);
  }
  const size = unpaddedSize(padded);
  if (!isKey || size < 0) {
    padded.fill(0);
    throw wrongKey();
  }
  return padded.subarray(0, size);
}

function decrypt(key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array {
  const decipher = createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false);
  const padded = decipher.update(data);
  // Node lets OpenSSL write into memory that is a block larger, returns a copy and frees the former as it is. What the
  // allocator gives for the same size next is that place, over which these zeros go, decrypted.
  decipher.update(new Uint8Array(data.length));
  decipher.final();
  return padded;
}

/** PKCS #7 (RFC 5652 6.3): the size without the padding, or -1. Every byte of the last block is looked at. */
function unpaddedSize(padded: Uint8Array): number {
  const count = padded[padded.length - 1]!;
  let wrong = count === 0 || count > BLOCK_SIZE ? 1 : 0;
  for (let i = 1; i <= BLOCK_SIZE; i++) {
    const inPadding = i <= count ? 0xff : 0;
    wrong |= inPadding & (padded[padded.length - i]! ^ count);
  }
  return wrong === 0 ? padded.length - count : -1;
}

/** An ATTRTYP, the value's length and the value: how both payloads are made. */
const TLV_HEADER_SIZE = 8;
/** The ATTRTYPs that Active Directory's own prefix table gives (MS-DRSR 5.16.4). */
const UNICODE_PWD = 0x0009005a;
const SUPPLEMENTAL_CREDENTIALS = 0x0009007d;
const NT_HASH_SIZE = 16;

function tlv(attrTyp: number, value: Uint8Array, into?: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const size = TLV_HEADER_SIZE + value.length;
  const plaintext = into?.subarray(0, size) ?? secretBytes(size);
  const view = new DataView(plaintext.buffer, plaintext.byteOffset, size);
  view.setUint32(0, attrTyp, true);
  view.setUint32(4, value.length, true);
  plaintext.set(value, TLV_HEADER_SIZE);
  return plaintext;
}

/** The value, a view. @throws PhsyncError `ad-auth-info-wrong-key`, see there. */
function valueIn(attrTyp: number, plaintext: Uint8Array): Uint8Array {
  const expected = tlv(attrTyp, new Uint8Array(0));
  new DataView(expected.buffer).setUint32(4, Math.max(0, plaintext.length - TLV_HEADER_SIZE), true);
  if (plaintext.length < TLV_HEADER_SIZE || !timingSafeEqual(plaintext.subarray(0, TLV_HEADER_SIZE), expected)) {
    throw wrongKey();
  }
  return plaintext.subarray(TLV_HEADER_SIZE);
}

/**
 * WindowsLegacyCredentials' payload, 24 bytes: unicodePwd's ATTRTYP, 16, the NT hash. The caller wipes it. It begins where
 * `into` does, if that is given, which spares the allocation.
 */
export function legacyPlaintext(ntHash: Uint8Array, into?: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (ntHash.length !== NT_HASH_SIZE)
    throw new RangeError(`an NT hash has ${NT_HASH_SIZE} bytes, not ${ntHash.length}`);
  return tlv(UNICODE_PWD, ntHash, into);
}

/** The NT hash in WindowsLegacyCredentials' payload: 16 bytes, a view. @throws PhsyncError `ad-auth-info-wrong-key` */
export function parseLegacyPlaintext(plaintext: Uint8Array): Uint8Array {
  const ntHash = valueIn(UNICODE_PWD, plaintext);
  if (ntHash.length !== NT_HASH_SIZE) throw wrongKey();
  return ntHash;
}

/**
 * WindowsSupplementalCredentials' payload: supplementalCredentials' ATTRTYP, the length, USER_PROPERTIES as
 * `keepKerberosKeys` gives them. No other implementation's is known. The caller wipes it; `into` as with `legacyPlaintext`.
 */
export function supplementalPlaintext(
  userProperties: Uint8Array,
  into?: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  return tlv(SUPPLEMENTAL_CREDENTIALS, userProperties, into);
}

/**
 * The USER_PROPERTIES in WindowsSupplementalCredentials' payload, a view: Kerberos keys, and byte for byte as
 * `keepKerberosKeys` writes them, which is what finds out an altered blob that the padding lets pass.
 * @throws PhsyncError `ad-auth-info-wrong-key`
 */
export function parseSupplementalPlaintext(plaintext: Uint8Array): Uint8Array {
  const userProperties = valueIn(SUPPLEMENTAL_CREDENTIALS, plaintext);
  try {
    checkKerberosKeysOnly(userProperties);
  } catch (error) {
    // No cause: it would tell the two apart.
    if (error instanceof ProtocolError) throw wrongKey();
    throw error;
  }
  return userProperties;
}
