/** Single calls made by so many clients at once, each of which waits for its answer before it asks again. */

import { pbkdf2, pbkdf2Sync } from 'node:crypto';
import { promisify } from 'node:util';
import { createHasher } from '#src/hasher/create-hasher.js';
import { ITERATIONS, inputs, passwordOf, reference, saltOf } from '../inputs.js';
import { type Contender, nothing } from './contender.js';

/** Calls that each client makes in one run. */
const CALLS = 4;

/** @param call resolves to whether the answer is the right one. */
function clients(name: string, count: number, call: (job: number) => Promise<boolean>, close = nothing): Contender {
  let latencies: number[] = [];
  let wrong = 0;
  const client = async (job: number): Promise<void> => {
    for (let i = 0; i < CALLS; i++) {
      const began = process.hrtime.bigint();
      if (!(await call(job))) wrong++;
      latencies.push(Number(process.hrtime.bigint() - began) / 1000);
    }
  };
  return {
    jobs: count * CALLS,
    runAsync: async () => {
      await Promise.all(Array.from({ length: count }, (_, job) => client(job)));
    },
    check: () => {
      if (wrong > 0) throw new Error(`${name}: ${wrong} answers are wrong`);
    },
    latencies: () => {
      const taken = latencies;
      latencies = [];
      return taken;
    },
    close,
  };
}

const same = (digest: Uint8Array, expected: Buffer): boolean => expected.equals(digest);

/** `verify` of a right NT hash; that a wrong one is told apart is tried once before. */
export async function verifyCalls(count: number): Promise<Contender> {
  const given = inputs(count);
  const hasher = createHasher();
  const credentials = Array.from({ length: count }, (_, job) => ({
    salt: saltOf(given, job),
    iterations: ITERATIONS,
    hash: reference(given, job),
  }));
  const ntHash = (job: number) => given.ntHashes.subarray(job * 16, job * 16 + 16);
  if (await hasher.verify({ ...credentials[0]!, hash: new Uint8Array(32) }, ntHash(0))) {
    throw new Error('verify takes a wrong hash for the right one');
  }
  return clients(
    'verify',
    count,
    (job) => hasher.verify(credentials[job]!, ntHash(job)),
    () => hasher.close(),
  );
}

export function deriveCalls(count: number): Contender {
  const given = inputs(count);
  const hasher = createHasher();
  const expected = Array.from({ length: count }, (_, job) => reference(given, job));
  return clients(
    'derive',
    count,
    async (job) => {
      const ntHash = given.ntHashes.subarray(job * 16, job * 16 + 16);
      const { hash } = await hasher.derive(ntHash, { salt: saltOf(given, job), iterations: ITERATIONS });
      return same(hash, expected[job]!);
    },
    () => hasher.close(),
  );
}

/** What a program does today: `crypto.pbkdf2` on libuv's threads. */
export function pbkdf2Calls(count: number): Contender {
  const given = inputs(count);
  const derive = promisify(pbkdf2);
  const expected = Array.from({ length: count }, (_, job) => reference(given, job));
  return clients('crypto.pbkdf2', count, async (job) =>
    same(await derive(passwordOf(given, job), saltOf(given, job), ITERATIONS, 32, 'sha256'), expected[job]!),
  );
}

/** The quickest that one call can be without phsync: no thread is asked. */
export function pbkdf2SyncCalls(): Contender {
  const given = inputs(1);
  const expected = reference(given, 0);
  return clients('crypto.pbkdf2Sync', 1, async () =>
    same(pbkdf2Sync(passwordOf(given, 0), saltOf(given, 0), ITERATIONS, 32, 'sha256'), expected),
  );
}
