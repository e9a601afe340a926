/** Each caller's requests at a time: who asks for much waits for its own answers, not others for theirs. */

/** Of one caller; less than half of the long reads that may wait for the database at once. */
export const MOST_AT_ONCE = 20;

interface Turns {
  running: number;
  readonly waiting: (() => void)[];
}

export class CallerTurns {
  readonly #callers = new Map<string, Turns>();

  /** How many callers have a request under way. */
  get size(): number {
    return this.#callers.size;
  }

  /** `caller`: an application, or somebody by an application. Rejects with what `work` rejects with. */
  async take<T>(caller: string, work: () => Promise<T>): Promise<T> {
    let turns = this.#callers.get(caller);
    if (turns === undefined) {
      turns = { running: 0, waiting: [] };
      this.#callers.set(caller, turns);
    }
    const { waiting } = turns;
    if (turns.running === MOST_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    else turns.running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      // Who waited has the turn of who ends.
      if (next !== undefined) next();
      else if (--turns.running === 0) this.#callers.delete(caller);
    }
  }
}
