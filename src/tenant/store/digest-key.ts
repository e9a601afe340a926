/** The tenant's 32 bytes that all processes of one database share: others' keys and digests are derived from them. */

import type { TenantDatabase } from './database.js';

/** @throws PhsyncError `store-busy`, `store-failed`. */
export async function readDigestKey(database: TenantDatabase): Promise<Uint8Array> {
  const row = await database.run((queries) =>
    queries.selectFrom('tenant').select('digest_key').executeTakeFirstOrThrow(),
  );
  return row.digest_key;
}
