/** Which users an agent may not touch, since they are of a domain that is not its own (`agents[].domains`). */

import { domainOfName } from '../agent-domains.js';
import type { TenantDatabase } from '../store/database.js';

/** How users are named on the wire. */
export interface UserKey {
  readonly sourceAnchor?: string | undefined;
  readonly objectId?: string | undefined;
}

/** Keys a statement: SQLite takes 32,766 parameters, and a batch has 2000 items. */
const KEYS = 1000;

const isText = (key: string | undefined): key is string => key !== undefined && !key.includes('\0');

/**
 * Looks at the users as they are stored, deleted ones too, who would come back. Who is not there belongs to nobody yet:
 * what comes with a new user is looked at by itself. @returns the foreign domain of a user, or undefined.
 */
export async function foreignDomains(
  database: TenantDatabase,
  own: ReadonlySet<string>,
  keys: readonly UserKey[],
): Promise<(key: UserKey) => string | undefined> {
  const found = new Map<string, string>();
  const look = async (column: 'source_anchor' | 'object_id', values: readonly string[]) => {
    for (let at = 0; at < values.length; at += KEYS) {
      const rows = await database.run((queries) =>
        queries
          .selectFrom('users')
          .select([`${column} as key`, 'user_principal_name', 'dns_domain_name'])
          .where(column, 'in', values.slice(at, at + KEYS))
          .execute(),
      );
      for (const { key, user_principal_name, dns_domain_name } of rows) {
        // An empty one is none, as on the way in.
        const domains = [domainOfName(user_principal_name), dns_domain_name?.toLowerCase() || undefined];
        const foreign = domains.find((domain) => domain !== undefined && !own.has(domain));
        if (key !== null && foreign !== undefined) found.set(`${column} ${key}`, foreign);
      }
    }
  };
  await look('source_anchor', keys.map(({ sourceAnchor }) => sourceAnchor).filter(isText));
  await look('object_id', keys.map(({ objectId }) => objectId).filter(isText));
  return ({ sourceAnchor, objectId }) =>
    found.get(sourceAnchor === undefined ? `object_id ${objectId}` : `source_anchor ${sourceAnchor}`);
}
