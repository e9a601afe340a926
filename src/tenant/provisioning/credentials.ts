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
import { NOT_OWN, objectIdOf } from './objects.js';
import { foreignDomains } from './own-users.js';

const answers: Readonly<Record<CredentialOutcome, readonly [number, string | undefined]>> = {
  stored: [CredentialResult.success, undefined],
  unknownUser: [CredentialResult.anchorNotFound, 'No user has this anchor.'],
  olderChange: [CredentialResult.olderChange, 'A newer change of this password is stored.'],
};

/** What a domain controller's clock may be ahead. A date beyond would have every real change after it refused as older. */
const FUTURE = 24 * 60 * 60 * 1000;

type Reading =
  | { readonly change: CredentialChange }
  | { readonly refusal: readonly [result: number, extendedErrorInformation: string] };

/** One result an item, in order. `own`: the domains of an agent that may not act for all. @throws what the store throws; then nothing of the batch is stored. */
export async function provisionCredentials(
  items: readonly SyncCredentialsChangeItem[],
  store: TenantStore,
  { own, ...options }: CredentialOptions & { readonly own?: ReadonlySet<string> | undefined },
  now: Date,
): Promise<SyncCredentialsChangeResult[]> {
  const latest = now.getTime() + FUTURE;
  const all = items.map((item) => readItem(item, latest));
  const readings = own === undefined ? all : await refuseForeign(all, store, own);
  const changes = readings.flatMap((reading) => ('change' in reading ? [reading.change] : []));
  const outcomes = (await store.applyCredentials(changes, options)).values();
  return readings.map((reading, i) => {
    const { cloudAnchor, sourceAnchor } = items[i]!;
    const [result, extendedErrorInformation] = 'change' in reading ? answers[outcomes.next().value!] : reading.refusal;
    return { cloudAnchor, sourceAnchor, result, extendedErrorInformation };
  });
}

async function refuseForeign(
  readings: readonly Reading[],
  { database }: TenantStore,
  own: ReadonlySet<string>,
): Promise<Reading[]> {
  const foreign = await foreignDomains(
    database,
    own,
    readings.flatMap((reading) => ('change' in reading ? [reading.change] : [])),
  );
  return readings.map((reading) => {
    const domain = 'change' in reading ? foreign(reading.change) : undefined;
    // Not for good: who runs the tenant may let it.
    return domain === undefined
      ? reading
      : { refusal: [CredentialResult.temporaryFailure, `The user is of the domain ${domain}, ${NOT_OWN}.`] };
  });
}

function readItem(item: SyncCredentialsChangeItem, latest: number): Reading {
  const credential = readCredential(item.credentialData);
  const time = item.changeDate.getTime();
  if (credential === undefined || Number.isNaN(time)) {
    const words = 'CredentialData or ChangeDate is not one that this tenant takes.';
    return { refusal: [CredentialResult.invalidCredential, words] };
  }
  // Not for good: the agent tries again, and a domain controller that is a week ahead is late and not lost.
  if (time > latest) {
    const words =
      'ChangeDate lies more than a day in the future of the clock here. Compare it with that of the domain controller.';
    return { refusal: [CredentialResult.temporaryFailure, words] };
  }
  const { salt, iterations, hash } = credential;
  const objectId = item.cloudAnchor === undefined ? undefined : objectIdOf(item.cloudAnchor);
  const { changeDate, forcePasswordChangeOnLogon } = item;
  // Some clients write an empty element where others write i:nil.
  const sourceAnchor = item.sourceAnchor === '' ? undefined : item.sourceAnchor;
  return { change: { sourceAnchor, objectId, changeDate, salt, iterations, hash, forcePasswordChangeOnLogon } };
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
