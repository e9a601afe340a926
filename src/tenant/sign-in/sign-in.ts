/** Password sign-in: which user, whether the password fits, and what Entra would answer. */

import { randomBytes } from 'node:crypto';
import { type Credential, DEFAULT_ITERATIONS, DIGEST_SIZE, type Hasher, SALT_SIZE } from '../../hasher/types.js';
import type { SignInUser, TenantStore } from '../store/store.js';

export type SignInOutcome =
  | { readonly status: 'signedIn'; readonly user: SignInUser }
  | { readonly status: 'unknownUser' | 'wrongPassword' | 'noPassword' | 'disabled'; readonly user?: SignInUser };

/** Takes as long for every outcome: one look-up, one verification of a credential with 1000 iterations. */
export type SignIn = (userPrincipalName: string, password: string) => Promise<SignInOutcome>;

/** Longer than Active Directory takes (256 characters), so it is wrong; it is cut, and checked like the others. */
const MAX_PASSWORD = 256;

export function createSignIn(store: TenantStore, hasher: Pick<Hasher, 'verify'>): SignIn {
  // No password has this digest: it was drawn, not derived. Verified where there is no credential to verify, so that the
  // time does not tell whether the user exists.
  const nobody: Credential = {
    salt: randomBytes(SALT_SIZE),
    iterations: DEFAULT_ITERATIONS,
    hash: randomBytes(DIGEST_SIZE),
  };
  return async (userPrincipalName, password) => {
    const user = await store.findSignInUser(userPrincipalName);
    const matches = await hasher.verify(user?.credential ?? nobody, password.slice(0, MAX_PASSWORD));
    if (user === undefined) return { status: 'unknownUser' };
    if (user.credential === undefined) return { status: 'noPassword', user };
    if (!matches || password.length > MAX_PASSWORD) return { status: 'wrongPassword', user };
    // After the password: whether an account is disabled is told to those who know it.
    if (!user.accountEnabled) return { status: 'disabled', user };
    return { status: 'signedIn', user };
  };
}
