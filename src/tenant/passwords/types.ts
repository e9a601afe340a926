/** Changing a password in the cloud: by its owner at sign-in, or reset by an administrator; and the way back on premises. */

import type { Queries } from '../store/database.js';
import type { SignInUser } from '../store/store.js';

export type PasswordRefusal =
  /** Entra's rules for passwords of the cloud: 8 to 256 characters, three of four kinds, not the name, not a known bad one. */
  | 'complexity'
  | 'sameAsOld'
  /** The domain controller refused: too short, too young, in the history. */
  | 'onPremisesPolicy'
  /** A synchronized user, and the tenant does not write back. */
  | 'writebackOff'
  /** No agent answers for the user's domain, or it did not in time. */
  | 'writebackUnavailable'
  /** A federated domain's passwords are not set here. */
  | 'federated'
  /** The old password is not (or no longer) right. */
  | 'wrongPassword'
  | 'locked'
  /** The old password is right, and the account may not be used. */
  | 'disabled'
  /** Nobody has this object id, or no longer. */
  | 'unknownUser';

export type PasswordChange =
  | { readonly status: 'changed' }
  | { readonly status: 'refused'; readonly reason: PasswordRefusal; readonly message: string };

export interface PasswordChanges {
  /** Why the owner cannot change it here, whatever the new one would be; undefined: it can be tried. */
  hindrance(user: Pick<SignInUser, 'synchronized'>): Promise<Extract<PasswordRefusal, 'writebackOff'> | undefined>;
  /**
   * By the owner, who shows the old one: is verified again (lockout counts), written back first where the user is
   * synchronized, then stored, so that the new one is valid at once.
   */
  change(request: {
    readonly user: SignInUser;
    readonly oldPassword: string;
    readonly newPassword: string;
    readonly clientId: string;
    readonly address: string;
    readonly correlationId: string;
  }): Promise<PasswordChange>;
  /** The first of a user whom an administrator makes. The cloud's rules apply. `store` is for the transaction that makes the user. */
  first(request: {
    readonly user: Pick<SignInUser, 'userPrincipalName' | 'displayName' | 'givenName' | 'surname' | 'passwordPolicies'>;
    readonly password: string;
    readonly forceChangeNextSignIn: boolean;
    readonly actor: string;
  }): Promise<
    | Extract<PasswordChange, { status: 'refused' }>
    | { readonly status: 'ready'; store(queries: Queries, userId: number): Promise<void> }
  >;
  /**
   * By an administrator: cloud only, until the next on-premises change. The cloud's rules apply. Writes the audit log
   * itself, for refusals too.
   */
  reset(request: {
    readonly objectId: string;
    readonly newPassword: string;
    readonly forceChangeNextSignIn: boolean;
    /** The administrator's object id or the application's client id, for history and audit. */
    readonly actor: string;
  }): Promise<PasswordChange>;
}

/** Takes a new password to the domain controller, through the agent that asks for it. */
export interface PasswordWriteback {
  /** Whether the feature is on. An agent may be missing all the same. */
  isOn(): Promise<boolean>;
  /** Waits for the domain controller's answer. Neither password is stored or logged anywhere. */
  write(request: {
    readonly user: SignInUser;
    /** Left out: a reset. */
    readonly oldPassword?: string;
    readonly newPassword: string;
  }): Promise<
    /** `changedAt`: by the domain controller's clock, in whole seconds, as synchronization will tell it; where it says so. */
    | { readonly status: 'done'; readonly changedAt?: Date | undefined }
    | { readonly status: 'refused'; readonly reason: 'onPremisesPolicy' | 'wrongPassword'; readonly message: string }
    | { readonly status: 'unavailable'; readonly message: string }
  >;
}
