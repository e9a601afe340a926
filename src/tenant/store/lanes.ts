/** What a few may use at a time, each in its turn. */

import { PhsyncError } from '../../hasher/errors.js';

export class Lanes<Resource> {
  readonly #free: Resource[];
  readonly #most: number;
  readonly #waiting: { take(resource: Resource): void; refuse(error: unknown): void }[] = [];
  #closed = false;

  /** One lane a resource; at most `most` wait. */
  constructor(resources: readonly Resource[], most: number) {
    this.#free = [...resources];
    this.#most = most;
  }

  /** @throws PhsyncError `store-busy` where too many wait or no more come, and what `work` throws. */
  async use<T>(work: (resource: Resource) => Promise<T>): Promise<T> {
    if (this.#closed) throw noMore();
    const resource = this.#free.shift() ?? (await this.#turn());
    try {
      return await work(resource);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(resource);
      else next.take(resource);
    }
  }

  /** Who waits is refused, as is who comes; what is under way goes on. */
  close(): void {
    this.#closed = true;
    for (const { refuse } of this.#waiting.splice(0)) refuse(noMore());
  }

  #turn(): Promise<Resource> {
    if (this.#waiting.length >= this.#most) {
      throw new PhsyncError('store-busy', 'too many long reads of the tenant database at once; try again');
    }
    return new Promise((take, refuse) => this.#waiting.push({ take, refuse }));
  }
}

const noMore = () => new PhsyncError('store-busy', 'the tenant database is being closed');
