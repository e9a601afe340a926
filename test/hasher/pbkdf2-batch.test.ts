/** `pbkdf2Batch` and `ntHashBatch` on every backend and kernel: against node:crypto and hash-wasm, and what they refuse. */

import { pbkdf2Sync, randomBytes, randomInt } from 'node:crypto';
import fc from 'fast-check';
import { createMD4 } from 'hash-wasm';
import { beforeAll, describe, expect, it } from 'vitest';
import { type FlatItems, type Hasher, MAX_PBKDF2_WORK } from '#src/hasher/types.js';
import { describeBackends } from './backends.js';
import { at, hex, unhex } from './reference.js';

/** Items as one, with a byte before and after them that belongs to nobody. */
function flat(items: readonly Uint8Array[]): FlatItems {
  const offsets = [1];
  for (const item of items) offsets.push(offsets.at(-1)! + item.length);
  const nobodys = randomBytes(1);
  return { bytes: Buffer.concat([nobodys, ...items, nobodys]), offsets: Uint32Array.from(offsets) };
}

const bytes = (n: number): Uint8Array => new Uint8Array(n);
const offsets = (...values: number[]): Uint32Array => Uint32Array.from(values);
const job = (change: object = {}) => ({
  passwords: ['a', 'b'],
  salts: ['c', 'd'],
  iterations: 1,
  keylen: 32,
  ...change,
});

async function refusal(work: () => Promise<unknown>): Promise<unknown> {
  return work().then(
    () => undefined,
    (error: unknown) => error,
  );
}

type Refused = readonly [string, unknown, typeof TypeError | typeof RangeError, string];

const refusedItems: readonly Refused[] = [
  ['nothing', undefined, TypeError, 'expected an array, or an object with bytes and offsets, got undefined'],
  ['bare bytes', bytes(2), TypeError, 'expected an array, or an object with bytes and offsets, got Uint8Array'],
  ['a string', 'ab', TypeError, 'expected an array, or an object with bytes and offsets, got string'],
  ['no offsets', { bytes: bytes(2) }, TypeError, 'offsets: expected a Uint32Array, got undefined'],
  ['bytes as text', { bytes: 'ab', offsets: offsets(0, 1) }, TypeError, 'bytes: expected a Uint8Array, got string'],
  ['empty offsets', { bytes: bytes(2), offsets: offsets() }, RangeError, 'one more than there are items, got 0'],
  ['falling offsets', { bytes: bytes(4), offsets: offsets(0, 4, 2) }, RangeError, 'must not descend, as they do at 2'],
  ['far offsets', { bytes: bytes(4), offsets: offsets(0, 2, 6) }, RangeError, 'expected to end within 4 bytes, got 6'],
];

describeBackends('pbkdf2Batch', (hasher) => {
  // RFC 7914, section 11.
  it('gives the published keys', async () => {
    const one = await hasher().pbkdf2Batch({ passwords: ['passwd'], salts: ['salt'], iterations: 1, keylen: 64 });
    expect(hex(one)).toBe(
      '55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc' +
        '49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783',
    );
    const many = { passwords: ['Password'], salts: ['NaCl'], iterations: 80000, keylen: 64 };
    expect(hex(await hasher().pbkdf2Batch(many))).toBe(
      '4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56' +
        'a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d',
    );
  });

  it('agrees with node:crypto on random items of all kinds', async () => {
    const item = fc.oneof(fc.string({ unit: 'binary', maxLength: 90 }), fc.uint8Array({ maxLength: 150 }));
    const items = fc.array(fc.tuple(item, item), { maxLength: 40 });
    const property = fc.asyncProperty(
      items,
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 130 }),
      async (list, c, keylen) => {
        const passwords = list.map(([password]) => password);
        const salts = list.map(([, salt]) => salt);
        const wanted = list.map(([password, salt]) => pbkdf2Sync(password, salt, c, keylen, 'sha256'));
        const asList = await hasher().pbkdf2Batch({ passwords, salts, iterations: c, keylen });
        expect(hex(asList)).toBe(hex(Buffer.concat(wanted)));
        const asFlat = { passwords: flat(passwords.map((one) => Buffer.from(one))), salts, iterations: c, keylen };
        expect(hex(await hasher().pbkdf2Batch(asFlat))).toBe(hex(asList));
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });

  it('cuts a long batch and puts it together again', async () => {
    const n = 20_000;
    const passwords = Array.from({ length: n }, (_, i) => `password ${i}`);
    const salts = flat(Array.from({ length: n }, () => randomBytes(8)));
    const keys = await hasher().pbkdf2Batch({ passwords, salts, iterations: 1, keylen: 5 });
    expect(keys.buffer).toBeInstanceOf(ArrayBuffer);
    for (const i of [0, 1, 8191, 8192, 8193, n - 1, ...Array.from({ length: 50 }, () => randomInt(n))]) {
      const salt = salts.bytes.subarray(salts.offsets[i], salts.offsets[i + 1]);
      expect(hex(at(keys, i, 5))).toBe(hex(pbkdf2Sync(passwords[i]!, salt, 1, 5, 'sha256')));
    }
  });

  it('makes a key of many blocks, an empty key, and nothing of nothing', async () => {
    const keys = await hasher().pbkdf2Batch(job({ iterations: 3, keylen: 10_001 }));
    expect(hex(keys)).toBe(
      hex(pbkdf2Sync('a', 'c', 3, 10_001, 'sha256')) + hex(pbkdf2Sync('b', 'd', 3, 10_001, 'sha256')),
    );
    expect(await hasher().pbkdf2Batch(job({ keylen: 0 }))).toHaveLength(0);
    expect(await hasher().pbkdf2Batch(job({ passwords: [], salts: [] }))).toHaveLength(0);
  });

  it('reads its input before it returns and leaves it alone', async () => {
    const password = randomBytes(20);
    const wanted = hex(pbkdf2Sync(password, 'salt', 2, 32, 'sha256'));
    const pending = hasher().pbkdf2Batch({ passwords: [password], salts: ['salt'], iterations: 2, keylen: 32 });
    password.fill(0);
    expect(hex(await pending)).toBe(wanted);
  });

  it('believes no offsets that another thread changed after they were checked', async () => {
    const offsets = new Uint32Array(new SharedArrayBuffer(12));
    let read = 0;
    // Stands for the other thread: it writes between the check and the copy.
    const passwords = {
      bytes: new Uint8Array(4),
      get offsets() {
        offsets.set(read++ === 0 ? [0, 2, 4] : [4, 2, 0]);
        return offsets;
      },
    };
    const wanted = new RangeError('passwords.offsets: must not descend, as they do at 1');
    expect(await refusal(() => hasher().pbkdf2Batch(job({ passwords })))).toEqual(wanted);
    read = 0;
    expect(await refusal(() => hasher().ntHashBatch(passwords))).toEqual(wanted);
    expect(read).toBeGreaterThan(1);
  });

  it.each<Refused>([
    ...refusedItems.map(([name, value, kind, text]): Refused => [name, job({ passwords: value }), kind, text]),
    ['no input', undefined, TypeError, 'input: expected an object, got undefined'],
    [
      'a number',
      job({ passwords: ['a', 1] }),
      TypeError,
      'passwords[1]: expected a string or a Uint8Array, got number',
    ],
    ['a hole', job({ salts: Object.assign(Array(2), { 0: 'c' }) }), TypeError, 'salts[1]: expected a string or a'],
    ['too few salts', job({ salts: ['c'] }), RangeError, 'salts: expected 2, one a password, got 1'],
    ['"1" iterations', job({ iterations: '1' }), TypeError, 'iterations: expected a number, got string'],
    ['0 iterations', job({ iterations: 0 }), RangeError, 'iterations: expected an integer from 1 to'],
    ['1.5 iterations', job({ iterations: 1.5 }), RangeError, 'iterations: expected an integer from 1 to'],
    ['no keylen', job({ keylen: undefined }), TypeError, 'keylen: expected a number, got undefined'],
    ['a keylen below 0', job({ keylen: -1 }), RangeError, 'keylen: expected an integer from 0 to'],
    ['NaN as keylen', job({ keylen: Number.NaN }), RangeError, 'keylen: expected an integer from 0 to'],
    [
      'more work than an item may be',
      job({ iterations: MAX_PBKDF2_WORK / 2 + 1, keylen: 33 }),
      RangeError,
      'iterations: expected at most 67108864 times the blocks of keylen, got 67108866',
    ],
    ['too many bytes', job({ keylen: 2 ** 30 }), RangeError, 'keylen: expected at most 1073741824 bytes for all items'],
  ])('refuses %s', async (_, input, kind, text) => {
    const error = await refusal(() => hasher().pbkdf2Batch(input as Parameters<Hasher['pbkdf2Batch']>[0]));
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toContain(text);
  });
});

describeBackends('pbkdf2', (hasher) => {
  it('gathers calls of several counts and lengths, each with its own key', async () => {
    const jobs = Array.from({ length: 150 }, (_, i) => ({
      password: i % 2 === 0 ? `pässword ${i}` : randomBytes(i),
      salt: randomBytes(i % 70),
      c: 1 + (i % 3),
      keylen: [1, 32, 33, 500][i % 4]!,
    }));
    const wanted = jobs.map(({ password, salt, c, keylen }) => hex(pbkdf2Sync(password, salt, c, keylen, 'sha256')));
    const keys = jobs.map(({ password, salt, c, keylen }) => {
      const key = hasher().pbkdf2(password, salt, c, keylen);
      salt.fill(0);
      return key;
    });
    expect((await Promise.all(keys)).map(hex)).toEqual(wanted);
    expect(await hasher().pbkdf2('a', 'b', 1, 0)).toHaveLength(0);
  });

  it('refuses what the batch refuses', async () => {
    const refused = async (...args: unknown[]) =>
      refusal(() => (hasher().pbkdf2 as (...args: unknown[]) => Promise<unknown>)(...args));
    expect(await refused(1, 'b', 1, 1)).toEqual(
      new TypeError('password: expected a string or a Uint8Array, got number'),
    );
    expect(await refused('a', undefined, 1, 1)).toBeInstanceOf(TypeError);
    expect(await refused('a', 'b', 0, 1)).toBeInstanceOf(RangeError);
    expect(await refused('a', 'b', MAX_PBKDF2_WORK, 33)).toBeInstanceOf(RangeError);
    expect(await refused('a', 'b', 1, 1, null)).toEqual(new TypeError('options: expected an object, got null'));
    expect(await refused('a', 'b', 1, 1, { signal: 1 })).toBeInstanceOf(TypeError);
  });

  it('gives up at a signal, before and after the start', async () => {
    const reason = new Error('enough');
    const calls = (signal: AbortSignal): Promise<unknown>[] => [
      hasher().pbkdf2('a', 'b', 1000, 32, { signal }),
      hasher().pbkdf2Batch({ ...job({ iterations: 1000 }), signal }),
      hasher().ntHashBatch(['a'], { signal }),
    ];
    const gone = calls(AbortSignal.abort(reason));
    const controller = new AbortController();
    const going = calls(controller.signal);
    controller.abort(reason);
    for (const call of [...gone, ...going]) await expect(call).rejects.toBe(reason);
    // The lanes and the queue are as before.
    expect(hex(await hasher().pbkdf2('password', 'salt', 2, 4))).toBe('ae4d0c95');
    expect(hasher().load.waiting).toBe(0);
  });
});

describeBackends('ntHashBatch', (hasher) => {
  let md4: (message: Uint8Array) => string;
  beforeAll(async () => {
    const wasm = await createMD4();
    md4 = (message) => wasm.init().update(message).digest('hex');
  });
  const unicode = (password: string): Buffer => Buffer.from(password, 'utf16le');

  // MS-NLMP 4.2.2.1.2.
  it('gives the published hash', async () => {
    expect(hex(await hasher().ntHashBatch(['Password']))).toBe('a4f49c406510bdcab6824ee7c30fd852');
  });

  it.each([0, 1, 17, 65, 9000])('agrees with another MD4 and with ntHash on %i passwords', async (n) => {
    const passwords = Array.from({ length: n }, () => randomBytes(randomInt(140)).toString('ucs2'));
    const hashes = await hasher().ntHashBatch(passwords);
    expect(hex(hashes)).toBe(passwords.map((password) => md4(unicode(password))).join(''));
    expect(hex(await hasher().ntHashBatch(flat(passwords.map(unicode))))).toBe(hex(hashes));
    if (n > 0) expect(hex(hasher().ntHash(passwords.at(-1)!))).toBe(hex(hashes.subarray(-16)));
  });

  it('hashes lone surrogates as they stand', async () => {
    const passwords = ['\ud800', '\udc00a', 'a\udbff', '😀'];
    expect(hex(await hasher().ntHashBatch(passwords))).toBe(
      ['00d8', '00dc6100', '6100ffdb', '3dd800de'].map((text) => md4(unhex(text))).join(''),
    );
  });

  it.each<Refused>([
    ...refusedItems,
    ['bytes in a list', [bytes(2)], TypeError, 'passwords[0]: expected a string, got Uint8Array'],
    ['half a character', { bytes: bytes(4), offsets: offsets(1, 2, 4) }, RangeError, 'UTF-16LE, item 0 has 1 bytes'],
  ])('refuses %s', async (_, passwords, kind, text) => {
    const error = await refusal(() => hasher().ntHashBatch(passwords as string[]));
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toContain(text);
  });
});

describe('after close', () => {
  it('both reject', async () => {
    const { createHasher } = await import('#src/hasher/create-hasher.js');
    const hasher = createHasher({ backend: 'fallback' });
    await hasher.close();
    await expect(hasher.ntHashBatch(['x'])).rejects.toMatchObject({ code: 'hasher-closed' });
    await expect(hasher.pbkdf2Batch(job())).rejects.toMatchObject({ code: 'hasher-closed' });
  });
});
