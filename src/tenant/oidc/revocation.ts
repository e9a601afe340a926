/** Signing a person out everywhere: Graph's revokeSignInSessions. */

import type { Queries } from '../store/database.js';

/**
 * Refresh tokens stay as rows, so that it can be told why they are good for nothing: their grant is gone. A code that
 * waits to be redeemed goes with its grant.
 */
const MODELS = ['Session', 'Grant', 'AuthorizationCode', 'DeviceCode'];

/**
 * Within a transaction: sessions (those kept for 180 days among them), grants with all refresh tokens of theirs, codes and,
 * at the tenant's own resources, access tokens of before are over. The next sign-in needs the password.
 */
export async function revokeSessions(queries: Queries, objectId: string, now: Date): Promise<void> {
  await queries
    .updateTable('users')
    .set({ sessions_valid_from: now.getTime() })
    .where('object_id', '=', objectId)
    .execute();
  await queries.deleteFrom('oidc_payloads').where('account_id', '=', objectId).where('model', 'in', MODELS).execute();
}
