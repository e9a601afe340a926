/** The library as its users have it: `deriveBatch` and `openAndDeriveBatch` on the worker threads of a hasher. */

import { createHasher } from '#src/hasher/create-hasher.js';
import type { BackendName } from '#src/hasher/types.js';
import { checkDigests, envelopes, ITERATIONS, inputs } from '../inputs.js';
import type { Contender } from './contender.js';

export function deriveBatch(backend: BackendName, threads: number, jobs: number): Contender {
  const given = inputs(jobs);
  const hasher = createHasher({ backend, threads });
  let digests: Uint8Array = new Uint8Array(jobs * 32);
  return {
    jobs,
    runAsync: async () => {
      ({ digests } = await hasher.deriveBatch({ ...given, iterations: ITERATIONS }));
    },
    check: () => checkDigests(`deriveBatch, ${backend}`, given, digests),
    close: () => hasher.close(),
  };
}

export function openAndDeriveBatch(backend: BackendName, threads: number, jobs: number): Contender {
  const { sessionKey, ...given } = envelopes(jobs);
  const hasher = createHasher({ backend, threads });
  let digests: Uint8Array = new Uint8Array(jobs * 32);
  return {
    jobs,
    runAsync: async () => {
      ({ digests } = await hasher.openAndDeriveBatch({
        sessionKeys: [sessionKey],
        envelopes: given.envelopes,
        rids: given.rids,
        salts: given.salts,
        iterations: ITERATIONS,
      }));
    },
    check: () => checkDigests(`openAndDeriveBatch, ${backend}`, given, digests),
    close: () => hasher.close(),
  };
}
