/** Whether a domain controller has the OUs that a connector's scope names: where it lacks one, no cycle begins. */

import { type CrackedName, NameFormat, NameStatus } from '../../protocol/drsr/crack-names.js';
import type { DrsClient } from '../../protocol/drsr/drs-client.js';
import type { ScopeConfig } from '../config/scope.js';
import { type CheckResult, counted, failure, ok, type Subject } from './check.js';

type OuRules = Pick<ScopeConfig, 'include' | 'exclude'>;

/** DNs as the scope has them, those that `domain` does not have. @throws ProtocolError */
export async function missingOus(
  client: Pick<DrsClient, 'crackNames'>,
  { include, exclude }: OuRules,
  domain: string,
): Promise<string[]> {
  const names = [...include, ...exclude];
  if (names.length === 0) return [];
  const { fqdn1779 } = NameFormat;
  const found = await client.crackNames({ formatOffered: fqdn1779, formatDesired: fqdn1779, names });
  return names.filter((_, i) => !isIn(domain, found[i]!));
}

/** A global catalog knows the other domains' OUs too, which this domain's replication does not bring. */
function isIn(domain: string, { status, domain: home = domain }: CrackedName): boolean {
  return status === NameStatus.ok && home.toLowerCase() === domain.toLowerCase();
}

export function judgeOus({ include, exclude }: OuRules, missing: readonly string[], of: Subject): CheckResult {
  const count = include.length + exclude.length;
  if (missing.length === 0) {
    const text = count === 0 ? 'none: the whole domain' : `${counted(count, 'OU')}, and the directory has all of them`;
    return ok('scope-ous', text, { count }, of);
  }
  return failure(
    'scope-ous',
    `the scope names ${missing.join('; ')}, which the directory does not have`,
    "Correct the connector's scope.include and scope.exclude in agent.yaml; a cycle under rules that it has not seen yet fails (scope-unknown), and sends nothing.",
    { count, missing },
    of,
  );
}
