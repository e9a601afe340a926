/** What the history of credentials tells of the tenant as a whole. */

import type { Queries } from './database.js';
import { CredentialOrigin } from './tables.js';

/** The newest change that came from on premises: back along the table's own numbers, past what the cloud has changed since. */
export function newestSynchronized(
  queries: Queries,
): Promise<{ readonly id: number; readonly at: number } | undefined> {
  return queries
    .selectFrom('credential_history')
    .select(['id', 'at'])
    .where('origin', '=', CredentialOrigin.onPremises)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
}
