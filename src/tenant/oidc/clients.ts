/** OAuth 2.0 clients: agents with their secrets, and the public clients that people sign in through. */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export interface ClientsOptions {
  readonly agents: readonly { readonly clientId: string; readonly secret: string }[];
  /** Undefined: any client id may be used to sign in. */
  readonly applications: readonly string[] | undefined;
}

export type AgentCheck = 'ok' | 'unknown' | 'wrongSecret';

/** Keeps keyed digests of the secrets, not the secrets: equal lengths to compare, and nothing to find in memory. */
export class Clients {
  readonly #key = randomBytes(32);
  readonly #agents: ReadonlyMap<string, Buffer>;
  readonly #applications: ReadonlySet<string> | undefined;
  /** What an unknown client's secret is compared with. */
  readonly #nobody = randomBytes(32);

  constructor({ agents, applications }: ClientsOptions) {
    this.#agents = new Map(agents.map(({ clientId, secret }) => [clientId, this.#digest(secret)]));
    this.#applications = applications === undefined ? undefined : new Set(applications);
  }

  checkAgent(clientId: string, secret: string): AgentCheck {
    const expected = this.#agents.get(clientId);
    const equal = timingSafeEqual(this.#digest(secret), expected ?? this.#nobody);
    if (expected === undefined) return 'unknown';
    return equal ? 'ok' : 'wrongSecret';
  }

  isAgent(clientId: string): boolean {
    return this.#agents.has(clientId);
  }

  maySignIn(clientId: string): boolean {
    return this.isAgent(clientId) || (this.#applications?.has(clientId) ?? true);
  }

  #digest(secret: string): Buffer {
    return createHmac('sha256', this.#key).update(secret).digest();
  }
}
