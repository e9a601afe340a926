/** Who stands behind an access token. */

export interface Caller {
  readonly kind: 'app' | 'user';
  readonly clientId: string;
  /** Of a user's token. */
  readonly objectId: string | undefined;
  /** `scp`: delegated permissions. */
  readonly scopes: ReadonlySet<string>;
  /** `roles`: an application's own permissions. */
  readonly roles: ReadonlySet<string>;
}

/** `account`: the person is disabled or deleted meanwhile; `revoked`: was signed out everywhere since. */
export type CallerCheck =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly reason: 'invalid' | 'expired' | 'audience' | 'account' | 'revoked' };

/** The resource whose tokens the Graph part takes. */
export const GRAPH_RESOURCE = 'https://graph.microsoft.com';

export interface AccessTokens {
  /** `audience`: GRAPH_RESOURCE, or another resource of this tenant. */
  verifyAccessToken(token: string, audience: string): Promise<CallerCheck>;
}
