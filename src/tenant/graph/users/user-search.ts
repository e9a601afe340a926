/** `$search` among users: names that begin with a text, along users_upn; words of displayName, row by row. */

import { type RawBuilder, sql } from 'kysely';
import type { TenantDatabase } from '../../store/database.js';
import { GraphError, unsupportedQuery } from '../error.js';
import { type Condition, MAX_ALTERNATIVES } from '../odata/filter.js';
import { type Search, type SearchTerm, wordsOf } from '../odata/search.js';
import type { Position } from '../odata/skip-tokens.js';
import type { UserRow } from './user.js';
import { filterUsers, selectPage, selectUsers, type UserOrder } from './user-store.js';

export const SEARCHED = ['displayName', 'userPrincipalName'] as const;

/** Names that are looked at in one go: others have their turn between two of them. */
const CHUNK = 2000;
/** Of searches row by row, which go one after another: a million users take seconds. */
const MOST_WAITING = 40;
/** Seconds. */
const RETRY_AFTER = '5';

interface Line {
  last: Promise<unknown>;
  length: number;
}
const lines = new WeakMap<TenantDatabase, Line>();

/** One alternative of filter and search together. */
export interface UserQuery {
  readonly conditions: readonly Condition[];
  /** Each begins a word of the display name. Empty: every one fits. */
  readonly words: readonly string[];
}

/** @throws GraphError 400 where filter and search together come to too many. */
export function userQueries(
  alternatives: readonly (readonly Condition[])[],
  search: Search | undefined,
): readonly UserQuery[] {
  if (search === undefined) return alternatives.map((conditions) => ({ conditions, words: [] }));
  const count = alternatives.length * search.length;
  if (count > MAX_ALTERNATIVES) {
    throw unsupportedQuery(
      `$filter and $search together come to ${count} alternatives, of at most ${MAX_ALTERNATIVES}.`,
    );
  }
  return alternatives.flatMap((conditions) =>
    search.map((terms) => ({
      conditions: [...conditions, ...terms.filter(isOfName).map(beginsWith)],
      words: terms.filter((term) => !isOfName(term)).flatMap(({ text }) => wordsOf(text)),
    })),
  );
}

const isOfName = ({ property }: SearchTerm) => property === 'userPrincipalName';
const beginsWith = ({ property: path, text }: SearchTerm): Condition => ({
  path,
  operator: 'startswith',
  values: [text],
});

/** The first `limit` that fit, behind `start`. */
export async function findUsers(
  database: TenantDatabase,
  { conditions, words }: UserQuery,
  { order, start, limit }: { order: UserOrder; start: Position | undefined; limit: number },
): Promise<readonly UserRow[]> {
  if (words.length === 0) {
    return database.aside((queries) => selectPage(queries, conditions, { order, start, limit }).execute());
  }
  const ids = await inTurn(database, async () => {
    const found: number[] = [];
    for await (const id of walk(database, { conditions, words }, order, start)) {
      found.push(id);
      if (found.length === limit) break;
    }
    return found;
  });
  if (ids.length === 0) return [];
  const rows = await database.run((queries) => selectUsers(queries).where('users.id', 'in', ids).execute());
  const places = new Map(ids.map((id, place) => [id, place]));
  return [...rows].sort((a, b) => places.get(a.id)! - places.get(b.id)!);
}

/** Of all that fit one of the queries. */
export async function countFound(database: TenantDatabase, searches: readonly UserQuery[]): Promise<number> {
  const ids = new Set<number>();
  await inTurn(database, async () => {
    for (const search of searches) for await (const id of walk(database, search, 'id', undefined)) ids.add(id);
  });
  return ids.size;
}

/** Sign-in has the rest of the processor, whoever searches as much as the limits of requests let by. @throws GraphError 429 */
async function inTurn<T>(database: TenantDatabase, work: () => Promise<T>): Promise<T> {
  const line = lines.get(database) ?? { last: Promise.resolve(), length: 0 };
  lines.set(database, line);
  if (line.length > MOST_WAITING) {
    throw new GraphError(429, 'TooManyRequests', 'Too many searches at once.', { 'retry-after': RETRY_AFTER });
  }
  line.length++;
  const done = line.last.then(work).finally(() => line.length--);
  line.last = done.catch(() => undefined);
  return done;
}

async function* walk(
  database: TenantDatabase,
  { conditions, words }: UserQuery,
  order: UserOrder,
  start: Position | undefined,
): AsyncGenerator<number> {
  const column = order === 'id' ? 'users.id' : 'users.upn_key';
  let from = start?.[0] ?? (order === 'id' ? 0 : '');
  for (;;) {
    const rows = await database.aside((queries) =>
      filterUsers(queries.selectFrom('users').where('users.deleted_at', 'is', null), conditions)
        .select(['users.id', 'users.upn_key', 'users.display_name'])
        .where(likely(words, database.dialect))
        .where(column, '>', from)
        .orderBy(column)
        .limit(CHUNK)
        .execute(),
    );
    for (const { id, display_name: name } of rows) if (hasWords(name, words)) yield id;
    const last = rows.at(-1);
    if (last === undefined || rows.length < CHUNK) return;
    from = order === 'id' ? last.id : last.upn_key;
  }
}

/**
 * SQL for a name that may have the words: the database leaves most names out before they are looked at here. What is not
 * ASCII is looked at here in any case, since it may be the same letters otherwise spelt.
 */
function likely(words: readonly string[], dialect: TenantDatabase['dialect']): RawBuilder<boolean> {
  // Counted beside an alternative that has some.
  if (words.length === 0) return sql<boolean>`1 = 1`;
  const [other, lower] =
    dialect === 'sqlite'
      ? [sql<boolean>`users.display_name GLOB '*[^ -~]*'`, sql`lower(users.display_name)`]
      : [sql<boolean>`users.display_name ~ '[^ -~]'`, sql`lower(users.display_name COLLATE "C")`];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII has them
  if (!words.every((word) => /^[\x00-\x7f]*$/.test(word))) return other;
  const all = words.map((word) => sql`${lower} LIKE ${`%${word}%`}`);
  return sql<boolean>`(${sql.join(all, sql` AND `)} OR ${other})`;
}

/** Without words every user fits, even one without a display name. */
function hasWords(name: string | null, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const of = wordsOf(name ?? '');
  return words.every((word) => of.some((one) => one.startsWith(word)));
}
