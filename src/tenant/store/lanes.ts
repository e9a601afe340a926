/** What a few may use at a time, each in its turn. */

import { PhsyncError } from '../../hasher/errors.js';

export class Lanes<Resource> {
  readonly #free: Resource[];
  readonly #most: number;
  readonly #waiting: ((resource: Resource) => void)[] = [];

  /** One lane a resource; at most `most` wait. */
  constructor(resources: readonly Resource[], most: number) {
    this.#free = [...resources];
    this.#most = most;
  }

  /** @throws PhsyncError `store-busy` where too many wait, and what `work` throws. */
  async use<T>(work: (resource: Resource) => Promise<T>): Promise<T> {
    const resource = this.#free.shift() ?? (await this.#turn());
    try {
      return await work(resource);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(resource);
      else next(resource);
    }
  }

  #turn(): Promise<Resource> {
    if (this.#waiting.length >= this.#most) {
      throw new PhsyncError('store-busy', 'too many long reads of the tenant database at once; try again');
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
