/** Gathers single calls of the same turn of the event loop: look-ups into one query, signatures into one message to a thread. */

export class Gather<Item, Result> {
  readonly #work: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #most: number;
  #waiting: { readonly item: Item; resolve(result: Result): void; reject(error: unknown): void }[] = [];

  /** `work` answers in the order of its items, at most `most` of them. */
  constructor(work: (items: readonly Item[]) => Promise<readonly Result[]>, most = 256) {
    this.#work = work;
    this.#most = most;
  }

  run(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#waiting.length === 1) setImmediate(() => this.#flush());
    });
  }

  #flush(): void {
    const all = this.#waiting;
    this.#waiting = [];
    for (let i = 0; i < all.length; i += this.#most) {
      const some = all.slice(i, i + this.#most);
      this.#work(some.map(({ item }) => item)).then(
        (results) => {
          for (const [k, { resolve }] of some.entries()) resolve(results[k]!);
        },
        (error) => {
          for (const { reject } of some) reject(error);
        },
      );
    }
  }
}
