/** An object that the directory, asked for it, does not have: gone, or not there yet. */

import { REPLICATED_AFTER_MS } from './decide-password.js';
import type { ConnectorState } from './state/connector-state.js';
import { OBJECT_MISSING } from './state/retry-queue.js';

export const MISSING = {
  code: OBJECT_MISSING,
  reason:
    'the domain controller does not have the object: it lags behind the one that showed it, or has forgotten it; where ' +
    'none has it for six hours, it is gone',
};

/**
 * A deleted object is there, as deleted: what is not there at all was forgotten long ago, or has not come yet to a domain
 * controller that lags behind the one which showed it. What that one is not asked for, it may never tell again: the
 * up-to-dateness vector covers it.
 */
export function isGone(guid: Uint8Array, state: ConnectorState, now: number): boolean {
  const then = now - REPLICATED_AFTER_MS;
  const waiting = state.retryQueue.find(guid);
  if (waiting !== undefined) return waiting.code === OBJECT_MISSING && waiting.firstFailure <= then;
  return !state.settledSince(guid, then);
}
