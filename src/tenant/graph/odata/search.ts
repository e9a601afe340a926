/** `$search` as Microsoft Graph takes it of directory objects: `"property:text"`, joined by AND and OR. */

import { badRequest, shown, unsupportedQuery } from '../error.js';

export interface SearchTerm {
  readonly property: string;
  readonly text: string;
}

/** All terms of at least one of these fit. */
export type Search = readonly (readonly SearchTerm[])[];

const MAX_LENGTH = 1024;
const MAX_TERMS = 5;
/** Within the quotes, a quote and a backslash have a backslash before them. */
const CLAUSE = /\s*"((?:[^"\\]|\\["\\])*)"\s*/y;
const JOIN = /(AND|OR)(?=[\s"])/y;

/** @throws GraphError 400, naming what is wrong. */
export function parseSearch(text: string, properties: readonly string[]): Search {
  if (text.length > MAX_LENGTH) throw badRequest(`$search is longer than ${MAX_LENGTH} characters.`);
  const alternatives: SearchTerm[][] = [[]];
  let terms = 0;
  for (let at = 0; ; ) {
    CLAUSE.lastIndex = at;
    const clause = CLAUSE.exec(text);
    if (clause === null) throw wrong(text.slice(at));
    if (++terms > MAX_TERMS) throw unsupportedQuery(`$search has more than ${MAX_TERMS} clauses.`);
    alternatives.at(-1)!.push(termOf(clause[1]!.replace(/\\(["\\])/g, '$1'), properties));
    at = CLAUSE.lastIndex;
    if (at === text.length) return alternatives;
    JOIN.lastIndex = at;
    const join = JOIN.exec(text);
    if (join === null) throw wrong(text.slice(at));
    if (join[1] === 'OR') alternatives.push([]);
    at = JOIN.lastIndex;
  }
}

const wrong = (rest: string) =>
  badRequest(`Invalid $search: expected "property:text", joined by AND or OR, not '${shown(rest)}'.`);

function termOf(clause: string, properties: readonly string[]): SearchTerm {
  const [, name, text] = /^\s*([A-Za-z]+)\s*:(.*)$/s.exec(clause) ?? [];
  if (name === undefined || text === undefined) throw wrong(clause);
  const property = properties.find((known) => known.toLowerCase() === name.toLowerCase());
  if (property === undefined) throw unsupportedQuery(`$search by '${shown(name)}' is not supported.`);
  // PostgreSQL's text has no NUL.
  if (wordsOf(text).length === 0 || text.includes('\0')) {
    throw badRequest(`Invalid $search: there is nothing to look for in '${shown(clause)}'.`);
  }
  return { property, text: text.trim() };
}

/** Runs of letters and digits, in lower case. */
export const wordsOf = (text: string): string[] =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
