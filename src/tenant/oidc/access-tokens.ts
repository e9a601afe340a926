/** Checks access tokens of this tenant for its own resources (RFC 9068 4, RFC 8725). */

import { errors, type JWTPayload, jwtVerify } from 'jose';
import { DOMAIN_SERVICES_RESOURCE, DOMAIN_SERVICES_ROLE } from '../../provisioning/domain-services-feed.js';
import { type Accounts, isPerson, isRevoked } from './accounts.js';
import type { AccessTokens, Caller, CallerCheck } from './caller.js';
import { ALGORITHMS, type SigningKeys } from './signing-keys.js';
import { ACCESS_TOKEN_TYPE, PROVISIONING_RESOURCE, PROVISIONING_ROLE, type TokensOptions } from './tokens.js';

export type AccessTokensOptions = Omit<TokensOptions, 'keys' | 'sign'> & {
  readonly keys: Pick<SigningKeys, 'find'>;
  readonly accounts: Pick<Accounts, 'find'>;
};

export function createAccessTokens({ keys, accounts, issuer, now, tenantId }: AccessTokensOptions): AccessTokens {
  return {
    async verifyAccessToken(token, audience): Promise<CallerCheck> {
      try {
        const { payload } = await jwtVerify(token, ({ kid, alg }) => keyFor(keys, kid, alg), {
          algorithms: [...ALGORITHMS],
          typ: ACCESS_TOKEN_TYPE,
          issuer: issuer(),
          audience,
          requiredClaims: ['exp', 'nbf', 'iat', 'sub', 'azp', 'tid'],
          currentDate: now(),
        });
        const caller = payload.tid === tenantId ? callerOf(payload) : undefined;
        if (caller === undefined) return { ok: false, reason: 'invalid' };
        return caller.objectId === undefined ? { ok: true, caller } : await ofPerson(caller, payload, accounts);
      } catch (error) {
        if (error instanceof errors.JWTExpired) return { ok: false, reason: 'expired' };
        if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'aud') {
          return { ok: false, reason: 'audience' };
        }
        if (error instanceof errors.JOSEError) return { ok: false, reason: 'invalid' };
        throw error;
      }
    },
  };
}

/** A token lives an hour, and its person's account need not: one look by an index at each call. */
async function ofPerson(
  caller: Caller,
  { iat = 0 }: JWTPayload,
  accounts: AccessTokensOptions['accounts'],
): Promise<CallerCheck> {
  const account = await accounts.find(caller.objectId!);
  if (!isPerson(account)) return { ok: false, reason: 'account' };
  return isRevoked(account, iat) ? { ok: false, reason: 'revoked' } : { ok: true, caller };
}

async function keyFor(keys: Pick<SigningKeys, 'find'>, kid: string | undefined, alg: string) {
  const key = kid === undefined ? undefined : await keys.find(kid);
  // A key is for its own algorithm only: what a header says is not believed (RFC 8725 3.1).
  if (key === undefined || key.alg !== alg) throw new errors.JWKSNoMatchingKey();
  return key.publicKey;
}

function callerOf({ azp, oid, idtyp, scp, roles }: JWTPayload): Caller | undefined {
  if (typeof azp !== 'string') return undefined;
  const isPerson = idtyp === 'user';
  if (isPerson ? typeof oid !== 'string' : idtyp !== 'app') return undefined;
  return {
    kind: isPerson ? 'user' : 'app',
    clientId: azp,
    objectId: isPerson ? (oid as string) : undefined,
    scopes: new Set(isPerson && typeof scp === 'string' ? scp.split(' ') : []),
    roles: new Set(!isPerson && Array.isArray(roles) ? roles.filter((role) => typeof role === 'string') : []),
  };
}

export type AgentTokenResult =
  | { readonly ok: true; readonly clientId: string }
  | { readonly ok: false; readonly reason: 'invalid' | 'expired' | 'role' };

/** Whether the token lets its bearer provision. Why not is for the log and the fault's wording, not for secrets. */
export const verifyAgentToken = (accessTokens: AccessTokens, token: string): Promise<AgentTokenResult> =>
  verifyApplication(accessTokens, token, PROVISIONING_RESOURCE, PROVISIONING_ROLE);

/** Whether the token lets its bearer read Domain Services' feed. */
export const verifyReaderToken = (accessTokens: AccessTokens, token: string): Promise<AgentTokenResult> =>
  verifyApplication(accessTokens, token, DOMAIN_SERVICES_RESOURCE, DOMAIN_SERVICES_ROLE);

async function verifyApplication(
  accessTokens: AccessTokens,
  token: string,
  resource: string,
  role: string,
): Promise<AgentTokenResult> {
  const checked = await accessTokens.verifyAccessToken(token, resource);
  if (!checked.ok) return { ok: false, reason: checked.reason === 'expired' ? 'expired' : 'invalid' };
  const { kind, clientId, roles } = checked.caller;
  return kind === 'app' && roles.has(role) ? { ok: true, clientId } : { ok: false, reason: 'role' };
}
