/**
 * The parity grid: one kernel of the addon against published vectors, `node:crypto` and the portable kernel. It needs
 * no test framework, so that it runs wherever Node does, an emulator included (run.ts); ../parity.test.ts is the other caller.
 */

import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import type { NativeAddon } from '#src/hasher/backend.js';
import type { KernelChoice } from '#src/hasher/types.js';
import { orgId, seal } from '../../hasher/reference.js';
import { type Joined, join, oddly, painted, unhex } from './bytes.js';
import { hmacSuite, md4Suite, md5Suite, pbkdf2Suite, suiteMessages } from './published.js';

/** Is told what was computed and what it must be. */
export type Check = (what: string, got: Uint8Array, wanted: Uint8Array) => void;

export interface ParityCase {
  readonly name: string;
  run(addon: NativeAddon, kernel: KernelChoice, check: Check): void;
}

/** Round the places where padding takes another block, for MD4, MD5 and SHA-256 and for HMAC keys. */
export const EDGES = [
  0, 1, 2, 3, 31, 32, 33, 54, 55, 56, 57, 63, 64, 65, 111, 118, 119, 120, 121, 127, 128, 129, 183, 184, 191, 192, 193,
  247, 248, 255, 256, 257, 1000,
] as const;

/** Walks all widths and their tails, past two full turns of the widest. */
function counts(addon: NativeAddon, kernel: KernelChoice): number[] {
  const lanes = addon.kernels().lanes[kernel]!;
  return [...new Set([...Array.from({ length: 2 * lanes + 1 }, (_, i) => i + 1), 31])];
}

/** Of these the ones where the choice of widths changes, for rounds that take their time. */
function edgeCounts(addon: NativeAddon, kernel: KernelChoice): number[] {
  const lanes = addon.kernels().lanes[kernel]!;
  const wanted = [
    1,
    2,
    3,
    7,
    8,
    9,
    15,
    16,
    17,
    31,
    lanes - 1,
    lanes,
    lanes + 1,
    2 * lanes - 1,
    2 * lanes,
    2 * lanes + 1,
  ];
  return [...new Set(wanted)].filter((n) => n > 0 && (n <= 2 * lanes + 1 || n === 31));
}

const concat = (items: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(items));

/** Node's digests are computed once, for all kernels. */
function memo<T>(compute: () => T): () => T {
  let value: { readonly of: T } | undefined;
  return () => {
    value ??= { of: compute() };
    return value.of;
  };
}

type Hash = 'md4Batch' | 'md5Batch';

function hash(addon: NativeAddon, name: Hash, kernel: KernelChoice, { bytes, offsets }: Joined): Uint8Array {
  const digests = new Uint8Array(16 * (offsets.length - 1)).fill(0xee);
  addon[name](kernel, bytes, offsets, digests);
  return digests;
}

const md5 = (messages: readonly Uint8Array[]): Uint8Array =>
  concat(messages.map((message) => createHash('md5').update(message).digest()));

function pbkdf2(
  addon: NativeAddon,
  kernel: KernelChoice,
  jobs: readonly (readonly [password: Uint8Array, salt: Uint8Array])[],
  iterations: number,
  dkLen: number,
): Uint8Array {
  const passwords = join(jobs.map(([password]) => password));
  const salts = join(jobs.map(([, salt]) => salt));
  const keys = new Uint8Array(dkLen * jobs.length).fill(0xee);
  const { bytes, offsets } = passwords;
  addon.pbkdf2Batch(kernel, bytes, offsets, salts.bytes, salts.offsets, iterations, dkLen, keys);
  return keys;
}

const MOST_JOBS = 2 * 64 + 1;
const ntHashes = painted(16 * MOST_JOBS, 17);
const salts = painted(10 * MOST_JOBS, 5);
const item = (bytes: Uint8Array, i: number, size: number): Uint8Array => bytes.subarray(i * size, (i + 1) * size);

const digestCache = new Map<string, Uint8Array>();
/** OrgId digests of the first `count` painted jobs, by node:crypto. */
function orgIds(count: number, iterations: number): Uint8Array {
  return concat(
    Array.from({ length: count }, (_, i) => {
      const name = `${i} ${iterations}`;
      const digest = digestCache.get(name) ?? orgId(item(ntHashes, i, 16), item(salts, i, 10), iterations);
      digestCache.set(name, digest);
      return digest;
    }),
  );
}

/** As many messages as there are edges, at every place an edge's length once. */
const edgeMessages = EDGES.map((size, i) => painted(size, 31 * i));
const edgePairs = EDGES.map((size, i) => [painted(size, i), painted(EDGES[(i * 5) % EDGES.length]!, 13 * i)] as const);

const wantedHmac = memo(() => {
  const pairs = EDGES.flatMap((key, i) => EDGES.map((size, k) => [painted(key, i), painted(size, 97 * k)] as const));
  const keys = join(pairs.map(([key]) => key));
  const messages = join(pairs.map(([, message]) => message));
  const digests = concat(pairs.map(([key, message]) => createHmac('sha256', key).update(message).digest()));
  return { keys, messages, digests };
});

/** RFC 8018, 5.2: with dkLen at and beside multiples of the digest. */
const DK_LENS = [1, 20, 31, 32, 33, 63, 64, 65, 100] as const;
const wantedKeys = new Map<string, Uint8Array>();
function edgeKeys(iterations: number, dkLen: number): Uint8Array {
  const name = `${iterations} ${dkLen}`;
  const keys =
    wantedKeys.get(name) ??
    concat(edgePairs.map(([password, salt]) => pbkdf2Sync(password, salt, iterations, dkLen, 'sha256')));
  wantedKeys.set(name, keys);
  return keys;
}

function derive(addon: NativeAddon, kernel: KernelChoice, count: number, iterations: number): Uint8Array {
  const digests = new Uint8Array(32 * count).fill(0xee);
  addon.deriveBatch(kernel, ntHashes.slice(0, 16 * count), salts.slice(0, 10 * count), iterations, digests);
  return digests;
}

const sessionKeys = [painted(16, 99), painted(32, 7), painted(64, 3)];
const ridOf = (i: number): number => (500 + i * 0x01020305) >>> 0;
const sealed = memo(() =>
  concat(
    Array.from({ length: MOST_JOBS }, (_, i) =>
      seal(sessionKeys[i % 3]!, ridOf(i), item(ntHashes, i, 16), Buffer.from(painted(16, i))),
    ),
  ),
);

const published: readonly ParityCase[] = [
  {
    name: 'MD4 and MD5: RFC 1320 and RFC 1321, A.5',
    run(addon, kernel, check) {
      const messages = join(suiteMessages);
      check('MD4', hash(addon, 'md4Batch', kernel, messages), concat(md4Suite.map(unhex)));
      check('MD5', hash(addon, 'md5Batch', kernel, messages), concat(md5Suite.map(unhex)));
    },
  },
  {
    name: 'HMAC-SHA256: RFC 4231, section 4',
    run(addon, kernel, check) {
      const keys = join(hmacSuite.map(([key]) => key));
      const messages = join(hmacSuite.map(([, data]) => data));
      const digests = new Uint8Array(32 * hmacSuite.length);
      addon.hmacSha256Batch(kernel, keys.bytes, keys.offsets, messages.bytes, messages.offsets, digests);
      hmacSuite.forEach(([, , digest], i) => {
        check(`case ${i + 1}`, digests.subarray(32 * i, 32 * i + digest.length / 2), unhex(digest));
      });
    },
  },
  {
    name: 'PBKDF2-HMAC-SHA256: RFC 7914, section 11',
    run(addon, kernel, check) {
      for (const [password, salt, iterations, key] of pbkdf2Suite) {
        const job = [Buffer.from(password), Buffer.from(salt)] as const;
        check(`${iterations} rounds`, pbkdf2(addon, kernel, [job], iterations, key.length / 2), unhex(key));
      }
    },
  },
  {
    name: 'OrgId hash and ENCRYPTED_PAYLOAD: DSInternals',
    run(addon, kernel, check) {
      const wanted = unhex('b39525c3bc72a1136fcf7c8a338e0c14313d0450d1a4c98ef0a6ddada3bc5b0a');
      const salt = unhex('181a3024085fcee2f70e');
      const digest = new Uint8Array(32);
      addon.deriveBatch(kernel, unhex('92937945b518814341de3f726500d4ff'), salt, 1000, digest);
      check('derived', digest, wanted);
      const envelope = unhex('e650e0179becf540e1e6dbe37deb38b379618228d74d9ff7e08a588c2a6fbd511ad78f61');
      const key = unhex('b0133bfc9ce59c805dd15d5872e247c5');
      const status = new Uint8Array([9]);
      const ends = new Uint32Array([0, 16]);
      addon.openAndDeriveBatch(kernel, key, ends, envelope, new Uint32Array([500]), salt, 1000, digest.fill(0), status);
      check('opened and derived', digest, wanted);
      check('status', status, new Uint8Array(1));
    },
  },
];

const grid: readonly ParityCase[] = [
  {
    name: 'MD4 and MD5 of messages of unequal lengths in one batch',
    run(addon, kernel, check) {
      const messages = join(edgeMessages);
      check('MD5', hash(addon, 'md5Batch', kernel, messages), md5(edgeMessages));
      check('MD4', hash(addon, 'md4Batch', kernel, messages), hash(addon, 'md4Batch', 'portable', messages));
    },
  },
  {
    name: 'MD4 and MD5 of every job count',
    run(addon, kernel, check) {
      for (const count of counts(addon, kernel)) {
        const items = Array.from({ length: count }, (_, i) => painted((i * 29 + count) % 150, i));
        const messages = join(items);
        check(`MD5 of ${count}`, hash(addon, 'md5Batch', kernel, messages), md5(items));
        const md4 = hash(addon, 'md4Batch', 'portable', messages);
        check(`MD4 of ${count}`, hash(addon, 'md4Batch', kernel, messages), md4);
      }
    },
  },
  {
    name: 'HMAC-SHA256 of all key and message edges',
    run(addon, kernel, check) {
      const { keys, messages, digests: wanted } = wantedHmac();
      const digests = new Uint8Array(wanted.length);
      addon.hmacSha256Batch(kernel, keys.bytes, keys.offsets, messages.bytes, messages.offsets, digests);
      check('all', digests, wanted);
    },
  },
  {
    name: 'PBKDF2 of all password and salt edges, 1, 2 and 3 rounds, key lengths beside whole blocks',
    run(addon, kernel, check) {
      for (const iterations of [1, 2, 3]) {
        for (const dkLen of DK_LENS) {
          const keys = pbkdf2(addon, kernel, edgePairs, iterations, dkLen);
          check(`${iterations} rounds, ${dkLen} bytes`, keys, edgeKeys(iterations, dkLen));
        }
      }
    },
  },
  {
    name: 'PBKDF2 of all password and salt edges, 999, 1000 and 4096 rounds',
    run(addon, kernel, check) {
      for (const iterations of [999, 1000, 4096]) {
        check(`${iterations} rounds`, pbkdf2(addon, kernel, edgePairs, iterations, 32), edgeKeys(iterations, 32));
      }
    },
  },
  {
    name: 'PBKDF2 of one password with more output blocks than a slice has jobs',
    run(addon, kernel, check) {
      const dkLen = 32 * 300 + 5;
      const wanted = pbkdf2Sync(painted(64), painted(10), 3, dkLen, 'sha256');
      check('key', pbkdf2(addon, kernel, [[painted(64), painted(10)]], 3, dkLen), wanted);
    },
  },
  {
    name: 'OrgId digests of every job count, 1, 2 and 3 rounds',
    run(addon, kernel, check) {
      for (const iterations of [1, 2, 3]) {
        for (const count of counts(addon, kernel)) {
          const wanted = orgIds(count, iterations);
          check(`${count} of ${iterations} rounds`, derive(addon, kernel, count, iterations), wanted);
        }
      }
    },
  },
  {
    name: 'OrgId digests where the choice of lanes changes, 999 and 1000 rounds',
    run(addon, kernel, check) {
      for (const iterations of [999, 1000]) {
        for (const count of edgeCounts(addon, kernel)) {
          const wanted = orgIds(count, iterations);
          check(`${count} of ${iterations} rounds`, derive(addon, kernel, count, iterations), wanted);
        }
      }
    },
  },
  {
    name: 'OrgId digests with 4096 rounds',
    run(addon, kernel, check) {
      for (const count of [1, 3, 31]) check(`${count}`, derive(addon, kernel, count, 4096), orgIds(count, 4096));
    },
  },
  {
    name: 'envelopes of every job count under three session keys',
    run(addon, kernel, check) {
      const keys = join(sessionKeys);
      for (const count of counts(addon, kernel)) {
        const rids = Uint32Array.from({ length: count }, (_, i) => ridOf(i));
        const digests = new Uint8Array(32 * count).fill(0xee);
        const status = new Uint8Array(count).fill(9);
        const envelopes = sealed().slice(0, 36 * count);
        const own = salts.slice(0, 10 * count);
        addon.openAndDeriveBatch(kernel, keys.bytes, keys.offsets, envelopes, rids, own, 2, digests, status);
        check(`status of ${count}`, status, new Uint8Array(count));
        check(`digests of ${count}`, digests, orgIds(count, 2));
      }
    },
  },
  ...[false, true].map(
    (shared): ParityCase => ({
      name: `odd offsets in ${shared ? 'shared' : 'plain'} memory`,
      run(addon, kernel, check) {
        const { bytes, offsets } = join(edgeMessages);
        const digests = oddly(new Uint8Array(16 * edgeMessages.length), shared);
        addon.md5Batch(kernel, oddly(bytes, shared), oddly(offsets, shared), digests);
        check('MD5', digests, md5(edgeMessages));
        const portable = hash(addon, 'md4Batch', 'portable', { bytes, offsets });
        addon.md4Batch(kernel, oddly(bytes, shared), oddly(offsets, shared), digests);
        check('MD4', digests, portable);

        const count = 31;
        const given = oddly(ntHashes.slice(0, 16 * count), shared);
        const derived = oddly(new Uint8Array(32 * count), shared);
        addon.deriveBatch(kernel, given, oddly(salts.slice(0, 10 * count), shared), 2, derived);
        check('OrgId', derived, orgIds(count, 2));
        check('the input afterwards', given, ntHashes.subarray(0, 16 * count));
        const beside = new Uint8Array(derived.buffer);
        check('beside the output', new Uint8Array([beside[0]!, ...beside.slice(-2)]), new Uint8Array(3));
      },
    }),
  ),
];

/** Every case once; each is a function of addon and kernel. `auto` is the plan over all kernels of the machine. */
export const parityCases: readonly ParityCase[] = [...published, ...grid];

/** Runs all cases of one kernel. */
export function parityGrid(addon: NativeAddon, kernel: KernelChoice, check: Check): void {
  for (const { name, run } of parityCases) {
    run(addon, kernel, (what, got, wanted) => check(`${name}: ${what}`, got, wanted));
  }
}
