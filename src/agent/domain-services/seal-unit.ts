/** The keys of a unit's users, sealed for Domain Services: envelopes go out, blobs that only the managed domain opens come back. */

import type { LegacySealer, SealedCredentials, SealStatus } from '../../provisioning/legacy-sealer.js';
import { CredentialResult } from '../../provisioning/types.js';
import type { DirectoryObject } from '../source.js';
import type { RetryFailure } from '../state/rows.js';
import type { DomainServicesOffer } from './offer.js';

/** What goes with one credential. */
export interface SealedKeys {
  /** Base64, as the wire has it. */
  readonly legacy: string | undefined;
  readonly supplemental: string | undefined;
  /** Kerberos keys are asked for, and the directory has none of this user. */
  readonly keysMissing: boolean;
  /** What could not be sealed: goes to the retry queue with it, though the password itself may get through. */
  readonly failure: RetryFailure | undefined;
}

type On = Extract<DomainServicesOffer, { kind: 'on' }>;

/** One of each object, in order. `objects`: with the envelopes of their passwords. */
export async function sealKeys(
  objects: readonly DirectoryObject[],
  sessionKeys: readonly Uint8Array[],
  sealer: LegacySealer,
  { certificate, ntlm, kerberos }: On,
): Promise<SealedKeys[]> {
  const sealed = await sealer.seal({
    certificate: certificate.der,
    ntlm,
    sessionKeys,
    items: objects.map(({ unicodePwd, rid, supplementalCredentials: keys }) => ({
      unicodePwd,
      rid,
      supplementalCredentials: kerberos && keys !== undefined && keys.length > 0 ? keys : undefined,
    })),
  });
  return sealed.map((user) => toKeys(user, kerberos));
}

/** The tenant took the password alone: the certificate may be another one by the next cycle. `text`: what it said. */
export function refusedKeys(text: string): SealedKeys {
  const reason = `the tenant took the password and not its keys for Domain Services${text}`;
  return withoutKeys({ code: `tenant-${CredentialResult.invalidWindowsCredentials}`, reason, lasting: false });
}

/** Nothing goes with the password, for now. */
export function withoutKeys(failure: RetryFailure): SealedKeys {
  return { legacy: undefined, supplemental: undefined, keysMissing: false, failure };
}

function toKeys({ legacy, supplemental }: SealedCredentials, kerberos: boolean): SealedKeys {
  return {
    legacy: legacy.blob?.toString('base64'),
    supplemental: supplemental.blob?.toString('base64'),
    keysMissing: kerberos && (supplemental.status === 'absent' || supplemental.status === 'no-kerberos-keys'),
    failure: failureOf('unicodePwd', legacy.status) ?? failureOf('supplementalCredentials', supplemental.status),
  };
}

function failureOf(attribute: string, status: SealStatus): SealedKeys['failure'] {
  const what = FAILURES[status];
  if (what === undefined) return undefined;
  const reason = `no keys for Domain Services: ${attribute} ${what}; the password itself is in the tenant`;
  return { code: `domain-services-${status}`, reason, lasting: true };
}

/** What is no failure is missing. */
const FAILURES: Readonly<Partial<Record<SealStatus, string>>> = {
  length: 'has not the length of an ENCRYPTED_PAYLOAD',
  checksum: 'opens with none of the session keys (CRC-32 differs)',
  rid: 'is encrypted with a RID that the object does not have',
  malformed: 'is opened, and no USER_PROPERTIES (MS-SAMR 2.2.10) that can be read',
};
