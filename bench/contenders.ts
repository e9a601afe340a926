/** What is measured against what: each contender derives a batch of OrgId digests from the same fixed inputs. */

import { createHash, pbkdf2Sync } from 'node:crypto';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { pbkdf2 as noblePbkdf2 } from '@noble/hashes/pbkdf2.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { createHasher } from '#src/hasher/create-hasher.js';
import type { KernelName, NativeAddon } from '#src/hasher/types.js';

export interface Contender {
  /** Jobs of one call. */
  readonly jobs: number;
  /** Undefined where the work is asynchronous (`runAsync`). */
  readonly run?: () => void;
  readonly runAsync?: () => Promise<void>;
  /** The digests of the last call, jobs × 32 bytes. */
  digests(): Uint8Array;
  close(): Promise<void>;
}

const nothing = async (): Promise<void> => {};
const ITERATIONS = 1000;

/** n × `size` bytes that differ from job to job; the same in every process. */
function painted(jobs: number, size: number, seed: string): Uint8Array {
  const bytes = new Uint8Array(jobs * size);
  for (let job = 0; job < jobs; job++) {
    bytes.set(createHash('sha256').update(`${seed} ${job}`).digest().subarray(0, size), job * size);
  }
  return bytes;
}

/** OrgId's PBKDF2 password: upper-case hex of the NT hash in UTF-16LE, 64 bytes. */
function expand(ntHash: Uint8Array): Buffer {
  return Buffer.from(Buffer.from(ntHash).toString('hex').toUpperCase(), 'utf16le');
}

export function inputs(jobs: number): { ntHashes: Uint8Array; salts: Uint8Array } {
  return { ntHashes: painted(jobs, 16, 'nt hash'), salts: painted(jobs, 10, 'salt') };
}

/** One digest by node:crypto, the reference that every contender's first and last digest is checked against. */
export function reference(ntHashes: Uint8Array, salts: Uint8Array, job: number): Buffer {
  return pbkdf2Sync(
    expand(ntHashes.subarray(job * 16, job * 16 + 16)),
    salts.subarray(job * 10, job * 10 + 10),
    ITERATIONS,
    32,
    'sha256',
  );
}

function addon(): NativeAddon {
  const require = createRequire(import.meta.url);
  return (require('node-gyp-build') as (root: string) => NativeAddon)(fileURLToPath(new URL('../..', import.meta.url)));
}

function native(kernel: KernelName, jobs: number): Contender {
  const { ntHashes, salts } = inputs(jobs);
  const digests = new Uint8Array(jobs * 32);
  const door = addon();
  return {
    jobs,
    run: () => door.deriveBatch(kernel, ntHashes, salts, ITERATIONS, digests),
    digests: () => digests,
    close: nothing,
  };
}

function oneByOne(jobs: number, derive: (password: Buffer, salt: Uint8Array) => Uint8Array): Contender {
  const { ntHashes, salts } = inputs(jobs);
  const passwords = Array.from({ length: jobs }, (_, i) => expand(ntHashes.subarray(i * 16, i * 16 + 16)));
  const digests = new Uint8Array(jobs * 32);
  return {
    jobs,
    run: () => {
      for (let i = 0; i < jobs; i++) {
        digests.set(derive(passwords[i]!, salts.subarray(i * 10, i * 10 + 10)), i * 32);
      }
    },
    digests: () => digests,
    close: nothing,
  };
}

async function hashWasm(jobs: number): Promise<Contender> {
  const { createSHA256, pbkdf2 } = await import('hash-wasm');
  const hashFunction = createSHA256();
  await hashFunction;
  const { ntHashes, salts } = inputs(jobs);
  const digests = new Uint8Array(jobs * 32);
  return {
    jobs,
    runAsync: async () => {
      for (let i = 0; i < jobs; i++) {
        const digest = await pbkdf2({
          password: expand(ntHashes.subarray(i * 16, i * 16 + 16)),
          salt: salts.subarray(i * 10, i * 10 + 10),
          iterations: ITERATIONS,
          hashLength: 32,
          hashFunction,
          outputType: 'binary' as const,
        });
        digests.set(digest, i * 32);
      }
    },
    digests: () => digests,
    close: nothing,
  };
}

function pool(backend: 'native' | 'fallback', threads: number, jobs: number): Contender {
  const { ntHashes, salts } = inputs(jobs);
  const hasher = createHasher({ backend, threads });
  let digests: Uint8Array = new Uint8Array(jobs * 32);
  return {
    jobs,
    runAsync: async () => {
      ({ digests } = await hasher.deriveBatch({ ntHashes, salts, iterations: ITERATIONS }));
    },
    digests: () => digests,
    close: () => hasher.close(),
  };
}

/**
 * By name: `native:<kernel>`, `node:crypto`, `noble`, `hash-wasm`, `pool:<threads>`, `fallback:<threads>`.
 * `jobs` is a wish: slow contenders take fewer so that a sample stays short.
 */
export async function contender(name: string, jobs: number): Promise<Contender> {
  const [kind, detail = ''] = name.split(':');
  switch (kind) {
    case 'native':
      return native(detail as KernelName, jobs);
    case 'node':
      return oneByOne(Math.min(jobs, 64), (password, salt) => pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256'));
    case 'noble':
      return oneByOne(Math.min(jobs, 8), (password, salt) =>
        noblePbkdf2(sha256, password, salt, { c: ITERATIONS, dkLen: 32 }),
      );
    case 'hash-wasm':
      return hashWasm(Math.min(jobs, 8));
    case 'pool':
      return pool('native', Number(detail), jobs);
    case 'fallback':
      return pool('fallback', Number(detail), Math.min(jobs, 512));
    default:
      throw new RangeError(`no contender is called ${JSON.stringify(name)}`);
  }
}
