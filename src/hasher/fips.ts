/** The FIPS policy of crypto/fips.ts as the hasher's error. */

import { FIPS_CODE, fipsRefusal } from '../crypto/fips.js';
import { PhsyncError } from './errors.js';

/** @throws {PhsyncError} `config-fips` in FIPS mode, unless `allowMd5InFips` is set; the message says what to set. */
export function checkFips(what: string, algorithms: string, allowMd5InFips: boolean | undefined): void {
  const refusal = fipsRefusal(what, algorithms, allowMd5InFips);
  if (refusal !== undefined) throw new PhsyncError(FIPS_CODE, refusal, { facts: { algorithms } });
}
