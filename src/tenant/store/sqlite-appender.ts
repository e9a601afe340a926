/** Appends to logs in SQLite through a thread, so that nobody waits for the inserts and their fsync. */

import { PhsyncError } from '../../hasher/errors.js';
import { Thread } from '../thread.js';
import type { AppendFailure, AppendSettings, AppendTask } from './append-worker.js';

export class SqliteAppender {
  readonly #thread: Thread<AppendTask, AppendFailure | undefined>;

  constructor({ file, busyMs, walPages }: AppendSettings) {
    this.#thread = new Thread({
      module: new URL('./append-worker.js', import.meta.url),
      workerData: { file, busyMs, walPages } satisfies AppendSettings,
      does: 'writes logs',
      code: 'store-busy',
    });
  }

  /** All of the rows or none, without those that are there by a unique key; on disk when it resolves. @throws PhsyncError `store-busy` or `store-failed`. */
  async append(table: string, rows: readonly Readonly<Record<string, unknown>>[]): Promise<void> {
    const columns = Object.keys(rows[0] ?? {});
    const values: unknown[] = [];
    for (const row of rows) for (const column of columns) values.push(row[column]);
    const failure = await this.#thread.ask({ table, columns, values });
    if (failure !== undefined) throw new PhsyncError(failure.code, failure.message);
  }

  /** When everything is written. */
  close(): Promise<void> {
    return this.#thread.close();
  }
}
