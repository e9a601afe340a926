/** Who has workers: the hasher, and what seals keys for Domain Services. */

import { PhsyncError } from './errors.js';

/** Whose pool it is: errors are named after it. */
export type Owner = 'hasher' | 'sealer';

/** The error that calls get after `close` and that calls cut off by it get. */
export function closedError(owner: Owner): PhsyncError {
  return new PhsyncError(`${owner}-closed`, `the ${owner} is closed`);
}
