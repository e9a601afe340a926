/**
 * Which users an agent may write where agents are kept apart (`agents[].domains`): those of its domains that belong to it,
 * to an agent for all of whose domains it may act, or to nobody.
 */

import { type AgentDomains, domainOfName } from '../agent-domains.js';
import type { CredentialChange, UserAttributes, UserChange } from '../store/changes.js';
import type { StandingUser, Verdict, WriteGuard } from '../store/write-guard.js';

/** Of what an agent may not act for. */
export const NOT_OWN = 'for which this agent may not act (agents[].domains of tenant.yaml)';
const HAND_OVER = 'phsync tenant hand-over gives it to another';

/** An empty one is none, as on the way in. */
export const domainsOf = (name: string, dnsDomainName: string | null | undefined): string[] =>
  [domainOfName(name), dnsDomainName?.toLowerCase() ?? ''].filter((domain) => domain !== '');

interface Hindrance {
  /** Begins with `the user`. */
  readonly words: string;
  /** Which the user has or is to have, and must not for this agent. Undefined: it is the owner alone that hinders. */
  readonly domain?: string | undefined;
}

/** For one batch of one agent. */
export class AgentGuard implements WriteGuard {
  readonly owner: string | null;
  readonly #agents: AgentDomains;
  readonly #clientId: string;
  readonly #refused = new Map<UserChange | CredentialChange, Hindrance & { readonly owner: string | null }>();

  constructor(agents: AgentDomains, clientId: string) {
    this.#agents = agents;
    this.#clientId = clientId;
    this.owner = agents.of(clientId) === undefined ? null : clientId;
  }

  decide(change: UserChange | CredentialChange, standing: StandingUser | undefined): Verdict {
    const attributes = 'kind' in change && change.kind === 'upsert' ? change.attributes : undefined;
    if (standing === undefined) return attributes === undefined || this.owner === null ? 'allowed' : 'claimed';
    const hindrance = this.#hindrance(standing, attributes);
    if (hindrance !== undefined) {
      this.#refused.set(change, { ...hindrance, owner: standing.owner });
      return 'refused';
    }
    // Only with its name it is told where the user belongs.
    if (attributes?.userPrincipalName === undefined || standing.owner === this.owner) return 'allowed';
    return this.#isFree(standing) ? 'claimed' : 'allowed';
  }

  /** Why a change was refused: begins with `the user`. */
  wordsOf(change: UserChange | CredentialChange): string {
    return this.#refused.get(change)!.words;
  }

  /** Users that were refused, with whom they belong to, and the domain that hindered. */
  claims(): readonly (Pick<Hindrance, 'domain'> & {
    readonly sourceAnchor: string | undefined;
    readonly owner: string | null;
  })[] {
    return [...this.#refused].map(([{ sourceAnchor }, { owner, domain }]) => ({ sourceAnchor, owner, domain }));
  }

  #hindrance(standing: StandingUser, attributes: UserAttributes | undefined): Hindrance | undefined {
    const { owner } = standing;
    const stands = domainsOf(standing.userPrincipalName, standing.dnsDomainName);
    const foreign = this.#agents.foreign(this.#clientId, stands);
    if (foreign !== undefined) {
      const whose = owner === null || owner === this.#clientId ? '' : ` and belongs to the agent ${owner}`;
      return { words: `the user is of the domain ${foreign}, ${NOT_OWN}${whose}`, domain: foreign };
    }
    if (owner === null || owner === this.#clientId) return undefined;
    const isFree = this.#isFree(standing);
    if (!isFree && !this.#agents.includes(this.#clientId, owner)) {
      return { words: `the user belongs to the agent ${owner}; ${HAND_OVER}` };
    }
    // What its owner has put there, a password first of all, must not come to stand for a user of somebody else.
    const goes = this.#leaves(standing, attributes, isFree ? stands : undefined);
    if (goes === undefined) return undefined;
    const words = `the user belongs to the agent ${owner}, which did not bring it for the domain ${goes}; ${HAND_OVER}`;
    return { words, domain: goes };
  }

  /** Its owner is no agent any more, or may not act any more for where it stands. */
  #isFree({ owner, userPrincipalName, dnsDomainName }: StandingUser): boolean {
    if (owner === null || !this.#agents.has(owner)) return true;
    return this.#agents.foreign(owner, domainsOf(userPrincipalName, dnsDomainName)) !== undefined;
  }

  /** The new domain of a user that is not among `own`, or not its owner's. */
  #leaves(
    { owner, userPrincipalName, dnsDomainName }: StandingUser,
    attributes: UserAttributes | undefined,
    own: readonly string[] | undefined,
  ): string | undefined {
    if (attributes === undefined) return undefined;
    const { userPrincipalName: name = userPrincipalName, dnsDomainName: dns = dnsDomainName } = attributes;
    const domains = domainsOf(name, dns);
    return own === undefined ? this.#agents.foreign(owner!, domains) : domains.find((domain) => !own.includes(domain));
  }
}
