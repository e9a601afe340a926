/** A thread that reads SQLite on a connection of its own: the event loop goes on beside what looks at many rows. */

import { parentPort, workerData } from 'node:worker_threads';
import type Database from 'better-sqlite3';
import { PhsyncError } from '../../hasher/errors.js';
import { sqlite } from '../../state/sqlite.js';
import type { Answered, Asked } from '../thread.js';
import { translatedError } from './sqlite-errors.js';

export interface ReadSettings {
  /** There, and migrated. */
  readonly file: string;
  readonly busyMs: number;
  readonly cacheKiB: number;
}

/** One statement that returns rows. */
export interface ReadTask {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export type ReadAnswer =
  | { readonly rows: readonly unknown[] }
  /** A PhsyncError's. */
  | { readonly code: string; readonly message: string };

const port = parentPort!;
const { file, busyMs, cacheKiB } = workerData as ReadSettings;
const connection = open();

function open(): Database.Database {
  try {
    const opened = new (sqlite())(file, { timeout: busyMs, fileMustExist: true });
    opened.pragma('query_only = ON');
    opened.pragma(`cache_size = -${cacheKiB}`);
    return opened;
  } catch (cause) {
    // better-sqlite3's own errors come to the other thread without their message.
    throw translatedError(cause);
  }
}

function answerOf({ sql, parameters }: ReadTask): ReadAnswer {
  try {
    return { rows: connection.prepare<unknown[]>(sql).all(...parameters) };
  } catch (cause) {
    const error = translatedError(cause);
    // A mistake of ours ends the thread, and is told there.
    if (!(error instanceof PhsyncError)) throw error;
    return { code: error.code, message: error.message };
  }
}

port.on('message', (asked: Asked<ReadTask>) => {
  if (asked === undefined) {
    connection.close();
    port.close();
    return;
  }
  const { number, question } = asked;
  port.postMessage({ number, answer: answerOf(question) } satisfies Answered<ReadAnswer>);
});
