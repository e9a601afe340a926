/** JWTs (RFC 7519) with the claims of Entra's version 2 tokens: issued to agents and people, verified for agents. */

import { randomUUID } from 'node:crypto';
import { createLocalJWKSet, errors, jwtVerify, SignJWT } from 'jose';
import type { SignInUser } from '../store/store.js';
import { SIGNING_ALGORITHM, type SigningKey } from './signing-key.js';

/** The resource whose tokens the provisioning service takes. */
export const PROVISIONING_RESOURCE = 'https://graph.windows.net';
/** The application role that lets an agent provision. */
export const PROVISIONING_ROLE = 'DirectorySynchronization';
/** Seconds. */
export const TOKEN_LIFETIME = 3600;

export interface TokensOptions {
  readonly key: SigningKey;
  readonly tenantId: string;
  /** `https://host:port/<tenantId>/v2.0`; asked for late, since the port may be known only after listening. */
  readonly issuer: () => string;
  readonly now: () => Date;
}

export interface UserTokens {
  readonly accessToken: string;
  readonly idToken: string | undefined;
}

export type AgentTokenResult =
  | { readonly ok: true; readonly clientId: string }
  | { readonly ok: false; readonly reason: 'invalid' | 'expired' | 'role' };

export class Tokens {
  readonly #options: TokensOptions;
  readonly #keys: ReturnType<typeof createLocalJWKSet>;

  constructor(options: TokensOptions) {
    this.#options = options;
    this.#keys = createLocalJWKSet({ keys: [options.key.publicJwk] });
  }

  /** An application's token for the provisioning service. */
  issueAgentToken(clientId: string): Promise<string> {
    return this.#sign(PROVISIONING_RESOURCE, clientId, {
      appid: clientId,
      azp: clientId,
      idtyp: 'app',
      roles: [PROVISIONING_ROLE],
    });
  }

  /** A person's tokens; the id token where `openid` is among the scopes. */
  async issueUserTokens(user: SignInUser, clientId: string, scopes: readonly string[]): Promise<UserTokens> {
    const { objectId, userPrincipalName, displayName, givenName, surname, mail } = user;
    const has = (scope: string) => scopes.includes(scope);
    const names = {
      oid: objectId,
      preferred_username: userPrincipalName,
      ...(displayName === null ? {} : { name: displayName }),
    };
    const accessToken = this.#sign(clientId, objectId, {
      ...names,
      upn: userPrincipalName,
      appid: clientId,
      azp: clientId,
      idtyp: 'user',
      amr: ['pwd'],
      scp: scopes.join(' '),
    });
    const idToken = has('openid')
      ? this.#sign(clientId, objectId, {
          ...names,
          ...(has('email') && mail !== null ? { email: mail } : {}),
          ...(has('profile') && givenName !== null ? { given_name: givenName } : {}),
          ...(has('profile') && surname !== null ? { family_name: surname } : {}),
        })
      : undefined;
    return { accessToken: await accessToken, idToken: await idToken };
  }

  /** Whether the token lets its bearer provision. Why not is for the log and the fault's wording, not for secrets. */
  async verifyAgentToken(token: string): Promise<AgentTokenResult> {
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        algorithms: [SIGNING_ALGORITHM],
        issuer: this.#options.issuer(),
        audience: PROVISIONING_RESOURCE,
        requiredClaims: ['exp', 'appid'],
        currentDate: this.#options.now(),
      });
      const { appid, roles } = payload;
      if (typeof appid !== 'string' || !Array.isArray(roles) || !roles.includes(PROVISIONING_ROLE)) {
        return { ok: false, reason: 'role' };
      }
      return { ok: true, clientId: appid };
    } catch (error) {
      if (error instanceof errors.JWTExpired) return { ok: false, reason: 'expired' };
      if (error instanceof errors.JOSEError) return { ok: false, reason: 'invalid' };
      throw error;
    }
  }

  #sign(audience: string, subject: string, claims: Readonly<Record<string, unknown>>): Promise<string> {
    const { key, tenantId, issuer, now } = this.#options;
    const issuedAt = Math.floor(now().getTime() / 1000);
    return new SignJWT({ ...claims, tid: tenantId, ver: '2.0' })
      .setProtectedHeader({ alg: SIGNING_ALGORITHM, typ: 'JWT', kid: key.kid })
      .setIssuer(issuer())
      .setAudience(audience)
      .setSubject(subject)
      .setJti(randomUUID())
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt)
      .setExpirationTime(issuedAt + TOKEN_LIFETIME)
      .sign(key.privateKey);
  }
}
