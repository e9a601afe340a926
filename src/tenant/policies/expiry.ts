/** Password expiry: the domain's period, counted from the last change, unless the user's passwordPolicies say otherwise. Pure. */

import { DISABLE_PASSWORD_EXPIRATION, hasPolicy } from '../store/password-policies.js';
import { DEFAULT_VALIDITY_DAYS, NEVER_EXPIRES } from './domains.js';

const DAY = 24 * 60 * 60 * 1000;

export interface ExpiryFacts {
  readonly passwordPolicies: string | null;
  /** Undefined: no password. */
  readonly passwordChanged: Date | undefined;
  readonly domain:
    | { readonly authentication_type: 'Managed' | 'Federated'; readonly password_validity_days: number | null }
    | undefined;
  /** CloudPasswordPolicyForPasswordSyncedUsersEnabled. */
  readonly cloudPolicyForSynchronized: boolean;
}

/**
 * Days that the password is good for; undefined: it never expires. Users of a federated domain who sign in here (staged
 * rollout, federation's backup) have a fixed 90 days where the feature is on, and no expiry otherwise.
 */
function validityDays({
  passwordPolicies,
  domain,
  cloudPolicyForSynchronized,
}: Omit<ExpiryFacts, 'passwordChanged'>): number | undefined {
  if (hasPolicy(passwordPolicies, DISABLE_PASSWORD_EXPIRATION)) return undefined;
  if (domain?.authentication_type === 'Federated') {
    return cloudPolicyForSynchronized ? DEFAULT_VALIDITY_DAYS : undefined;
  }
  const days = domain?.password_validity_days ?? DEFAULT_VALIDITY_DAYS;
  return days === NEVER_EXPIRES ? undefined : days;
}

export function isExpired(facts: ExpiryFacts, now: Date): boolean {
  const days = validityDays(facts);
  const { passwordChanged } = facts;
  if (days === undefined || passwordChanged === undefined) return false;
  return now.getTime() >= passwordChanged.getTime() + days * DAY;
}
