/** A worker thread that is asked and answers: started by the first question, up as long as somebody waits, replaced where it ends. */

import { Worker } from 'node:worker_threads';
import { PhsyncError } from '../hasher/errors.js';

/** What goes to the thread. It posts back `{ number, answer }`, in any order. Undefined asks it to end. */
export type Asked<Question> = { readonly number: number; readonly question: Question } | undefined;
export interface Answered<Answer> {
  readonly number: number;
  readonly answer: Answer;
}

export interface ThreadOptions {
  /** The module that it runs. */
  readonly module: URL;
  readonly workerData?: unknown;
  /** `the thread that …`, for errors. */
  readonly does: string;
  /** Of the error that those get who wait for a thread that ends. */
  readonly code: string;
}

interface Waiting<Answer> {
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

export class Thread<Question, Answer> {
  readonly #options: ThreadOptions;
  readonly #waiting = new Map<number, Waiting<Answer>>();
  #worker: Worker | undefined;
  #count = 0;

  constructor(options: ThreadOptions) {
    this.#options = options;
  }

  /** @throws PhsyncError of the code in the options where the thread ends before it answers. */
  ask(question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#worker ??= this.#start();
      const number = ++this.#count;
      this.#worker.postMessage({ number, question } satisfies Asked<Question>);
      this.#waiting.set(number, { resolve, reject });
      this.#worker.ref();
    });
  }

  /** When everything that was asked is answered. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    // Not `once`, which fails where the thread does so on its way to the end.
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    worker.ref();
    worker.postMessage(undefined satisfies Asked<Question>);
    await ended;
  }

  #start(): Worker {
    const { module, workerData, does, code } = this.#options;
    const worker = new Worker(module, { workerData });
    let reason = 'ended';
    worker.on('message', ({ number, answer }: Answered<Answer>) => {
      const waiting = this.#waiting.get(number)!;
      this.#waiting.delete(number);
      // What waits keeps the process up; the thread alone does not.
      if (this.#waiting.size === 0) worker.unref();
      waiting.resolve(answer);
    });
    worker.on('error', (error) => {
      reason = `failed: ${error.message}`;
    });
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
      const error = new PhsyncError(code, `the thread that ${does} ${reason}; try again`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    return worker;
  }
}
