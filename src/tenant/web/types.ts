/**
 * What the sign-in pages and oidc-provider owe each other.
 *
 * The provider's configuration takes from here: `interactions.url` = interactionPath, and everything that
 * createProviderPages() returns (`renderError`, the sources of device flow and sign-out). It allows `extraParams:
 * ['domain_hint']`, lists the prompts `select_account`, `login` (in this order) in its interaction policy, asks for no
 * consent (an administrator registered the applications), and lets `ttl.Session` be 180 days, or one day of a session
 * that is `transient`.
 */

import type Provider from 'oidc-provider';
import type { TenantContext } from '../context.js';
import type { PasswordChanges } from '../passwords/types.js';
import type { SignIn } from '../sign-in/types.js';
import type { Seal } from './seal.js';

/** Where a request that needs the person goes on. The interaction's cookie is set for this path. */
export const interactionPath = (uid: string): string => `/sign-in/${uid}`;

export interface SignInPagesOptions {
  readonly context: TenantContext;
  /** Asked for with each request: it may be made late, and anew. */
  readonly provider: () => Provider | Promise<Provider>;
  readonly signIn: SignIn;
  readonly passwords: Pick<PasswordChanges, 'change' | 'hindrance'>;
  /** Whether people are offered *Keep me signed in*. */
  readonly keepMeSignedIn: boolean;
  /** Signs what forms and cookies carry. */
  readonly seal: Seal;
}
