/**
 * Who is synchronized: most derived class `user`, no account of the system's own, what the connector's OU rules and
 * conditions leave, and whose password of these. Comparisons ignore case, as the directory's own do.
 */

import { createHash } from 'node:crypto';
import type { ConditionAttribute, FilterAttribute, FilterCondition, ScopeConfig } from './config/scope.js';
import { isBelow, parseDn } from './dn.js';
import type { DirectoryObject } from './source.js';

/** Why an object is not synchronized. */
export type OutOfScope =
  | 'class'
  | 'system-account'
  | 'service-account'
  | 'conflict'
  | 'nameless'
  /** adminDescription begins with `User_` or `Group_`. */
  | 'admin-description'
  /** One of the connector's conditions matches. */
  | 'cloud-filtered'
  | 'organizational-unit';

export interface ScopeRules {
  /** OUs by DN; empty: the whole domain. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly cloudFiltered?: ScopeConfig['cloudFiltered'] | undefined;
  readonly passwords?: ScopeConfig['passwords'] | undefined;
}

export interface Scope {
  /** Undefined: the object is synchronized. Needs a whole object: class and sAMAccountName. */
  why(object: DirectoryObject): OutOfScope | undefined;
  /** False: the user is synchronized and the password is not (selective password hash synchronization). */
  sendsPassword(object: DirectoryObject): boolean;
  /** The OU rules alone. */
  placed(dn: string): boolean;
  /** The OU of `exclude`, as it is written there, that decides about `dn`; undefined where none does. */
  excludedBy(dn: string): string | undefined;
  /** The first condition of `cloudFiltered` that matches. */
  filteredBy(object: DirectoryObject): FilterCondition | undefined;
  /** Changes whenever the rules do: a cookie made under other rules has passed by what is wanted now. */
  readonly digest: string;
  readonly rules: ScopeRules;
}

/** RIDs below belong to the system: Administrator (500), Guest (501), krbtgt (502), the well-known groups. */
const FIRST_ORDINARY_RID = 1000;

// userAccountControl, MS-ADTS 2.2.16: INTERDOMAIN_TRUST, WORKSTATION_TRUST and SERVER_TRUST accounts.
const TRUST_ACCOUNTS = 0x0800 | 0x1000 | 0x2000;
export const ACCOUNT_DISABLED = 0x0002;

// The names that Entra Connect's rule "In from AD - User Common" filters; krbtgt_<number> are the RODCs' own.
const SERVICE_ACCOUNT = /^(?:krbtgt(?:_\d+)?$|support_388945a0$|aad_|msol_|cas_.*\}|systemmailbox\{)/i;

// What was written back from the tenant, in the rule "In from AD - User Join"; for groups "In from AD - Group Join".
const WRITTEN_BACK = /^(?:User|Group)_/i;

export function createScope(rules: ScopeRules): Scope {
  const { cloudFiltered = [], passwords = 'all' } = rules;
  const list = [
    ...rules.include.map((dn) => ({ dn, parts: rdns(dn), wanted: true })),
    ...rules.exclude.map((dn) => ({ dn, parts: rdns(dn), wanted: false })),
    // The deepest rule decides; of two for the same OU, the exclusion.
  ].sort((a, b) => b.parts.length - a.parts.length || Number(a.wanted) - Number(b.wanted));
  const otherwise = rules.include.length === 0;

  function placed(dn: string): boolean {
    if (list.length === 0) return true;
    return deciding(dn)?.wanted ?? otherwise;
  }

  function deciding(dn: string) {
    const parts = parseDn(dn);
    return parts && list.find((rule) => isBelow(parts, rule.parts));
  }

  const filteredBy = (object: DirectoryObject) => cloudFiltered.find((condition) => matches(condition, object));

  return {
    why(object) {
      if (object.objectClass !== 'user') return 'class';
      // As Entra Connect's default rules have it: what the directory made for itself stays there, at any RID.
      if (object.isCriticalSystemObject || object.rid < FIRST_ORDINARY_RID) return 'system-account';
      if (object.sAMAccountName === undefined || object.sAMAccountName === '') return 'nameless';
      if (((object.userAccountControl ?? 0) & TRUST_ACCOUNTS) !== 0) return 'system-account';
      if (SERVICE_ACCOUNT.test(object.sAMAccountName)) return 'service-account';
      if (object.dn.includes('\\0ACNF:') || object.dn.includes('\nCNF:')) return 'conflict';
      if (WRITTEN_BACK.test(object.adminDescription ?? '')) return 'admin-description';
      if (filteredBy(object) !== undefined) return 'cloud-filtered';
      return placed(object.dn) ? undefined : 'organizational-unit';
    },
    sendsPassword(object) {
      if (passwords === 'all') return true;
      const marked = sameText(object.adminDescription ?? '', passwords);
      return passwords === 'PHSIncluded' ? marked : !marked;
    },
    placed,
    excludedBy(dn) {
      const rule = deciding(dn);
      return rule?.wanted === false ? rule.dn : undefined;
    },
    filteredBy,
    rules,
    digest: createHash('sha256')
      .update(
        JSON.stringify([
          list.map(({ parts, wanted }) => ({ parts, wanted })),
          cloudFiltered.map((each) => JSON.stringify(each).toLowerCase()),
          passwords,
        ]),
      )
      .digest('hex')
      .slice(0, 16),
  };
}

const sameText = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

/** An attribute that is not there differs from everything, as NOTEQUAL of Entra Connect's rules has it. */
function matches(condition: FilterCondition, object: DirectoryObject): boolean {
  const { attribute, equals, notEquals, startsWith, contains, present } = condition;
  const value = textOf(attribute, object);
  if (equals !== undefined) return sameText(value, equals);
  if (notEquals !== undefined) return !sameText(value, notEquals);
  if (present !== undefined) return (value !== '') === present;
  if (startsWith !== undefined) return value.toLowerCase().startsWith(startsWith.toLowerCase());
  return value.toLowerCase().includes(contains!.toLowerCase());
}

/** '': not there. */
function textOf(attribute: FilterAttribute, object: DirectoryObject): string {
  switch (attribute) {
    case 'adminDescription':
    case 'displayName':
    case 'mail':
    case 'sAMAccountName':
    case 'userPrincipalName':
      return object[attribute] ?? '';
    default:
      return object.attributes?.get(attribute) ?? '';
  }
}

/** What the conditions ask for that is no field of a DirectoryObject: it is replicated for their sake alone. */
export function conditionAttributes({ cloudFiltered = [] }: Pick<ScopeRules, 'cloudFiltered'>): ConditionAttribute[] {
  const names = new Set(cloudFiltered.map(({ attribute }) => attribute));
  return [...names].filter((name): name is ConditionAttribute => !FIELDS.has(name)).sort();
}

const FIELDS: ReadonlySet<FilterAttribute> = new Set([
  'adminDescription',
  'displayName',
  'mail',
  'sAMAccountName',
  'userPrincipalName',
] as const satisfies Exclude<FilterAttribute, ConditionAttribute>[]);

/** The OUs of the rules that a pass over the whole directory has not come across: mistyped, moved or renamed ones. */
export class UnseenOus {
  #left: readonly { readonly dn: string; readonly parts: readonly string[] }[];

  constructor({ include, exclude }: Pick<ScopeRules, 'include' | 'exclude'>) {
    this.#left = [...include, ...exclude].map((dn) => ({ dn, parts: rdns(dn) }));
  }

  /** The directory has shown an object of this name. */
  note(dn: string): void {
    if (this.#left.length === 0) return;
    const parts = parseDn(dn);
    if (parts !== undefined) this.#left = this.#left.filter((ou) => !isBelow(parts, ou.parts));
  }

  get names(): string[] {
    return this.#left.map(({ dn }) => dn);
  }
}

function rdns(dn: string): string[] {
  const parts = parseDn(dn);
  if (parts === undefined) {
    throw new RangeError(`not a distinguished name: ${JSON.stringify(dn.slice(0, 200))}`);
  }
  return parts;
}
