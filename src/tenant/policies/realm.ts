/** Where a user signs in: here, or at the federation that the domain names (managed and federated domains, staged rollout). */

import type { TenantDatabase } from '../store/database.js';
import { userPrincipalNameKey } from '../store/store.js';
import type { DomainsTable } from '../store/tables.js';

/** Milliseconds after which a change by another process is in force here. */
const FRESH = 1000;
/** Staged rollout's feature of this tenant's sign-in. */
const PASSWORD_HASH_SYNC = 'passwordHashSync';

export type Realm =
  | {
      readonly type: 'managed';
      /** Undefined: not a domain of this tenant. */
      readonly domain: DomainsTable | undefined;
    }
  | { readonly type: 'federated'; readonly url: string; readonly domain: DomainsTable };

interface Snapshot {
  readonly domains: ReadonlyMap<string, DomainsTable>;
  /** Staged rollout of password hash synchronization: for nobody, for members of its groups, for everybody. */
  readonly rollout: 'off' | 'groups' | 'all';
}

/** Of userPrincipalNameKey()'s text; all of it where there is no @. */
export const domainOf = (nameKey: string) => nameKey.slice(nameKey.lastIndexOf('@') + 1);

export class Realms {
  readonly #database: TenantDatabase;
  #snapshot: Promise<Snapshot> | undefined;
  #until = 0;

  constructor(database: TenantDatabase) {
    this.#database = database;
  }

  /** Of any name, known or not: the domain says it, and the user's groups where staged rollout is on. */
  async of(userPrincipalName: string): Promise<Realm> {
    const nameKey = userPrincipalNameKey(userPrincipalName);
    const { domains, rollout } = await this.#current();
    const domain = domains.get(domainOf(nameKey));
    if (domain?.authentication_type !== 'Federated') return { type: 'managed', domain };
    // Federation's backup, by the domain's switch.
    if (domain.password_hash_fallback === 1 || rollout === 'all') return { type: 'managed', domain };
    if (rollout === 'groups' && (await this.#isRolledOut(nameKey))) return { type: 'managed', domain };
    return { type: 'federated', url: domain.federation_url ?? '', domain };
  }

  /** After a change of domains or rollout policies by this process; those of others are seen within a second. */
  refresh(): void {
    this.#snapshot = undefined;
  }

  #current(): Promise<Snapshot> {
    const now = performance.now();
    if (this.#snapshot === undefined || now >= this.#until) {
      const reading = this.#read();
      this.#snapshot = reading;
      this.#until = now + FRESH;
      reading.catch(() => {
        if (this.#snapshot === reading) this.#snapshot = undefined;
      });
    }
    return this.#snapshot;
  }

  #read(): Promise<Snapshot> {
    return this.#database.run(async (queries) => {
      const domains = await queries.selectFrom('domains').selectAll().execute();
      const policy = await queries
        .selectFrom('rollout_policies')
        .select('is_applied_to_organization')
        .where('feature', '=', PASSWORD_HASH_SYNC)
        .where('is_enabled', '=', 1)
        .executeTakeFirst();
      const rollout = policy === undefined ? 'off' : policy.is_applied_to_organization === 1 ? 'all' : 'groups';
      return { domains: new Map(domains.map((domain) => [domain.name, domain])), rollout };
    });
  }

  async #isRolledOut(nameKey: string): Promise<boolean> {
    const row = await this.#database.run((queries) =>
      queries
        .selectFrom('rollout_policies')
        .innerJoin('rollout_groups', 'rollout_groups.policy_id', 'rollout_policies.policy_id')
        .innerJoin('group_members', 'group_members.group_id', 'rollout_groups.group_id')
        .innerJoin('users', 'users.id', 'group_members.user_id')
        .where('rollout_policies.feature', '=', PASSWORD_HASH_SYNC)
        .where('rollout_policies.is_enabled', '=', 1)
        .where('users.upn_key', '=', nameKey)
        .where('users.deleted_at', 'is', null)
        .select('users.id')
        .limit(1)
        .executeTakeFirst(),
    );
    return row !== undefined;
  }
}
