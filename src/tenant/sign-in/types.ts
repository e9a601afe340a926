/** What every way to sign in hands over, and what it gets back: token endpoint, sign-in page and device code alike. */

import type { SignInUser } from '../store/store.js';

export interface SignInAttempt {
  readonly userPrincipalName: string;
  readonly password: string;
  readonly clientId: string;
  /** The person's, after trusted proxies. */
  readonly address: string;
  readonly flow: 'password' | 'browser' | 'deviceCode';
  readonly correlationId: string;
}

/**
 * Refusals by AADSTS number. 50126 stands for an unknown user, a user without password and a wrong password alike, and
 * all take the same time: who does not know the password learns nothing about the account. The log has the reason.
 */
export type SignInRefusal =
  /** Invalid user name or password. */
  | 50126
  /** Smart lockout: said of names that no user has, too, and whether or not the password was right. */
  | 50053
  /** The password was right: expired, or temporary. */
  | 50055
  /** The password was right: the account is disabled. */
  | 50057
  /** The password was right: at high risk, and the tenant refuses that until it changes. */
  | 50135;

export type SignInOutcome =
  | { readonly status: 'signedIn'; readonly user: SignInUser }
  | {
      readonly status: 'refused';
      readonly code: SignInRefusal;
      /** With 50055: which of the two. */
      readonly change?: 'expired' | 'temporary';
      /** Where the password was right; never shown otherwise. */
      readonly user?: SignInUser;
    }
  /** Signs in elsewhere; the password was not looked at. */
  | { readonly status: 'federated'; readonly url: string };

/** A token was asked for by a refresh token, without the person. */
export interface Renewal {
  /** Whose it is; may be disabled or deleted meanwhile. */
  readonly objectId: string;
  readonly clientId: string;
  readonly address: string;
  /** AADSTS number; 0: renewed. */
  readonly errorCode: number;
  readonly correlationId: string;
}

export interface SignIn {
  signIn(attempt: SignInAttempt): Promise<SignInOutcome>;
  /** Puts it into the sign-in log, beside the answer. */
  renewed(renewal: Renewal): void;
  /** Where a name signs in, known or not, from its domain, staged rollout and the domain's switch. */
  realm(
    userPrincipalName: string,
  ): Promise<{ readonly type: 'managed' } | { readonly type: 'federated'; readonly url: string }>;
}
