/** ProvisionCredentials: credentials checked, stored in one transaction, answered item by item. */

import { parseCredential } from '../../hasher/credential.js';
import { PhsyncError } from '../../hasher/errors.js';
import type { Credential } from '../../hasher/types.js';
import {
  CredentialResult,
  type SyncCredentialsChangeItem,
  type SyncCredentialsChangeResult,
} from '../../provisioning/types.js';
import type { CredentialChange, CredentialOptions, CredentialOutcome, TenantStore } from '../store/store.js';
import { MAX_ITERATIONS, MIN_ITERATIONS } from './limits.js';
import { objectIdOf } from './objects.js';

const answers: Readonly<Record<CredentialOutcome, readonly [number, string | undefined]>> = {
  stored: [CredentialResult.success, undefined],
  unknownUser: [CredentialResult.anchorNotFound, 'No user has this anchor.'],
  olderChange: [CredentialResult.olderChange, 'A newer change of this password is stored.'],
};

/** One result an item, in order. @throws what the store throws; then nothing of the batch is stored. */
export async function provisionCredentials(
  items: readonly SyncCredentialsChangeItem[],
  store: TenantStore,
  options: CredentialOptions,
): Promise<SyncCredentialsChangeResult[]> {
  const changes: CredentialChange[] = [];
  const credentials = items.map((item) => {
    const credential = readCredential(item.credentialData);
    if (credential !== undefined && !Number.isNaN(item.changeDate.getTime())) {
      const { salt, iterations, hash } = credential;
      const objectId = item.cloudAnchor === undefined ? undefined : objectIdOf(item.cloudAnchor);
      const { changeDate, forcePasswordChangeOnLogon } = item;
      // Some clients write an empty element where others write i:nil.
      const sourceAnchor = item.sourceAnchor === '' ? undefined : item.sourceAnchor;
      changes.push({ sourceAnchor, objectId, changeDate, salt, iterations, hash, forcePasswordChangeOnLogon });
      return true;
    }
    return false;
  });
  const outcomes = (await store.applyCredentials(changes, options)).values();
  return items.map(({ cloudAnchor, sourceAnchor }, i) => {
    const [result, extendedErrorInformation] = credentials[i]
      ? answers[outcomes.next().value!]
      : [CredentialResult.invalidCredential, 'CredentialData or ChangeDate is not one that this tenant takes.'];
    return { cloudAnchor, sourceAnchor, result, extendedErrorInformation };
  });
}

function readCredential(text: string): Credential | undefined {
  try {
    const credential = parseCredential(text);
    const { iterations } = credential;
    return iterations >= MIN_ITERATIONS && iterations <= MAX_ITERATIONS ? credential : undefined;
  } catch (error) {
    if (error instanceof PhsyncError) return undefined;
    throw error;
  }
}
