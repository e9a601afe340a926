/** Ends a cycle whose server promises more data for ever and never moves on. */

import type { UsnVector } from '../../protocol/drsr/vectors.js';
import { ProtocolError } from '../../protocol/errors.js';

/** A server may send linked values over several replies before its position moves; not over a hundred. */
const MAX_STANDSTILLS = 100;

export class StandstillGuard {
  #last: UsnVector;
  #count = 0;

  constructor(start: UsnVector) {
    this.#last = start;
  }

  /** Takes each reply's usnvecTo. @throws ProtocolError `no-progress` at the 100th in a row that is the one before. */
  check(usnvecTo: UsnVector, fMoreData: boolean): void {
    const { usnHighObjUpdate, usnHighPropUpdate } = this.#last;
    const moved = usnvecTo.usnHighObjUpdate !== usnHighObjUpdate || usnvecTo.usnHighPropUpdate !== usnHighPropUpdate;
    this.#count = moved || !fMoreData ? 0 : this.#count + 1;
    this.#last = usnvecTo;
    if (this.#count >= MAX_STANDSTILLS) {
      throw new ProtocolError(
        'no-progress',
        `${MAX_STANDSTILLS} replies in a row promised more data and stood at USN ${usnHighObjUpdate}`,
        { structure: 'DRS_MSG_GETCHGREPLY' },
      );
    }
  }
}
