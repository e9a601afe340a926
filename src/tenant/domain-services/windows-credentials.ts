/** The Windows credentials of a provisioned item: what of a sealed blob can be checked without opening it. */

import { createHash } from 'node:crypto';
import { PhsyncError } from '../../hasher/errors.js';
import { readAdAuthInfo } from '../../provisioning/ad-auth-info.js';
import type { SyncCredentialsChangeItem } from '../../provisioning/types.js';
import type { SealedBlob, WindowsCredentials } from '../store/changes.js';
import type { Queries } from '../store/database.js';
import { thumbprintText } from './certificate.js';
import { readCertificates, readService } from './repository.js';

/**
 * Bytes of RSA keys by their certificates' thumbprints in hexadecimal. `unasked`: no item has Windows credentials; `off`:
 * Domain Services are not enabled.
 */
export type KnownCertificates = ReadonlyMap<string, number> | 'unasked' | 'off';

/** An ATTRTYP, a length and an NT hash: 24 bytes, padded. */
const LEGACY_DATA = 32;
/** Kerberos keys of three passwords have some five KiB. */
const MAX_BLOB = 32 * 1024;

type Item = Pick<SyncCredentialsChangeItem, 'windowsLegacyCredentials' | 'windowsSupplementalCredentials'>;

/** Some clients write an empty element where others write i:nil. */
const hasAny = ({ windowsLegacyCredentials: legacy, windowsSupplementalCredentials: supplemental }: Item) =>
  (legacy !== undefined && legacy !== '') || (supplemental !== undefined && supplemental !== '');

/** Asks the database only where an item has Windows credentials. */
export async function knownCertificates(
  items: readonly Item[],
  run: <T>(work: (queries: Queries) => Promise<T>) => Promise<T>,
): Promise<KnownCertificates> {
  if (!items.some(hasAny)) return 'unasked';
  return run(async (queries) => {
    if ((await readService(queries))?.enabled !== 1) return 'off';
    const certificates = await readCertificates(queries);
    return new Map(certificates.map(({ thumbprint, key_bytes }) => [thumbprintText(thumbprint), key_bytes]));
  });
}

export type WindowsReading =
  | { readonly status: 'off' }
  | { readonly status: 'read'; readonly windows: WindowsCredentials }
  /** Names the element, and what is wrong with it. */
  | { readonly status: 'refused'; readonly words: string };

/** Undefined: the item has none. */
export function readWindowsCredentials(item: Item, known: KnownCertificates): WindowsReading | undefined {
  if (known === 'unasked' || !hasAny(item)) return undefined;
  if (known === 'off') return { status: 'off' };
  try {
    const legacy = readBlob('WindowsLegacyCredentials', item.windowsLegacyCredentials, known);
    const supplemental = readBlob('WindowsSupplementalCredentials', item.windowsSupplementalCredentials, known);
    if (legacy !== undefined && legacy.data !== LEGACY_DATA) {
      throw new Refusal(`WindowsLegacyCredentials: ${LEGACY_DATA} sealed bytes expected, not ${legacy.data}`);
    }
    if (legacy !== undefined && supplemental !== undefined && !legacy.thumbprint.equals(supplemental.thumbprint)) {
      throw new Refusal('WindowsLegacyCredentials and WindowsSupplementalCredentials are sealed to two certificates');
    }
    const { thumbprint } = (legacy ?? supplemental)!;
    return {
      status: 'read',
      windows: { thumbprint, legacy: storable(legacy), supplemental: storable(supplemental) },
    };
  } catch (error) {
    if (error instanceof Refusal) return { status: 'refused', words: error.message };
    throw error;
  }
}

/** One item's, the others of its batch are not touched by it. */
class Refusal extends Error {
  override readonly name = 'Refusal';
}

interface Blob {
  readonly blob: Buffer;
  readonly thumbprint: Buffer;
  /** Bytes of the sealed payload. */
  readonly data: number;
}

/** With its digest, made before anything else has it in hand. */
function storable(blob: Blob | undefined): SealedBlob | null {
  if (blob === undefined) return null;
  return { bytes: blob.blob, digest: createHash('sha256').update(blob.blob).digest() };
}

function readBlob(name: string, text: string | undefined, known: ReadonlyMap<string, number>): Blob | undefined {
  if (text === undefined || text === '') return undefined;
  if (text.length > (MAX_BLOB / 3) * 4) throw new Refusal(`${name}: more than ${MAX_BLOB} bytes`);
  const blob = Buffer.from(text, 'base64');
  // Buffer passes over what is no base64.
  if (blob.toString('base64') !== text) throw new Refusal(`${name}: expected base64`);
  let parts: ReturnType<typeof readAdAuthInfo>;
  try {
    parts = readAdAuthInfo(blob);
  } catch (error) {
    if (error instanceof PhsyncError) throw new Refusal(`${name}: ${error.message}`);
    throw error;
  }
  const thumbprint = Buffer.from(parts.thumbprint);
  const keyBytes = known.get(thumbprintText(thumbprint));
  if (keyBytes === undefined) {
    throw new Refusal(`${name}: sealed to the certificate ${thumbprintText(thumbprint)}, which this tenant has not`);
  }
  if (parts.encryptedKey.length !== keyBytes) {
    throw new Refusal(`${name}: an encrypted key of ${keyBytes} bytes expected, not ${parts.encryptedKey.length}`);
  }
  return { blob, thumbprint, data: parts.data.length };
}
