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
  readonly #own: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(agents: readonly AgentOfDomains[]) {
    this.#own = new Map(agents.flatMap(({ clientId, domains }) => (domains ? [[clientId, new Set(domains)]] : [])));
  }

  /** Undefined: all. */
  of(clientId: string): ReadonlySet<string> | undefined {
    return this.#own.get(clientId);
  }

  /** The first of the domains for which the agent may not act. */
  foreign(clientId: string, domains: readonly string[]): string | undefined {
    const own = this.#own.get(clientId);
    return own && domains.find((domain) => !own.has(domain.toLowerCase()));
  }
}
