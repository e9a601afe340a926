/** Tokens renewed by a refresh token (RFC 6749 6), and renewals refused, for the sign-in log: Entra's non-interactive sign-ins. */

import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { Renewal } from '../sign-in/types.js';
import { aadstsOf, type Failure, factsOf } from './provider-answers.js';

/**
 * Tells of each renewal in somebody's name; what is no refresh token of this tenant is nobody's. Where several requests
 * bring the same one at once, each is told.
 */
export function watchRenewals(
  provider: Provider,
  onRenewal: (renewal: Renewal) => void,
  onError: (error: unknown) => void,
): void {
  const told = (ctx: KoaContextWithOIDC, objectId: string | undefined, errorCode: number) => {
    const { correlationId, address } = factsOf(ctx);
    const clientId = ctx.oidc.client?.clientId;
    if (objectId === undefined || clientId === undefined) return;
    onRenewal({ objectId, clientId, address, correlationId, errorCode });
  };
  provider.on('grant.success', (ctx) => {
    if (isRenewal(ctx)) told(ctx, ctx.oidc.account?.accountId, 0);
  });
  provider.on('grant.error', (ctx, failure: Failure) => {
    if (!isRenewal(ctx)) return;
    const { code } = aadstsOf(failure, ctx);
    ownerOf(provider, ctx).then((objectId) => told(ctx, objectId, code), onError);
  });
}

const isRenewal = ({ oidc }: KoaContextWithOIDC) => oidc.params?.grant_type === 'refresh_token';

/** What is expired or another client's, and what a grant was revoked of, the provider refuses before it says whose it is. */
async function ownerOf(provider: Provider, { oidc }: KoaContextWithOIDC): Promise<string | undefined> {
  const known = oidc.entities.RefreshToken?.accountId;
  const value = oidc.params?.refresh_token;
  if (known !== undefined || typeof value !== 'string') return known;
  return (await provider.RefreshToken.find(value, { ignoreExpiration: true }))?.accountId;
}
