/** The tenant's domains: from tenant.yaml into the store, where they are the truth from then on. */

import type { Logger } from 'pino';
import type { TenantConfig } from '../config.js';
import type { TenantDatabase } from '../store/database.js';
import type { DomainsTable } from '../store/tables.js';

/** Days after which a password expires where the domain has no period of its own. */
export const DEFAULT_VALIDITY_DAYS = 90;
/** passwordValidityPeriodInDays of a domain whose passwords never expire. */
export const NEVER_EXPIRES = 2_147_483_647;

type ConfiguredDomain = TenantConfig['domains'][number];

const toRow = (domain: ConfiguredDomain, isDefault: boolean): DomainsTable => ({
  name: domain.name,
  authentication_type: domain.authenticationType,
  federation_url: domain.federationUrl ?? null,
  password_hash_fallback: domain.passwordHashFallback ? 1 : 0,
  password_validity_days: null,
  password_notification_days: null,
  is_default: isDefault ? 1 : 0,
});

/** What tenant.yaml has a word on. */
const configured = ['authentication_type', 'federation_url', 'password_hash_fallback'] as const;

/**
 * Adds the domains that the store does not have, the first one as default where it has none; warns of those that differ.
 * @returns the names of all domains of the store.
 */
export async function seedDomains(
  database: TenantDatabase,
  domains: readonly ConfiguredDomain[],
  log: Logger,
): Promise<string[]> {
  const stored = await database.transaction(async (queries) => {
    const hasDefault = await queries
      .selectFrom('domains')
      .select('name')
      .where('is_default', '=', 1)
      .executeTakeFirst();
    await queries
      .insertInto('domains')
      .values(domains.map((domain, i) => toRow(domain, hasDefault === undefined && i === 0)))
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
    return queries.selectFrom('domains').selectAll().execute();
  });
  for (const domain of domains) {
    const [row, wanted] = [stored.find(({ name }) => name === domain.name)!, toRow(domain, false)];
    const differing = configured.filter((column) => row[column] !== wanted[column]);
    if (differing.length > 0) {
      log.warn(
        { domain: domain.name, differing },
        'tenant.yaml and the store differ on a domain; the store has the word: change it there, through Graph',
      );
    }
  }
  return stored.map(({ name }) => name);
}
