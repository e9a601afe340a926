/** OData's query options of a request, checked against what the resource offers. */

import { badRequest, shown, unsupportedQuery } from '../error.js';
import { type Condition, type FilterTable, parseFilter } from './filter.js';
import { parseSearch, type Search } from './search.js';

export interface QuerySupport {
  /** Names that `$select` may have. */
  readonly properties?: ReadonlySet<string>;
  /** Graph's name of the resource type, for messages. */
  readonly type?: string;
  readonly filter?: FilterTable;
  /** `or` is taken in filters: the handler goes by `alternatives`. */
  readonly or?: true;
  /** Names that `$search` may have. */
  readonly search?: readonly string[];
  /** Page sizes. */
  readonly top?: { readonly byDefault: number; readonly most: number };
  readonly count?: boolean;
  /** Texts that `$orderby` may be. */
  readonly orderBy?: readonly string[];
}

export interface ODataQuery {
  /** Undefined: the default properties. */
  readonly select: readonly string[] | undefined;
  /** All of these hold; empty where `or` is taken. */
  readonly conditions: readonly Condition[];
  /** All conditions of at least one of these hold. */
  readonly alternatives: readonly (readonly Condition[])[];
  readonly search: Search | undefined;
  readonly top: number;
  readonly count: boolean;
  readonly orderBy: string | undefined;
  readonly skipToken: string | undefined;
  /** As they came, to make the next page's link of. */
  readonly raw: Readonly<Record<string, string>>;
}

const MAX_SELECT = 100;

/** @throws GraphError 400, naming the option. */
export function parseQuery(query: Readonly<Record<string, unknown>>, support: QuerySupport): ODataQuery {
  const raw: Record<string, string> = {};
  for (const [name, value] of Object.entries(query)) {
    // Graph takes options of its own with and without the sign; others are an application's own.
    if (!name.startsWith('$')) continue;
    if (typeof value !== 'string') throw badRequest(`Query option '${shown(name)}' was specified more than once.`);
    raw[name] = value;
  }
  const { properties, filter, or, search, top, count, orderBy } = support;
  const offered = new Set([
    ...(properties === undefined ? [] : ['$select']),
    ...(filter === undefined ? [] : ['$filter']),
    ...(search === undefined ? [] : ['$search']),
    ...(top === undefined ? [] : ['$top', '$skiptoken']),
    ...(count === true ? ['$count'] : []),
    ...(orderBy === undefined ? [] : ['$orderby']),
  ]);
  for (const name of Object.keys(raw)) {
    if (!offered.has(name)) throw unsupportedQuery(`The query option '${shown(name)}' is not supported.`);
  }
  const alternatives = raw.$filter === undefined ? [[]] : parseFilter(raw.$filter, filter!);
  if (or === undefined && alternatives.length > 1) {
    throw unsupportedQuery("The operator 'or' is not supported for this collection.");
  }
  return {
    select: raw.$select === undefined ? undefined : parseSelect(raw.$select, support),
    conditions: or === undefined ? alternatives[0]! : [],
    alternatives,
    search: raw.$search === undefined ? undefined : parseSearch(raw.$search, search!),
    top: raw.$top === undefined ? (top?.byDefault ?? 0) : parseTop(raw.$top, top!.most),
    count: raw.$count === undefined ? false : parseBoolean('$count', raw.$count),
    orderBy: raw.$orderby === undefined ? undefined : parseOrderBy(raw.$orderby, orderBy!),
    skipToken: raw.$skiptoken,
    raw,
  };
}

/** In any case, as Graph takes names: `Get-MgUser -Property PasswordPolicies`. */
function parseSelect(text: string, { properties, type }: QuerySupport): string[] {
  const asked = text.split(',').map((name) => name.trim());
  if (asked.length > MAX_SELECT) throw badRequest(`$select has more than ${MAX_SELECT} properties.`);
  const known = new Map([...properties!].map((name) => [name.toLowerCase(), name]));
  const names = asked.map((name) => {
    const property = known.get(name.toLowerCase());
    if (property !== undefined) return property;
    throw badRequest(`Could not find a property named '${shown(name)}' on type 'microsoft.graph.${type}'.`);
  });
  return [...new Set(names)];
}

function parseTop(text: string, most: number): number {
  const top = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (top < 1 || top > most) {
    throw badRequest(`Invalid page size specified: '${shown(text)}'. Must be between 1 and ${most} inclusive.`);
  }
  return top;
}

function parseBoolean(name: string, text: string): boolean {
  if (text !== 'true' && text !== 'false') throw badRequest(`${name} is true or false, not '${shown(text)}'.`);
  return text === 'true';
}

function parseOrderBy(text: string, offered: readonly string[]): string {
  const order = text.trim().replace(/\s+/g, ' ').replace(/ asc$/, '');
  if (!offered.includes(order)) throw unsupportedQuery(`$orderby '${shown(text)}' is not supported.`);
  return order;
}
