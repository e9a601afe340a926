/** The thread that appends to logs in SQLite, on a connection of its own: nobody waits for its inserts and its fsync. */

import { parentPort, workerData } from 'node:worker_threads';
import type Database from 'better-sqlite3';
import { PhsyncError } from '../../hasher/errors.js';
import { sqlite } from '../../state/sqlite.js';
import type { Answered, Asked } from '../thread.js';
import { translatedError } from './sqlite-errors.js';

export interface AppendSettings {
  /** There, and migrated. */
  readonly file: string;
  readonly busyMs: number;
  readonly walPages: number;
}

/** One transaction. */
export interface AppendTask {
  readonly table: string;
  readonly columns: readonly string[];
  /** Of all rows, one behind the other. */
  readonly values: readonly unknown[];
}

/** A PhsyncError's. */
export interface AppendFailure {
  readonly code: string;
  readonly message: string;
}

const port = parentPort!;
const { file, busyMs, walPages } = workerData as AppendSettings;
const connection = open();
const statements = new Map<string, Database.Statement>();

function open(): Database.Database {
  try {
    const opened = new (sqlite())(file, { timeout: busyMs, fileMustExist: true });
    opened.pragma('synchronous = FULL');
    opened.pragma(`wal_autocheckpoint = ${walPages}`);
    return opened;
  } catch (cause) {
    // better-sqlite3's own errors come to the other thread without their message.
    throw translatedError(cause);
  }
}

function statementOf({ table, columns }: AppendTask): Database.Statement {
  const into = `${table} (${columns.join(', ')})`;
  let statement = statements.get(into);
  if (statement === undefined) {
    const marks = columns.map(() => '?').join(', ');
    statement = connection.prepare(`INSERT INTO ${into} VALUES (${marks}) ON CONFLICT DO NOTHING`);
    statements.set(into, statement);
  }
  return statement;
}

const append = connection.transaction((task: AppendTask) => {
  const statement = statementOf(task);
  const { values, columns } = task;
  for (let at = 0; at < values.length; at += columns.length) statement.run(values.slice(at, at + columns.length));
});

function failureOf(task: AppendTask): AppendFailure | undefined {
  try {
    append.immediate(task);
    return undefined;
  } catch (cause) {
    const error = translatedError(cause);
    // A mistake of ours ends the thread, and is told there.
    if (!(error instanceof PhsyncError)) throw error;
    return { code: error.code, message: error.message };
  }
}

port.on('message', (asked: Asked<AppendTask>) => {
  if (asked === undefined) {
    connection.close();
    port.close();
    return;
  }
  const { number, question } = asked;
  port.postMessage({ number, answer: failureOf(question) } satisfies Answered<AppendFailure | undefined>);
});
