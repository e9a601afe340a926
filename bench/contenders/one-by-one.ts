/** The ways that a JS program has without phsync: one derivation after the other. */

import { pbkdf2Sync } from 'node:crypto';
import { pbkdf2 as noblePbkdf2 } from '@noble/hashes/pbkdf2.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { checkDigests, ITERATIONS, inputs, passwordOf, saltOf } from '../inputs.js';
import { type Contender, nothing } from './contender.js';

function oneByOne(name: string, jobs: number, derive: (password: Buffer, salt: Uint8Array) => Uint8Array): Contender {
  const given = inputs(jobs);
  const passwords = Array.from({ length: jobs }, (_, job) => passwordOf(given, job));
  const digests = new Uint8Array(jobs * 32);
  return {
    jobs,
    run: () => {
      for (let job = 0; job < jobs; job++) digests.set(derive(passwords[job]!, saltOf(given, job)), job * 32);
    },
    check: () => checkDigests(name, given, digests),
    close: nothing,
  };
}

export const nodeCrypto = (jobs: number): Contender =>
  oneByOne('node:crypto', jobs, (password, salt) => pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256'));

export const noble = (jobs: number): Contender =>
  oneByOne('noble', jobs, (password, salt) => noblePbkdf2(sha256, password, salt, { c: ITERATIONS, dkLen: 32 }));

export async function hashWasm(jobs: number): Promise<Contender> {
  const { createSHA256, pbkdf2 } = await import('hash-wasm');
  const hashFunction = createSHA256();
  await hashFunction;
  const given = inputs(jobs);
  const digests = new Uint8Array(jobs * 32);
  return {
    jobs,
    runAsync: async () => {
      for (let job = 0; job < jobs; job++) {
        const digest = await pbkdf2({
          password: passwordOf(given, job),
          salt: saltOf(given, job),
          iterations: ITERATIONS,
          hashLength: 32,
          hashFunction,
          outputType: 'binary' as const,
        });
        digests.set(digest, job * 32);
      }
    },
    check: () => checkDigests('hash-wasm', given, digests),
    close: nothing,
  };
}
