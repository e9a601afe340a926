/** `agents[].domains` of tenant.yaml: the domains for which an agent may act, of user principal names and of directories. */

export interface AgentOfDomains {
  readonly clientId: string;
  /** Lower case; undefined: all. */
  readonly domains?: readonly string[] | undefined;
}

/** The domain behind the last @, in lower case; the whole where there is none. */
export const domainOfName = (userPrincipalName: string): string =>
  userPrincipalName.slice(userPrincipalName.lastIndexOf('@') + 1).toLowerCase();

export class AgentDomains {
  /** Undefined: all. */
  readonly #own: ReadonlyMap<string, ReadonlySet<string> | undefined>;
  /** Some agent may not act for all: users have owners. */
  readonly areApart: boolean;

  constructor(agents: readonly AgentOfDomains[]) {
    this.#own = new Map(agents.map(({ clientId, domains }) => [clientId, domains && new Set(domains)]));
    this.areApart = agents.some(({ domains }) => domains !== undefined);
  }

  /** Undefined: all. */
  of(clientId: string): ReadonlySet<string> | undefined {
    return this.#own.get(clientId);
  }

  /** Whether there is such an agent. */
  has(clientId: string): boolean {
    return this.#own.has(clientId);
  }

  /** The first of the domains for which the agent may not act. */
  foreign(clientId: string, domains: Iterable<string>): string | undefined {
    const own = this.#own.get(clientId);
    if (own === undefined) return undefined;
    for (const domain of domains) if (!own.has(domain.toLowerCase())) return domain;
    return undefined;
  }

  /** Whether it may act for every domain for which the other may. */
  includes(clientId: string, other: string): boolean {
    const own = this.#own.get(clientId);
    if (own === undefined) return true;
    const others = this.#own.get(other);
    return others !== undefined && this.foreign(clientId, others) === undefined;
  }
}
