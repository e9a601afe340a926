/** Appends to logs in SQLite through a thread, which is started by the first rows and ends with `close`. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { PhsyncError } from '../../hasher/errors.js';
import type { AppendAnswer, AppendSettings, AppendTask } from './append-worker.js';

interface Waiting {
  resolve(): void;
  reject(error: unknown): void;
}

export class SqliteAppender {
  readonly #settings: AppendSettings;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #count = 0;

  constructor(settings: AppendSettings) {
    const { file, busyMs, walPages } = settings;
    this.#settings = { file, busyMs, walPages };
  }

  /** All of the rows or none; on disk when it resolves. @throws PhsyncError `store-busy` or `store-failed`. */
  append(table: string, rows: readonly Readonly<Record<string, unknown>>[]): Promise<void> {
    const columns = Object.keys(rows[0] ?? {});
    const values = rows.flatMap((row) => columns.map((column) => row[column]));
    return new Promise((resolve, reject) => {
      this.#worker ??= this.#start();
      const number = ++this.#count;
      this.#worker.postMessage({ number, table, columns, values } satisfies AppendTask);
      this.#waiting.set(number, { resolve, reject });
      this.#worker.ref();
    });
  }

  /** When everything is written. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = once(worker, 'exit');
    worker.ref();
    worker.postMessage(undefined);
    await ended;
  }

  #start(): Worker {
    const worker = new Worker(new URL('./append-worker.js', import.meta.url), { workerData: this.#settings });
    let reason = 'ended';
    worker.on('message', ({ number, failure }: AppendAnswer) => {
      const waiting = this.#waiting.get(number)!;
      this.#waiting.delete(number);
      // What waits keeps the process up; the thread alone does not.
      if (this.#waiting.size === 0) worker.unref();
      if (failure === undefined) waiting.resolve();
      else waiting.reject(new PhsyncError(failure.code, failure.message));
    });
    worker.on('error', (error) => {
      reason = `failed: ${error.message}`;
    });
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
      const error = new PhsyncError('store-busy', `the thread that writes logs ${reason}; try again`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    return worker;
  }
}
