/** The facade: options, argument errors that are the same on every backend, single calls. */

import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { createHasher } from '#src/hasher/create-hasher.js';
import { PhsyncError } from '#src/hasher/errors.js';
import type { Credential, Hasher, HasherOptions } from '#src/hasher/types.js';
import { describeBackends } from './backends.js';
import { hex, orgId } from './reference.js';

const bytes = (n: number): Uint8Array => new Uint8Array(n);
const open = (change: object) => ({
  sessionKeys: [bytes(16)],
  envelopes: bytes(72),
  rids: Uint32Array.of(1, 2),
  ...change,
});

type Call = (hasher: Hasher) => Promise<unknown>;
// Whatever a JavaScript caller may pass.
const call = (
  method: 'deriveBatch' | 'openAndDeriveBatch' | 'derive' | 'verify' | 'pbkdf2Batch',
  ...args: unknown[]
): Call => {
  return (hasher) => (hasher[method] as (...args: unknown[]) => Promise<unknown>)(...args);
};
const credential: Credential = { salt: bytes(10), iterations: 1, hash: bytes(32) };

const refused: readonly [string, Call, typeof TypeError | typeof RangeError, string][] = [
  ['no batch', call('deriveBatch'), TypeError, 'input: expected an object, got undefined'],
  ['no hashes', call('deriveBatch', {}), TypeError, 'ntHashes: expected a Uint8Array, got undefined'],
  ['hex', call('deriveBatch', { ntHashes: '00' }), TypeError, 'ntHashes: expected a Uint8Array, got string'],
  [
    'another array',
    call('deriveBatch', { ntHashes: new Uint16Array(16) }),
    TypeError,
    'ntHashes: expected a Uint8Array, got Uint16Array',
  ],
  [
    '17 bytes',
    call('deriveBatch', { ntHashes: bytes(17) }),
    RangeError,
    'ntHashes: expected a multiple of 16 bytes, got 17',
  ],
  [
    'too few salts',
    call('deriveBatch', { ntHashes: bytes(32), salts: bytes(10) }),
    RangeError,
    'salts: expected 20 bytes, got 10',
  ],
  [
    'null salts',
    call('deriveBatch', { ntHashes: bytes(32), salts: null }),
    TypeError,
    'salts: expected a Uint8Array, got null',
  ],
  [
    '0 iterations',
    call('deriveBatch', { ntHashes: bytes(16), iterations: 0 }),
    RangeError,
    'iterations: expected an integer from 1 to 999999, got 0',
  ],
  [
    '1e6 iterations',
    call('deriveBatch', { ntHashes: bytes(16), iterations: 1e6 }),
    RangeError,
    'iterations: expected an integer from 1 to 999999, got 1000000',
  ],
  [
    'NaN iterations',
    call('deriveBatch', { ntHashes: bytes(16), iterations: Number.NaN }),
    RangeError,
    'iterations: expected an integer from 1 to 999999, got NaN',
  ],
  [
    '"1" iterations',
    call('deriveBatch', { ntHashes: bytes(16), iterations: '1' }),
    TypeError,
    'iterations: expected a number, got string',
  ],
  [
    'no session keys',
    call('openAndDeriveBatch', open({ sessionKeys: undefined })),
    TypeError,
    'sessionKeys: expected an array, got undefined',
  ],
  [
    'a bare session key',
    call('openAndDeriveBatch', open({ sessionKeys: bytes(16) })),
    TypeError,
    'sessionKeys: expected an array, got Uint8Array',
  ],
  [
    'an empty list of keys',
    call('openAndDeriveBatch', open({ sessionKeys: [] })),
    RangeError,
    'sessionKeys: expected 1 to 64 keys, got 0',
  ],
  [
    '65 keys',
    call('openAndDeriveBatch', open({ sessionKeys: Array(65).fill(bytes(16)) })),
    RangeError,
    'sessionKeys: expected 1 to 64 keys, got 65',
  ],
  [
    'a hole among the keys',
    call('openAndDeriveBatch', open({ sessionKeys: Object.assign(Array(2), { 0: bytes(16) }) })),
    TypeError,
    'sessionKeys[1]: expected a Uint8Array, got undefined',
  ],
  [
    'an empty key',
    call('openAndDeriveBatch', open({ sessionKeys: [bytes(0)] })),
    RangeError,
    'sessionKeys[0]: expected 1 to 64 bytes, got 0',
  ],
  [
    'a key of 65 bytes',
    call('openAndDeriveBatch', open({ sessionKeys: [bytes(16), bytes(65)] })),
    RangeError,
    'sessionKeys[1]: expected 1 to 64 bytes, got 65',
  ],
  [
    '35 bytes of envelopes',
    call('openAndDeriveBatch', open({ envelopes: bytes(35) })),
    RangeError,
    'envelopes: expected a multiple of 36 bytes, got 35',
  ],
  [
    'a string among envelopes',
    call('openAndDeriveBatch', open({ envelopes: [bytes(36), 'x'] })),
    TypeError,
    'envelopes[1]: expected a Uint8Array, got string',
  ],
  [
    'an array of RIDs',
    call('openAndDeriveBatch', open({ rids: [1, 2] })),
    TypeError,
    'rids: expected a Uint32Array, got an array',
  ],
  [
    'too few RIDs',
    call('openAndDeriveBatch', open({ rids: Uint32Array.of(1) })),
    RangeError,
    'rids: expected 2, one an envelope, got 1',
  ],
  [
    'salts of the wrong number',
    call('openAndDeriveBatch', open({ salts: bytes(21) })),
    RangeError,
    'salts: expected 20 bytes, got 21',
  ],
  ['a short hash', call('derive', bytes(15)), RangeError, 'ntHash: expected 16 bytes, got 15'],
  ['a password', call('derive', 'Password'), TypeError, 'ntHash: expected a Uint8Array, got string'],
  ['null options', call('derive', bytes(16), null), TypeError, 'options: expected an object, got null'],
  [
    'a misspelt option',
    call('derive', bytes(16), { iteration: 5 }),
    TypeError,
    'options: unknown property "iteration"; expected salt, iterations, signal',
  ],
  [
    'a digest that the batch does not have',
    call('pbkdf2Batch', { passwords: ['p'], salts: ['s'], iterations: 1, keylen: 4, digest: 'sha512' }),
    TypeError,
    'input: unknown property "digest"; expected passwords, salts, iterations, keylen, signal',
  ],
  [
    'a long salt',
    call('derive', bytes(16), { salt: bytes(11) }),
    RangeError,
    'options.salt: expected 10 bytes, got 11',
  ],
  [
    'fractional iterations',
    call('derive', bytes(16), { iterations: 1.5 }),
    RangeError,
    'options.iterations: expected an integer from 1 to 999999, got 1.5',
  ],
  [
    'no credential',
    call('verify'),
    TypeError,
    'credential: expected an object with salt, iterations and hash, got undefined',
  ],
  [
    'a short credential hash',
    call('verify', { ...credential, hash: bytes(31) }, 'x'),
    RangeError,
    'credential.hash: expected 32 bytes, got 31',
  ],
  [
    'no secret',
    call('verify', credential),
    TypeError,
    'secret: expected a password (a string) or an NT hash (a Uint8Array), got undefined',
  ],
  [
    'a short NT hash',
    call('verify', credential, bytes(15)),
    RangeError,
    'secret: expected an NT hash of 16 bytes, got 15',
  ],
];

describeBackends('createHasher', (hasher, options) => {
  it('tells what it uses', () => {
    const { info } = hasher();
    expect([info.backend, info.kernel, info.threads]).toEqual([options.backend, options.kernel, 2]);
    if (options.backend === 'native') {
      expect(info.kernels).toContain(options.kernel);
      expect(info.whyNotNative).toBeUndefined();
    } else {
      expect(info.whyNotNative).toContain('options.backend');
    }
  });

  it.each(refused)('refuses %s', async (_, run, kind, message) => {
    const error = await run(hasher()).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toBe(message);
  });

  it('refuses a bad credential text', async () => {
    await expect(hasher().verify('v1;PPH1_MD5,00', 'x')).rejects.toMatchObject({ code: 'bad-credential' });
  });

  it('refuses to hash what is no string', () => {
    expect(() => hasher().ntHash(bytes(16) as unknown as string)).toThrow(TypeError);
  });

  it('derives with a salt of its own and 1000 iterations', async () => {
    const ntHash = randomBytes(16);
    const [one, two] = await Promise.all([hasher().derive(ntHash), hasher().derive(ntHash)]);
    expect(hex(one.salt)).not.toBe(hex(two.salt));
    for (const made of [one, two]) {
      expect(made.iterations).toBe(1000);
      expect(hex(made.hash)).toBe(hex(orgId(ntHash, made.salt, 1000)));
    }
  });

  it('gathers single calls of several iteration counts, each with its own answer', async () => {
    const jobs = Array.from({ length: 70 }, (_, i) => ({
      ntHash: randomBytes(16),
      salt: randomBytes(10),
      iterations: 1 + (i % 3),
    }));
    const made = await Promise.all(jobs.map(({ ntHash, ...rest }) => hasher().derive(ntHash, rest)));
    made.forEach(({ hash }, i) => {
      const { ntHash, salt, iterations } = jobs[i]!;
      expect(hex(hash)).toBe(hex(orgId(ntHash, salt, iterations)));
    });
  });

  it('refuses a signal that cannot be listened to and left again', async () => {
    const signal = { aborted: false, addEventListener() {}, throwIfAborted() {} } as unknown as AbortSignal;
    const refused = { name: 'TypeError', message: 'options.signal: expected an AbortSignal, got Object' };
    await expect(hasher().derive(new Uint8Array(16), { signal })).rejects.toMatchObject(refused);
    await expect(hasher().deriveBatch({ ntHashes: new Uint8Array(16), signal })).rejects.toThrow(
      'expected an AbortSig',
    );
  });

  it('reads the parts of a credential once', async () => {
    const made = await hasher().derive(new Uint8Array(16), { iterations: 2 });
    const reads = { salt: 0, iterations: 0, hash: 0 };
    const shifty = {
      get salt() {
        return reads.salt++ === 0 ? made.salt : new Uint8Array(30);
      },
      get iterations() {
        return reads.iterations++ === 0 ? made.iterations : 0;
      },
      get hash() {
        return reads.hash++ === 0 ? made.hash : new Uint8Array(30);
      },
    };
    const [one, other] = [hasher().verify(shifty, new Uint8Array(16)), hasher().verify(made, new Uint8Array(16))];
    expect(await Promise.all([one, other])).toEqual([true, true]);
    expect(reads).toEqual({ salt: 1, iterations: 1, hash: 1 });
  });

  it('says no to every other secret, and leaves the given ones alone', async () => {
    const ntHash = hasher().ntHash('Pa$$w0rd');
    const before = hex(ntHash);
    const made = await hasher().derive(ntHash, { iterations: 2 });
    const flipped = Array.from({ length: 8 * 32 }, (_, bit) => {
      const hash = Uint8Array.from(made.hash);
      hash[bit >> 3]! ^= 1 << (bit & 7);
      return { ...made, hash };
    });
    expect(await Promise.all(flipped.map((other) => hasher().verify(other, ntHash)))).not.toContain(true);
    expect(await hasher().verify(made, 'pa$$w0rd')).toBe(false);
    expect(await hasher().verify(made, ntHash)).toBe(true);
    expect(hex(ntHash)).toBe(before);
  });
});

describe('options', () => {
  it.each<[HasherOptions | null, unknown]>([
    [null, TypeError],
    [{ threads: 0 }, RangeError],
    [{ threads: 1.5 }, RangeError],
    [{ threads: 1025 }, RangeError],
    [{ threads: '2' } as unknown as HasherOptions, TypeError],
    [{ backend: 1 } as unknown as HasherOptions, TypeError],
    [{ kernel: {} } as unknown as HasherOptions, TypeError],
    [{ backend: 'wasm' } as unknown as HasherOptions, PhsyncError],
  ])('refuses %j', (options, kind) => {
    expect(() => createHasher(options as HasherOptions)).toThrow(kind as ErrorConstructor);
  });

  it('takes as many threads as the machine has', async () => {
    const hasher = createHasher({ backend: 'fallback' });
    expect(hasher.info.threads).toBe(availableParallelism());
    await hasher.close();
  });
});
