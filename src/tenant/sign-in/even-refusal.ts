/** The time that a refusal is told at, which says nothing of what was found on the way to it. */

/**
 * What exists costs some microseconds more than what does not: a row, a line of the log. So a refusal waits for a moment
 * that was set when the try came, ten times what a try takes. Nobody notices it but who measures.
 */
export const REFUSAL_MS = 10;

export class EvenRefusal {
  readonly #timer: NodeJS.Timeout;
  #isOver = false;
  #tell: (() => void) | undefined;

  /** As the try comes, before anything is known of it. 0: no moment is waited for. */
  constructor(milliseconds: number) {
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.#tell?.();
    }, milliseconds);
    this.#isOver = milliseconds === 0;
  }

  /** Resolves at the moment, or at once where a busy machine is past it. */
  moment(): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      this.#tell = resolve;
    });
  }

  /** Nobody waits for it. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
