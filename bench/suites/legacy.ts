/**
 * Domain Services credentials, by the CPU time of all threads: opening a domain controller's envelopes and sealing for
 * the managed domain, and opening there, beside OpenSSL doing the same RSA and AES operations alone.
 */

import { type CaseEntry, measure } from '../cases.js';
import type { Case, SuiteOptions } from '../result.js';

const USERS = 400;
/** An RSA private operation takes ten times as long as a public one, and of 3072 bits sixty times. */
const OPENED_USERS = 24;

export async function legacy({ kernel, ...options }: SuiteOptions): Promise<Case[]> {
  const env = kernel === undefined ? {} : { PHSYNC_KERNEL: kernel };
  const entries = [2048, 3072].flatMap((bits): CaseEntry[] => {
    const alone = { threads: 1, clock: 'cpu', against: [] } as const;
    const sealing = `OpenSSL alone seals, RSA-${bits}`;
    const opening = `OpenSSL alone opens, RSA-${bits}`;
    const ours = { threads: 1, clock: 'cpu' } as const;
    return [
      {
        name: `seals, RSA-${bits}`,
        contender: `seal:native:${bits}`,
        jobs: USERS,
        env,
        kernel,
        ...ours,
        against: [sealing],
      },
      {
        name: `seals on the fallback, RSA-${bits}`,
        contender: `seal:fallback:${bits}`,
        jobs: USERS,
        ...ours,
        against: [sealing],
      },
      { name: sealing, contender: `openssl-seal:${bits}`, jobs: USERS, ...alone },
      { name: `opens, RSA-${bits}`, contender: `unseal:${bits}`, jobs: OPENED_USERS, ...ours, against: [opening] },
      { name: opening, contender: `openssl-unseal:${bits}`, jobs: OPENED_USERS, ...alone },
    ];
  });
  return measure(entries, options);
}
