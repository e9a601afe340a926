/** OAuth 2.0 clients (RFC 6749 2): agents, readers of Domain Services, the applications of tenant.yaml, and any client where it lists none. */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { SigningAlgorithm } from './signing-keys.js';

export interface ApplicationOptions {
  readonly clientId: string;
  readonly displayName: string | undefined;
  /** A confidential client's. */
  readonly secret: string | undefined;
  readonly redirectUris: readonly string[];
  readonly postLogoutRedirectUris: readonly string[];
  readonly delegated: readonly string[];
  readonly permissions: readonly string[];
  readonly idTokenAlgorithm: SigningAlgorithm;
}

export interface ApplicationsOptions {
  readonly agents: readonly { readonly clientId: string; readonly secret: string }[];
  /** Readers of Domain Services' feed; none of them is anything else. */
  readonly readers: readonly { readonly clientId: string; readonly secret: string }[];
  /** Undefined: any client id may be used to sign in by password, as a public client. */
  readonly applications: readonly ApplicationOptions[] | undefined;
}

export interface Application {
  readonly clientId: string;
  readonly displayName: string;
  readonly kind: 'agent' | 'application' | 'reader';
  /** Has a secret, and must show it. */
  readonly confidential: boolean;
  readonly redirectUris: readonly string[];
  readonly postLogoutRedirectUris: readonly string[];
  /** Graph's scopes that it may ask for in a user's name. */
  readonly delegated: ReadonlySet<string>;
  /** Graph's permissions in its own name. */
  readonly permissions: ReadonlySet<string>;
  /** `id_token_signed_response_alg` (Dynamic Client Registration 1.0, 2). */
  readonly idTokenAlgorithm: SigningAlgorithm;
}

const NONE: ReadonlySet<string> = new Set();

/** Keeps keyed digests of the secrets, not the secrets: equal lengths to compare, and nothing to find in memory. */
export class Applications {
  readonly #key = randomBytes(32);
  readonly #secrets = new Map<string, Buffer>();
  readonly #applications = new Map<string, Application>();
  readonly #anyClient: boolean;
  /** What an unknown or public client's secret is compared with. */
  readonly #nobody = randomBytes(32);

  constructor({ agents, applications, readers }: ApplicationsOptions) {
    this.#anyClient = applications === undefined;
    for (const { clientId, secret } of readers) this.#add(publicClient(clientId, 'reader'), secret);
    for (const { clientId, secret } of agents) {
      this.#add(publicClient(clientId, 'agent'), secret);
    }
    for (const { secret, delegated, permissions, displayName, ...rest } of applications ?? []) {
      // A client id that is an agent's as well is one client, with the agent's secret.
      this.#add(
        {
          ...rest,
          displayName: displayName ?? rest.clientId,
          kind: this.isAgent(rest.clientId) ? 'agent' : 'application',
          confidential: false,
          delegated: new Set(delegated),
          permissions: new Set(permissions),
        },
        secret,
      );
    }
  }

  /** The client of this id, made up where any may come. */
  find(clientId: string): Application | undefined {
    const known = this.#applications.get(clientId);
    if (known !== undefined || !this.#anyClient) return known;
    return publicClient(clientId, 'application');
  }

  isAgent(clientId: string): boolean {
    return this.#applications.get(clientId)?.kind === 'agent';
  }

  isReader(clientId: string): boolean {
    return this.#applications.get(clientId)?.kind === 'reader';
  }

  /** Client ids. */
  listed(): Iterable<string> {
    return this.#applications.keys();
  }

  isListed(clientId: string): boolean {
    return this.#applications.has(clientId);
  }

  /** False for a client without secret, whatever is shown; takes the same time for each. */
  checkSecret(clientId: string, secret: string): boolean {
    const expected = this.#secrets.get(clientId);
    const equal = timingSafeEqual(this.#digest(secret), expected ?? this.#nobody);
    return equal && expected !== undefined;
  }

  #add(application: Application, secret: string | undefined): void {
    const { clientId } = application;
    if (secret !== undefined) this.#secrets.set(clientId, this.#digest(secret));
    this.#applications.set(clientId, { ...application, confidential: this.#secrets.has(clientId) });
  }

  #digest(secret: string): Buffer {
    return createHmac('sha256', this.#key).update(secret).digest();
  }
}

function publicClient(clientId: string, kind: Application['kind']): Application {
  return {
    clientId,
    displayName: clientId,
    kind,
    confidential: false,
    redirectUris: [],
    postLogoutRedirectUris: [],
    delegated: NONE,
    permissions: NONE,
    // The default there.
    idTokenAlgorithm: 'RS256',
  };
}
