/** One signature by ES256 or RS256 (RFC 7518 3.4, 3.3), at once. */

import { type KeyObject, sign } from 'node:crypto';
import type { SigningAlgorithm } from './signing-keys.js';

export interface SigningTask {
  readonly alg: SigningAlgorithm;
  readonly key: KeyObject;
  readonly inputs: readonly string[];
}

/** base64url. `key`: of P-256 for ES256, RSA for RS256. */
export function signNow(alg: SigningAlgorithm, key: KeyObject, input: string): string {
  const parameters = alg === 'ES256' ? ({ key, dsaEncoding: 'ieee-p1363' } as const) : key;
  return sign('sha256', Buffer.from(input), parameters).toString('base64url');
}
