/** The hasher of the functions that come without one. */

import { createHasher } from './create-hasher.js';
import type { Hasher } from './types.js';

let hasher: Hasher | undefined;

/**
 * One a process (and one a worker thread that asks), made when first used, never closed: its workers keep no process
 * alive and end when idle. It takes as many calls as come, as node:crypto does.
 *
 * @throws {PhsyncError} `config-backend` or `config-kernel`, if PHSYNC_BACKEND or PHSYNC_KERNEL cannot be had.
 */
export function defaultHasher(): Hasher {
  if (hasher === undefined) {
    hasher = createHasher({ maxQueue: Number.MAX_SAFE_INTEGER });
    const { backend, whyNotNative } = hasher.info;
    // Whoever asked for it knows; everybody else would take node:crypto's speed for ours.
    if (backend === 'fallback' && process.env.PHSYNC_BACKEND !== 'fallback') {
      process.emitWarning(`without its native addon phsync is as fast as node:crypto, no faster: ${whyNotNative}`, {
        code: 'PHSYNC_NOT_NATIVE',
      });
    }
  }
  return hasher;
}
