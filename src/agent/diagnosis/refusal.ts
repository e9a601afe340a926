/** What to do about a user whom the tenant refuses since it is not this agent's, where agents are kept apart there. */

/**
 * Undefined for every other refusal. `reason` as the tenant words it; `anchor`: the user's source anchor, where one user
 * is meant.
 */
export function ownershipAdvice(reason: string, anchor = 'ANCHOR'): string | undefined {
  if (/for which this agent may not act/.test(reason)) {
    return (
      "Leave the user out of this connector's scope, or have the domain added to this agent's agents[].domains in " +
      'tenant.yaml.'
    );
  }
  if (!/belongs to the agent /.test(reason)) return undefined;
  return (
    'Another agent owns this user. If it is to be this one, hand the user over at the tenant (phsync tenant hand-over ' +
    `--config tenant.yaml --anchor ${anchor} --to CLIENT-ID, that of this agent); if not, leave the user out of this connector's scope.`
  );
}
