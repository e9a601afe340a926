/** Graph's passwordPolicies: `None`, or DisablePasswordExpiration and DisableStrongPassword, alone or together. */

import { DISABLE_PASSWORD_EXPIRATION, DISABLE_STRONG_PASSWORD } from '../../policies/expiry.js';

const NAMES = [DISABLE_PASSWORD_EXPIRATION, DISABLE_STRONG_PASSWORD] as const;

/** As it is kept, or undefined where it is none. */
export function canonicalPasswordPolicies(text: string | null): string | null | undefined {
  if (text === null) return null;
  const parts = text.split(',').map((part) => part.trim().toLowerCase());
  if (parts.length === 1 && parts[0] === 'none') return 'None';
  const found = NAMES.filter((name) => parts.includes(name.toLowerCase()));
  return found.length === parts.length ? found.join(', ') : undefined;
}
