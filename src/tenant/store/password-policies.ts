/** Graph's passwordPolicies of a user: `None`, or one or both of two names with a comma, as text and in SQL. */

export const DISABLE_PASSWORD_EXPIRATION = 'DisablePasswordExpiration';
export const DISABLE_STRONG_PASSWORD = 'DisableStrongPassword';

const NAMES = [DISABLE_PASSWORD_EXPIRATION, DISABLE_STRONG_PASSWORD] as const;

/** Whether they have the name. */
export function hasPolicy(passwordPolicies: string | null, name: string): boolean {
  return (passwordPolicies ?? '').split(',').some((policy) => policy.trim() === name);
}

/** What is left without the name, as Graph writes it: `None` where nothing is. */
export function withoutPolicy(passwordPolicies: string | null, name: string): string {
  const left = (passwordPolicies ?? '').split(',').map((policy) => policy.trim());
  return left.filter((policy) => policy !== '' && policy !== 'None' && policy !== name).join(', ') || 'None';
}

/** As it is kept, or undefined where it is none. */
export function canonicalPasswordPolicies(text: string | null): string | null | undefined {
  if (text === null) return null;
  const parts = text.split(',').map((part) => part.trim().toLowerCase());
  if (parts.length === 1 && parts[0] === 'none') return 'None';
  const found = NAMES.filter((name) => parts.includes(name.toLowerCase()));
  return found.length === parts.length ? found.join(', ') : undefined;
}

const [DISABLE, STRONG] = NAMES;

/** What becomes of `password_policies` with a synchronized password, and of which rows: those where it differs. */
export const policyChanges = {
  /** With each password, unless the cloud's policy is enforced. */
  disableExpiration: {
    value: `CASE WHEN password_policies LIKE '%${STRONG}%' THEN '${DISABLE}, ${STRONG}' ELSE '${DISABLE}' END`,
    where: `(password_policies IS NULL OR password_policies NOT LIKE '%${DISABLE}%')`,
  },
  /** Where it is enforced: with the next change on premises, not where the same password comes once more. */
  enableExpiration: {
    value: `CASE WHEN password_policies LIKE '%${STRONG}%' THEN '${STRONG}' ELSE 'None' END`,
    where: `password_policies LIKE '%${DISABLE}%'`,
  },
} as const;
