/** Smart lockout as Entra describes it: what one try does to the count of a name and place. Pure. */

import { FINGERPRINT_BYTES } from './password-check.js';

export interface LockoutSettings {
  /** Failures until the first lock. */
  readonly threshold: number;
  /** Of the first lock. */
  readonly seconds: number;
}

/** Of a name, apart for familiar and unfamiliar places. Times are milliseconds since 1970. */
export interface LockoutState {
  readonly failures: number;
  readonly lockedUntil: number;
  /** Locks in a row. */
  readonly locks: number;
  /** Fingerprints of the last wrong passwords, newest first. */
  readonly wrong: Uint8Array;
}

export interface Try {
  readonly right: boolean;
  readonly fingerprint: Uint8Array;
}

/** `locked`: nothing is said about the password. */
export type Verdict = 'right' | 'wrong' | 'locked';

/** Passwords that are not counted again. */
const REMEMBERED = 3;
/** Five hours, the longest that Entra lets an administrator set. */
const LONGEST_LOCK = 18_000;

export const NO_FAILURES: LockoutState = { failures: 0, lockedUntil: 0, locks: 0, wrong: new Uint8Array(0) };

/** The n-th lock in a row lasts twice as long as the one before it. */
export function lockSeconds(locks: number, { seconds }: LockoutSettings): number {
  return Math.min(seconds * 2 ** Math.min(locks - 1, 30), Math.max(seconds, LONGEST_LOCK));
}

/**
 * What the try comes to, and the state after it: NO_FAILURES where nothing is left to remember, the same object where
 * nothing changed.
 */
export function judge(
  state: LockoutState,
  { right, fingerprint }: Try,
  now: number,
  settings: LockoutSettings,
): { readonly verdict: Verdict; readonly next: LockoutState } {
  if (state.lockedUntil > now) return { verdict: 'locked', next: state };
  if (right) return { verdict: 'right', next: NO_FAILURES };
  const wrong = Buffer.from(state.wrong);
  for (let at = 0; at < wrong.length; at += FINGERPRINT_BYTES) {
    if (wrong.subarray(at, at + FINGERPRINT_BYTES).equals(fingerprint)) return { verdict: 'wrong', next: state };
  }
  const failures = state.failures + 1;
  // The count stays where it is after a lock: the first failure behind it locks again.
  const locks = failures >= settings.threshold ? state.locks + 1 : state.locks;
  return {
    verdict: 'wrong',
    next: {
      failures,
      locks,
      lockedUntil: locks > state.locks ? now + 1000 * lockSeconds(locks, settings) : 0,
      wrong: Buffer.concat([fingerprint, wrong]).subarray(0, REMEMBERED * FINGERPRINT_BYTES),
    },
  };
}
