/** Tokens with the claims of Entra's version 2: access tokens as JWTs (RFC 9068) and id tokens (Core 2), made and signed. */

import { type KeyObject, randomUUID } from 'node:crypto';
import type { Person } from '../store/store.js';
import type { Application } from './applications.js';
import type { SigningAlgorithm, SigningKey, SigningKeys } from './signing-keys.js';

/** The resource whose tokens the provisioning service takes. */
export const PROVISIONING_RESOURCE = 'https://graph.windows.net';
/** The application role that lets an agent provision. */
export const PROVISIONING_ROLE = 'DirectorySynchronization';
/** Seconds. */
export const TOKEN_LIFETIME = 3600;
/** Seconds by which the clocks of several tenant processes may differ. */
export const CLOCK_DIFFERENCE = 60;
/** RFC 9068 2.1: an id token is no access token. */
export const ACCESS_TOKEN_TYPE = 'at+jwt';
export const ACCESS_TOKEN_ALGORITHM: SigningAlgorithm = 'ES256';

export type Claims = Readonly<Record<string, unknown>>;

export interface TokensOptions {
  readonly keys: Pick<SigningKeys, 'current' | 'onChange'>;
  readonly tenantId: string;
  /** `https://host:port/<tenantId>/v2.0`; asked for late, since the port may be known only after listening. */
  readonly issuer: () => string;
  readonly now: () => Date;
  /** base64url. */
  readonly sign: (alg: SigningAlgorithm, key: KeyObject, input: string) => Promise<string> | string;
}

/** Claims of every access token for a person; `scp` is for the resource to obey. */
export function personAccessClaims(
  tenantId: string,
  { objectId, userPrincipalName, displayName }: Person,
  { clientId, confidential }: Pick<Application, 'clientId' | 'confidential'>,
  scopes: readonly string[],
  methods?: readonly string[],
): Claims {
  // One literal, and undefined for what is not there: spreading parts together took longer than the signature's encoding.
  return {
    oid: objectId,
    preferred_username: userPrincipalName,
    name: displayName ?? undefined,
    upn: userPrincipalName,
    appid: clientId,
    azp: clientId,
    azpacr: confidential ? '1' : '0',
    idtyp: 'user',
    scp: scopes.join(' '),
    amr: methods,
    tid: tenantId,
    ver: '2.0',
  };
}

export function applicationAccessClaims(tenantId: string, clientId: string, roles: readonly string[]): Claims {
  return {
    oid: clientId,
    appid: clientId,
    azp: clientId,
    azpacr: '1',
    idtyp: 'app',
    roles,
    tid: tenantId,
    ver: '2.0',
  };
}

/** Claims about the person in an id token, by scope (Core 5.4). */
export function personIdClaims(tenantId: string, person: Person, scopes: ReadonlySet<string>): Claims {
  const { objectId, userPrincipalName, displayName, givenName, surname, mail } = person;
  const profile = scopes.has('profile');
  return {
    oid: objectId,
    preferred_username: userPrincipalName,
    name: displayName ?? undefined,
    email: scopes.has('email') ? (mail ?? undefined) : undefined,
    given_name: profile ? (givenName ?? undefined) : undefined,
    family_name: profile ? (surname ?? undefined) : undefined,
    tid: tenantId,
    ver: '2.0',
  };
}

/** What MSAL knows an account by. */
export function clientInfo(tenantId: string, objectId: string): string {
  return encode({ uid: objectId, utid: tenantId });
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

export class Tokens {
  readonly #options: TokensOptions;
  /** Encoded headers by key id and type: they are the same for every token of a key. */
  readonly #headers = new Map<string, string>();

  constructor(options: TokensOptions) {
    this.#options = options;
    options.keys.onChange(() => this.#headers.clear());
  }

  get tenantId(): string {
    return this.#options.tenantId;
  }

  accessToken(audience: string, subject: string, claims: Claims): Promise<string> {
    const key = this.#options.keys.current(ACCESS_TOKEN_ALGORITHM);
    return this.#signed(key, this.#signingInput(key, ACCESS_TOKEN_TYPE, audience, subject, claims, randomUUID()));
  }

  idToken(
    { clientId, idTokenAlgorithm }: Pick<Application, 'clientId' | 'idTokenAlgorithm'>,
    subject: string,
    claims: Claims,
  ): Promise<string> {
    const key = this.#options.keys.current(idTokenAlgorithm);
    return this.#signed(key, this.#signingInput(key, 'JWT', clientId, subject, claims));
  }

  async #signed({ alg, privateKey }: SigningKey, input: string): Promise<string> {
    return `${input}.${await this.#options.sign(alg, privateKey, input)}`;
  }

  #signingInput(key: SigningKey, typ: string, audience: string, subject: string, claims: Claims, jti?: string): string {
    const { issuer, now } = this.#options;
    const iat = Math.floor(now().getTime() / 1000);
    const nbf = iat - CLOCK_DIFFERENCE;
    const first = { aud: audience, iss: issuer(), iat, nbf, exp: iat + TOKEN_LIFETIME, sub: subject, jti };
    // Two objects written one behind the other are one, without a third made of both.
    const json = `${JSON.stringify(first).slice(0, -1)},${JSON.stringify(claims).slice(1)}`;
    return `${this.#header(key, typ)}.${Buffer.from(json).toString('base64url')}`;
  }

  #header({ kid, alg }: SigningKey, typ: string): string {
    const name = `${typ} ${kid}`;
    let header = this.#headers.get(name);
    if (header === undefined) {
      header = encode({ typ, alg, kid });
      this.#headers.set(name, header);
    }
    return header;
  }
}
