/** Accidental-deletion prevention: how many users may be deleted until somebody says that they shall be. */

import { PhsyncError } from '../hasher/errors.js';
import type { CompanyConfiguration } from '../provisioning/types.js';
import type { Item } from './item.js';

type Announced = CompanyConfiguration['dirSyncConfiguration']['preventAccidentalDeletion'];

/** The most users that may be deleted, as the tenant announces it; `users`: how many the tenant has of the connector. */
export function deletionThreshold(announced: Announced, users: () => number): number {
  const { deletionPrevention, thresholdCount, thresholdPercentage } = announced;
  if (deletionPrevention === 'EnabledForCount' && thresholdCount > 0) return thresholdCount;
  if (deletionPrevention === 'EnabledForPercentage' && thresholdPercentage > 0) {
    return Math.ceil((users() * thresholdPercentage) / 100);
  }
  return Number.POSITIVE_INFINITY;
}

/** What makes up for a cycle that was cut off deletes users as well of whom the state knows nothing: they do not count. */
export function deletesUser({ decision, known }: Item): boolean {
  return decision.kind === 'delete' && known !== undefined && known.cloudAnchor !== null;
}

export function tooManyDeletions(
  deleted: number,
  due: number,
  threshold: number,
  unseen: readonly string[],
): PhsyncError {
  const hint = unseen.length === 0 ? '' : ` Of these OUs in the scope nothing was seen so far: ${unseen.join('; ')}.`;
  return new PhsyncError(
    'too-many-deletions',
    `stopped before deleting more users than the tenant's threshold of accidental deletions allows: ${deleted} are ` +
      `deleted already, at least ${due} more would follow, the threshold is ${threshold}.${hint} Check the connector's ` +
      'scope and the directory; if the users shall go, run `phsync agent --once --allow-deletions`',
    { facts: { deleted, due, threshold } },
  );
}
