/** kysely over threads that read SQLite: for queries that look at many rows, and change none. */

import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { PhsyncError } from '../../hasher/errors.js';
import { Thread } from '../thread.js';
import type { Queries } from './database.js';
import { Lanes } from './lanes.js';
import type { ReadAnswer, ReadSettings, ReadTask } from './read-worker.js';
import type { Tables } from './tables.js';

/** Of reads; what comes beyond is told to come again. */
export const MOST_WAITING = 40;
/** One may take seconds, and another goes past it. */
const THREADS = 2;

export class SqliteReaders {
  readonly #threads: readonly Thread<ReadTask, ReadAnswer>[];
  readonly #lanes: Lanes<Queries>;
  #closed = false;

  /** Threads start with the first reads. */
  constructor({ file, busyMs, cacheKiB }: ReadSettings) {
    this.#threads = Array.from(
      { length: THREADS },
      () =>
        new Thread({
          module: new URL('./read-worker.js', import.meta.url),
          workerData: { file, busyMs, cacheKiB } satisfies ReadSettings,
          does: 'reads the tenant database',
          code: 'store-busy',
        }),
    );
    this.#lanes = new Lanes(
      this.#threads.map((thread) => queriesOf((task) => this.#ask(thread, task))),
      MOST_WAITING,
    );
  }

  /** @throws PhsyncError `store-busy` or `store-failed`. */
  read<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return this.#lanes.use(work);
  }

  /** When the statements that are under way are answered; what follows them is refused. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#lanes.close();
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  /** A thread that is asked once more after its end would begin anew. */
  async #ask(thread: Thread<ReadTask, ReadAnswer>, task: ReadTask): Promise<ReadAnswer> {
    if (this.#closed) throw new PhsyncError('store-busy', 'the tenant database is being closed');
    return thread.ask(task);
  }
}

type Ask = (task: ReadTask) => Promise<ReadAnswer>;

function queriesOf(ask: Ask): Queries {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new ReadDriver(ask),
      createIntrospector: (queries) => new SqliteIntrospector(queries),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
}

class ReadDriver implements Driver {
  readonly #connection: DatabaseConnection;

  constructor(ask: Ask) {
    this.#connection = {
      async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
        const answer = await ask({ sql, parameters });
        if ('rows' in answer) return { rows: answer.rows as Row[] };
        throw new PhsyncError(answer.code, answer.message);
      },
      streamQuery: refuse,
    };
  }

  async init(): Promise<void> {}
  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }
  async beginTransaction(): Promise<void> {
    refuse();
  }
  async commitTransaction(): Promise<void> {
    refuse();
  }
  async rollbackTransaction(): Promise<void> {
    refuse();
  }
  async releaseConnection(): Promise<void> {}
  async destroy(): Promise<void> {}
}

function refuse(): never {
  throw new TypeError('threads that read take single queries');
}
