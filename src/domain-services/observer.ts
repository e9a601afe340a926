/** Who watches the work: the monitor, or nobody. */

export interface Counts {
  created: number;
  updated: number;
  unchanged: number;
  deleted: number;
  passwordsWritten: number;
  passwordsUnchanged: number;
  /** The domain had a later password, which stays. */
  passwordsOlder: number;
  /** Put (back) into the retry queue. */
  failed: number;
}

export const noCounts = (): Counts => ({
  created: 0,
  updated: 0,
  unchanged: 0,
  deleted: 0,
  passwordsWritten: 0,
  passwordsUnchanged: 0,
  passwordsOlder: 0,
  failed: 0,
});

/** Both ends of the program's way, and what opens the blobs between them. */
export type Side = 'tenant' | 'domain' | 'keys';

export interface Observer {
  counted(counts: Readonly<Counts>): void;
  /** It has answered. */
  worked(side: Side): void;
  failed(side: Side, code: string, message: string): void;
}

export const nobody: Observer = { counted() {}, worked() {}, failed() {} };
