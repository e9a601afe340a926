/** A limit for the whole of an exchange, where the transport knows only one for each silence in it. */

import { PhsyncError } from '../../hasher/errors.js';

/** An exchange may take so many times the longest silence: a peer that drips its bytes is not waited for for ever. */
const SILENCES = 10;

/**
 * Runs `exchange`; when it takes too long, `giveUp` is called, which must make it reject, and it is `dc-timeout`.
 * @param idleMs longest silence of the peer
 */
export async function limitTime<T>(idleMs: number, exchange: () => Promise<T>, giveUp: () => void): Promise<T> {
  const limit = SILENCES * idleMs;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    giveUp();
  }, limit);
  try {
    return await exchange();
  } catch (error) {
    if (!late) throw error;
    throw new PhsyncError('dc-timeout', `the answer was not complete after ${limit / 1000} s`, {
      cause: error,
      facts: { timeoutMs: limit },
    });
  } finally {
    clearTimeout(timer);
  }
}
