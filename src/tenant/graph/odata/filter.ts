/** `$filter` (OData 4.01 URL conventions 5.1.1), as much of it as the indexes carry: comparisons joined by `and` and `or`. */

import { badRequest, shown, unsupportedQuery } from '../error.js';

export type FilterOperator = 'eq' | 'ge' | 'gt' | 'le' | 'lt' | 'startswith' | 'in';
export type FilterType = 'string' | 'boolean' | 'dateTime' | 'number';
export type FilterValue = string | boolean | number | Date;

/** What a collection can be filtered by: property path to its type and operators. `a/any/b` is `a/any(x:x/b …)`. */
export type FilterTable = Readonly<
  Record<string, { readonly type: FilterType; readonly operators: readonly FilterOperator[] }>
>;

export interface Condition {
  readonly path: string;
  readonly operator: FilterOperator;
  /** One, or several with `in`. */
  readonly values: readonly FilterValue[];
}

const MAX_LENGTH = 2048;
const MAX_CONDITIONS = 10;
/** Each is a query of its own, along its own index. */
export const MAX_ALTERNATIVES = 10;
const MAX_DEPTH = 10;
const MAX_LIST = 15;
const OPERATORS: ReadonlySet<string> = new Set(['eq', 'ge', 'gt', 'le', 'lt']);
/** Of OData, known and not offered: told apart from what is no filter at all. */
const NOT_OFFERED: ReadonlySet<string> = new Set(['ne', 'not', 'has', 'endswith', 'contains', 'all']);

const TOKEN =
  /\s*(?:(?<string>'(?:[^']|'')*')|(?<dateTime>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:Z|[+-]\d\d:\d\d))|(?<number>-?\d{1,15})(?![\w.-])|(?<word>[A-Za-z_][\w/]*)|(?<sign>[(),:]))/y;

interface Token {
  readonly kind: 'string' | 'dateTime' | 'number' | 'word' | 'sign' | 'end';
  readonly text: string;
}

/**
 * The filter as alternatives (`or`) of conditions that hold together (`and`), at least one. @throws GraphError 400, naming
 * what is wrong.
 */
export function parseFilter(text: string, table: FilterTable): Condition[][] {
  if (text.length > MAX_LENGTH) throw badRequest(`$filter is longer than ${MAX_LENGTH} characters.`);
  return new FilterParser(tokensOf(text), table).parse();
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const trimmed = text.trimEnd();
  TOKEN.lastIndex = 0;
  for (let at = 0; at < trimmed.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(trimmed)?.groups;
    if (groups === undefined) throw badRequest(`Invalid filter clause: unexpected '${shown(trimmed.slice(at))}'.`);
    const [kind, found] = Object.entries(groups).find(([, value]) => value !== undefined)!;
    tokens.push({ kind: kind as Token['kind'], text: found! });
  }
  return tokens;
}

class FilterParser {
  readonly #tokens: readonly Token[];
  readonly #table: FilterTable;
  #count = 0;
  #at = 0;

  constructor(tokens: readonly Token[], table: FilterTable) {
    this.#tokens = tokens;
    this.#table = table;
  }

  parse(): Condition[][] {
    const alternatives = this.#disjunction(0);
    const { kind, text } = this.#peek();
    if (kind !== 'end') throw this.#unexpected(text);
    return alternatives;
  }

  #disjunction(depth: number): Condition[][] {
    if (depth > MAX_DEPTH) throw badRequest('Invalid filter clause: too many parentheses.');
    const alternatives = this.#conjunction(depth);
    while (this.#takesWord('or')) alternatives.push(...this.#conjunction(depth));
    return limited(alternatives);
  }

  /** `(a or b) and c` is `a and c or b and c`. */
  #conjunction(depth: number): Condition[][] {
    let alternatives = this.#primary(depth);
    while (this.#takesWord('and')) {
      const more = this.#primary(depth);
      alternatives = limited(alternatives.flatMap((left) => more.map((right) => [...left, ...right])));
    }
    return alternatives;
  }

  #primary(depth: number): Condition[][] {
    if (!this.#takes('(')) return [[this.#condition()]];
    const alternatives = this.#disjunction(depth + 1);
    this.#expect(')');
    return alternatives;
  }

  #condition(): Condition {
    if (++this.#count > MAX_CONDITIONS) {
      throw unsupportedQuery(`The filter has more than ${MAX_CONDITIONS} conditions.`);
    }
    const word = this.#word();
    if (word === 'startswith' && this.#takes('(')) {
      const path = this.#word();
      this.#expect(',');
      const value = this.#literal();
      this.#expect(')');
      return this.#conditionOf(path, 'startswith', [value]);
    }
    return word.endsWith('/any') && this.#takes('(') ? this.#any(word) : this.#comparison(word);
  }

  /** `collection/any(v:v/path eq 'x')` */
  #any(collection: string): Condition {
    const variable = this.#word();
    this.#expect(':');
    const inner = this.#word();
    if (!inner.startsWith(`${variable}/`)) throw this.#unexpected(inner);
    const condition = this.#comparison(`${collection}/${inner.slice(variable.length + 1)}`);
    this.#expect(')');
    return condition;
  }

  #comparison(path: string): Condition {
    const operator = this.#word();
    if (operator === 'in') {
      this.#expect('(');
      const values = [this.#literal()];
      while (this.#takes(',')) values.push(this.#literal());
      this.#expect(')');
      if (values.length > MAX_LIST) throw unsupportedQuery(`A list of 'in' has at most ${MAX_LIST} values.`);
      return this.#conditionOf(path, 'in', values);
    }
    if (NOT_OFFERED.has(operator)) throw unsupportedQuery(`The operator '${operator}' is not supported.`);
    if (!OPERATORS.has(operator)) throw this.#unexpected(operator);
    return this.#conditionOf(path, operator as FilterOperator, [this.#literal()]);
  }

  #conditionOf(path: string, operator: FilterOperator, literals: readonly Token[]): Condition {
    // In any case, as Graph takes names.
    const name = Object.keys(this.#table).find((known) => known.toLowerCase() === path.toLowerCase());
    if (name === undefined) throw badRequest(`Invalid filter clause: '${shown(path)}' is not a property to filter by.`);
    const property = this.#table[name]!;
    if (!property.operators.includes(operator)) {
      throw unsupportedQuery(`The operator '${operator}' is not supported for '${name}'.`);
    }
    const values = literals.map((literal) => literalOf(literal, property.type, name));
    return { path: name, operator, values };
  }

  #literal(): Token {
    const token = this.#next();
    if (token.kind === 'end' || token.kind === 'sign') throw this.#unexpected(token.text);
    return token;
  }

  #word(): string {
    const token = this.#next();
    if (token.kind !== 'word') throw this.#unexpected(token.text);
    if (token.text === 'not' || this.#peek().text === '(') {
      if (NOT_OFFERED.has(token.text.split('/').at(-1)!)) {
        throw unsupportedQuery(`The operator '${shown(token.text)}' is not supported.`);
      }
    }
    return token.text;
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '' };
  }

  #next(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }

  #takes(sign: string): boolean {
    const { kind, text } = this.#peek();
    const taken = kind === 'sign' && text === sign;
    if (taken) this.#at++;
    return taken;
  }

  #takesWord(word: string): boolean {
    const { kind, text } = this.#peek();
    const taken = kind === 'word' && text === word;
    if (taken) this.#at++;
    return taken;
  }

  #expect(sign: string): void {
    if (!this.#takes(sign)) throw this.#unexpected(this.#peek().text);
  }

  #unexpected(text: string) {
    return badRequest(`Invalid filter clause: ${text === '' ? 'it ends too early' : `unexpected '${shown(text)}'`}.`);
  }
}

function limited(alternatives: Condition[][]): Condition[][] {
  if (alternatives.length <= MAX_ALTERNATIVES) return alternatives;
  throw unsupportedQuery(`The filter comes to more than ${MAX_ALTERNATIVES} alternatives.`);
}

function literalOf({ kind, text }: Token, type: FilterType, path: string): FilterValue {
  const wrong = () =>
    badRequest(`Invalid filter clause: '${path}' is not compared with ${shown(text)}, but with a ${type}.`);
  switch (type) {
    case 'string': {
      if (kind !== 'string') throw wrong();
      const value = text.slice(1, -1).replaceAll("''", "'");
      // PostgreSQL's text has no NUL.
      if (value.includes('\0')) throw wrong();
      return value;
    }
    case 'boolean':
      if (kind !== 'word' || (text !== 'true' && text !== 'false')) throw wrong();
      return text === 'true';
    case 'number':
      if (kind !== 'number') throw wrong();
      return Number(text);
    case 'dateTime': {
      const date = new Date(kind === 'dateTime' ? text : '');
      if (Number.isNaN(date.getTime())) throw wrong();
      return date;
    }
  }
}
