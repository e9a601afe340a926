/** What the pages ask the directory beyond a sign-in: a session's user, and where a domain_hint leads. */

import type { TenantDatabase } from '../store/database.js';

/** The user principal name of a user who is there and enabled. */
export async function nameOfAccount(database: TenantDatabase, objectId: string): Promise<string | undefined> {
  const row = await database.run((queries) =>
    queries
      .selectFrom('users')
      .select('user_principal_name')
      .where('object_id', '=', objectId)
      .where('deleted_at', 'is', null)
      .executeTakeFirst(),
  );
  return row?.user_principal_name;
}

/** Entra's domain_hint: the federation URL (or '') of that domain, whoever comes; staged rollout does not count then. */
export async function federationOfHint(database: TenantDatabase, hint: string): Promise<string | undefined> {
  // PostgreSQL takes no zero byte.
  if (/\p{Cc}/u.test(hint)) return undefined;
  const row = await database.run((queries) =>
    queries
      .selectFrom('domains')
      .select('federation_url')
      .where('name', '=', hint.toLowerCase())
      .where('authentication_type', '=', 'Federated')
      .where('password_hash_fallback', '=', 0)
      .executeTakeFirst(),
  );
  return row && (row.federation_url ?? '');
}
