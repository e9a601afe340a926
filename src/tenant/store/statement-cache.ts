/** kysely prepares a statement for each query; SQLite's own preparing takes longer than most of what is asked here. */

import type Database from 'better-sqlite3';
import type { SqliteDatabase as KyselyDatabase } from 'kysely';

/** Texts that are remembered; lists of values make new ones all the time, so the least recent go. */
const STATEMENTS = 256;

/** The connection as kysely wants it, with its statements kept by their text. Not for queries that are streamed. */
export function withStatementCache(connection: Database.Database): KyselyDatabase {
  const statements = new Map<string, Database.Statement<unknown[]>>();
  return {
    close: () => connection.close(),
    prepare(sql) {
      const known = statements.get(sql);
      const statement = known ?? connection.prepare<unknown[]>(sql);
      // A Map keeps the order of its keys: what was asked for last goes to the end.
      if (known !== undefined) statements.delete(sql);
      else if (statements.size >= STATEMENTS) statements.delete(statements.keys().next().value!);
      statements.set(sql, statement);
      return statement as unknown as ReturnType<KyselyDatabase['prepare']>;
    },
  };
}
