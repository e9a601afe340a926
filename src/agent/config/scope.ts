/** A connector's `scope` in agent.yaml: whose users, and whose passwords. */

import { z } from 'zod';
import { parseDn } from '../dn.js';

const distinguishedName = z
  .string()
  .refine((text) => parseDn(text) !== undefined, 'expected a distinguished name, e.g. OU=Staff,DC=contoso,DC=com');

/** What an attribute filter may ask for; text attributes with one value, but for objectClass. */
export const FILTER_ATTRIBUTES = [
  'adminDescription',
  'company',
  'department',
  'description',
  'displayName',
  'employeeType',
  'mail',
  'sAMAccountName',
  'title',
  'userPrincipalName',
  'extensionAttribute1',
  'extensionAttribute2',
  'extensionAttribute3',
  'extensionAttribute4',
  'extensionAttribute5',
  'extensionAttribute6',
  'extensionAttribute7',
  'extensionAttribute8',
  'extensionAttribute9',
  'extensionAttribute10',
  'extensionAttribute11',
  'extensionAttribute12',
  'extensionAttribute13',
  'extensionAttribute14',
  'extensionAttribute15',
] as const;
export type FilterAttribute = (typeof FILTER_ATTRIBUTES)[number];

/** Those that are no fields of a DirectoryObject: they are replicated for the conditions' sake alone. */
export type ConditionAttribute = Exclude<
  FilterAttribute,
  'adminDescription' | 'displayName' | 'mail' | 'sAMAccountName' | 'userPrincipalName'
>;

const text = z.string().min(1).max(1024);

/** One condition; comparisons ignore case, as the directory's do. Exactly one operator. */
const condition = z
  .strictObject({
    attribute: z.enum(FILTER_ATTRIBUTES),
    equals: text.optional(),
    notEquals: text.optional(),
    startsWith: text.optional(),
    contains: text.optional(),
    present: z.boolean().optional(),
  })
  .refine(
    ({ attribute: _, ...operators }) => Object.values(operators).filter((value) => value !== undefined).length === 1,
    'expected exactly one of equals, notEquals, startsWith, contains and present',
  );

export const scopeSchema = z
  .strictObject({
    include: z
      .array(distinguishedName)
      .max(1000)
      .default([])
      .describe('OUs by DN, with all below them; the whole domain where there are none.'),
    exclude: z.array(distinguishedName).max(1000).default([]).describe('OUs by DN that are left out of these.'),
    cloudFiltered: z
      .array(condition)
      .max(100)
      .default([])
      .describe('Who matches any of these conditions is not in the tenant at all.'),
    passwords: z
      .enum(['all', 'PHSFiltered', 'PHSIncluded'])
      .default('all')
      .describe(
        'By adminDescription, PHSFiltered: no passwords of those marked so; PHSIncluded: of those marked so alone. ' +
          'The users are in the tenant either way.',
      ),
  })
  .default({ include: [], exclude: [], cloudFiltered: [], passwords: 'all' });

export type ScopeConfig = z.output<typeof scopeSchema>;
export type FilterCondition = ScopeConfig['cloudFiltered'][number];
