/** Work of one kind, strictly one after another, in the order in which it was handed in. */

export class Lane {
  #tail: Promise<unknown> = Promise.resolve();

  /** Starts `work` when all before it has succeeded; after a failure nothing more is started, and all reject with it. */
  run<T>(work: () => Promise<T> | T): Promise<T> {
    const result = this.#tail.then(work);
    // Whoever handed it in sees the rejection; without a handler of its own the tail would count as unhandled.
    result.catch(() => undefined);
    this.#tail = result;
    return result;
  }
}
