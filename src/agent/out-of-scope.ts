/** Why an object is not synchronized, in words: for the diagnosis and the report of one object. */

import type { FilterCondition } from './config/scope.js';
import type { OutOfScope, Scope } from './scope.js';
import type { DirectoryObject } from './source.js';

/** A clause that begins with what `out of scope: ` is followed by; it names the rule that decides. */
export function outOfScopeText(why: OutOfScope, object: DirectoryObject, scope: Scope): string {
  switch (why) {
    case 'class':
      return `it is no user but of the class ${object.objectClass ?? 'that this account may not see'}`;
    case 'system-account':
      return "it is one of the system's own accounts";
    case 'service-account':
      return 'its name is one of those that synchronization and mail systems make for themselves';
    case 'conflict':
      return 'it is a conflict object (CNF) of replication';
    case 'nameless':
      return 'it has no sAMAccountName';
    case 'admin-description':
      return 'its adminDescription marks it as written back from the tenant (User_… or Group_…)';
    case 'cloud-filtered': {
      const condition = scope.filteredBy(object);
      const which = condition === undefined ? 'one of its conditions' : conditionText(condition);
      return `scope.cloudFiltered keeps it out: ${which}`;
    }
    case 'organizational-unit': {
      const ou = scope.excludedBy(object.dn);
      return ou === undefined ? 'it lies below none of the OUs of scope.include' : `excluded by ${ou} (scope.exclude)`;
    }
  }
}

/** `department equals Sales`, as the configuration has it. */
function conditionText({ attribute, ...operators }: FilterCondition): string {
  const [[operator, value] = []] = Object.entries(operators).filter(([, each]) => each !== undefined);
  return `${attribute} ${operator} ${value}`;
}
