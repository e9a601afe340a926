/** Asks the tenant what it wants for Domain Services. */

import { PhsyncError } from '../../hasher/errors.js';
import type { WindowsCredentialsSyncConfig } from '../../provisioning/types.js';
import { type DomainServicesOffer, type DomainServicesPolicy, judgeOffer, offerOfFailure } from './offer.js';

/** What says of this operation alone that it does not work; anything else says it of the tenant. */
const OF_THE_OPERATION: ReadonlySet<string> = new Set(['provisioning-fault', 'provisioning-bad-reply']);

/**
 * A tenant that cannot say it keeps no password from its way. Rejects as `ask` does where the tenant is away.
 * `now`: milliseconds since 1970.
 */
export async function askDomainServices(
  ask: () => Promise<WindowsCredentialsSyncConfig | PhsyncError>,
  policy: DomainServicesPolicy,
  now: () => number,
): Promise<DomainServicesOffer> {
  try {
    const answer = await ask();
    return answer instanceof PhsyncError ? offerOfFailure(answer) : judgeOffer(answer, policy, now());
  } catch (error) {
    if (!(error instanceof PhsyncError && OF_THE_OPERATION.has(error.code))) throw error;
    return offerOfFailure(error);
  }
}
