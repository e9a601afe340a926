/** From a user of the feed to the account that the managed domain is to have, and to the secrets of its password. */

import { createHash, randomFillSync } from 'node:crypto';
import { secretBytes, secretCopy } from '../crypto/secret-bytes.js';
import { PhsyncError } from '../hasher/errors.js';
import {
  openAdAuthInfo,
  parseLegacyPlaintext,
  parseSupplementalPlaintext,
  type Unwrap,
} from '../provisioning/ad-auth-info.js';
import type { FeedUser } from '../provisioning/domain-services-feed.js';
import { filetimeOf } from './filetime.js';
import { commonNames, samAccountNames } from './names.js';
import type { ManagedSecrets, ManagedUser } from './writer.js';

const NT_HASH_BYTES = 16;
/** A value of passwordPolicies. */
const NEVER_EXPIRES = /(^|,)\s*DisablePasswordExpiration\s*(,|$)/i;

const orNone = (text: string | null): string | undefined => (text === null || text === '' ? undefined : text);

export function desiredUser(user: FeedUser): ManagedUser {
  const objectId = user.id.toLowerCase();
  return {
    objectId,
    samAccountNames: samAccountNames(user.mailNickname, objectId),
    commonNames: commonNames(user.displayName ?? '', user.mailNickname, objectId),
    userPrincipalName: user.userPrincipalName,
    displayName: orNone(user.displayName),
    givenName: orNone(user.givenName),
    surname: orNone(user.surname),
    mail: orNone(user.mail),
    enabled: user.accountEnabled,
    passwordNeverExpires: user.passwordPolicies !== null && NEVER_EXPIRES.test(user.passwordPolicies),
    securityIdentifier: orNone(user.onPremisesSecurityIdentifier),
  };
}

/**
 * What is sealed in the user's credentials, for `wipe` after use; undefined: none came. Without a legacy blob a random hash
 * stands in, as an agent has it while SyncNtlmPasswords is off: a hash of an earlier password must not stay.
 * @throws PhsyncError `ad-auth-info-…`, and what `unwrap` throws of its own
 */
export async function openSecrets(
  { credentials, userPrincipalName: name }: FeedUser,
  unwrap: Unwrap,
): Promise<ManagedSecrets | undefined> {
  if (credentials === null) return undefined;
  const { changeDate } = credentials;
  const { legacy, supplemental } = checkedBlobs(credentials, name);
  if (legacy === null && supplemental === null) return undefined;
  const once = new UnwrapOnce(unwrap);
  let ntHash: Buffer | undefined;
  try {
    ntHash = legacy === null ? randomHash() : await opened(legacy, once.unwrap, parseLegacyPlaintext);
    const kerberosKeys =
      supplemental === null ? undefined : await opened(supplemental, once.unwrap, parseSupplementalPlaintext);
    return { ntHash, kerberosKeys, changedAt: filetimeOf(changeDate) };
  } catch (error) {
    ntHash?.fill(0);
    throw error;
  } finally {
    once.wipe();
  }
}

type Credentials = NonNullable<FeedUser['credentials']>;

/** Of a tenant that says of a blob nothing that it can be compared with. */
export const isUnchecked = ({ credentials }: FeedUser): boolean =>
  credentials !== null &&
  ((credentials.windowsLegacyCredentials !== null && !credentials.windowsLegacyCredentialsSha256) ||
    (credentials.windowsSupplementalCredentials !== null && !credentials.windowsSupplementalCredentialsSha256));

/** @throws PhsyncError `ad-auth-info-altered` where one is not what the tenant took in */
function checkedBlobs(
  credentials: Credentials,
  user: string,
): { readonly legacy: Buffer | null; readonly supplemental: Buffer | null } {
  const checked = (name: 'windowsLegacyCredentials' | 'windowsSupplementalCredentials'): Buffer | null => {
    const text = credentials[name];
    const blob = text === null ? null : Buffer.from(text, 'base64');
    checkDigest(blob, credentials[`${name}Sha256`], `W${name.slice(1)} of ${user}`);
    return blob;
  };
  return { legacy: checked('windowsLegacyCredentials'), supplemental: checked('windowsSupplementalCredentials') };
}

/** As much of a digest as people compare. */
const SHOWN_DIGITS = 16;

/** Before it is opened: the format itself cannot tell each altered byte. */
function checkDigest(blob: Buffer | null, noted: string | null | undefined, what: string): void {
  if (noted === null || noted === undefined) return;
  const came = blob === null ? undefined : createHash('sha256').update(blob).digest();
  const expected = Buffer.from(noted, 'base64');
  if (came?.equals(expected)) return;
  const digits = (digest: Buffer) => `${digest.toString('hex').slice(0, SHOWN_DIGITS)}…`;
  const found = came === undefined ? 'there is nothing of it any more' : `now it is ${digits(came)}`;
  throw new PhsyncError(
    'ad-auth-info-altered',
    `${what}: altered since the tenant took it in, in its store or on the way: its SHA-256 was ${digits(expected)}, and ${found}`,
  );
}

export function wipe(secrets: ManagedSecrets | undefined): void {
  secrets?.ntHash.fill(0);
  secrets?.kerberosKeys?.fill(0);
}

const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

const randomHash = (): Buffer => buffer(randomFillSync(secretBytes(NT_HASH_BYTES)));

async function opened(blob: Buffer, unwrap: Unwrap, parse: (plaintext: Uint8Array) => Uint8Array): Promise<Buffer> {
  const plaintext = await openAdAuthInfo(blob, unwrap);
  try {
    return buffer(secretCopy(parse(plaintext)));
  } finally {
    plaintext.fill(0);
  }
}

/** Both blobs of a change have one AES key: one private operation does for them. */
class UnwrapOnce {
  readonly #unwrap: Unwrap;
  #last: { readonly thumbprint: Buffer; readonly encryptedKey: Buffer; readonly key: Uint8Array } | undefined;

  constructor(unwrap: Unwrap) {
    this.#unwrap = unwrap;
  }

  readonly unwrap: Unwrap = async (thumbprint, encryptedKey) => {
    const last = this.#last;
    if (last?.encryptedKey.equals(encryptedKey) && last.thumbprint.equals(thumbprint)) return secretCopy(last.key);
    const key = await this.#unwrap(thumbprint, encryptedKey);
    if (key !== undefined) {
      this.wipe();
      const copies = { thumbprint: Buffer.from(thumbprint), encryptedKey: Buffer.from(encryptedKey) };
      this.#last = { ...copies, key: secretCopy(key) };
    }
    return key;
  };

  wipe(): void {
    this.#last?.key.fill(0);
    this.#last = undefined;
  }
}
