/** What a contender's process knows of the work that it times. */

export interface Contender {
  /** Digests of one call of `run` or `runAsync`. */
  readonly jobs: number;
  readonly run?: () => void;
  /** In place of `run` where the work is asynchronous. */
  readonly runAsync?: () => Promise<void>;
  /** @throws Error where what the last call gave is wrong. */
  check(): Promise<void> | void;
  /** Microseconds that each single call has taken since the last time it was asked, where that is of interest. */
  latencies?(): number[];
  close(): Promise<void>;
}

export const nothing = async (): Promise<void> => {};
