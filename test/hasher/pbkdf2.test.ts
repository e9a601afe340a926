/** The drop-in beside node:crypto of the Node that runs this: the same results, the same errors, thrown at the same time. */

import { AsyncLocalStorage } from 'node:async_hooks';
import { execFile } from 'node:child_process';
import * as crypto from 'node:crypto';
import { promisify } from 'node:util';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pbkdf2, pbkdf2Batch, pbkdf2Sync } from '#src/index.js';
import { hex } from './reference.js';

type Any = (...args: unknown[]) => unknown;

/** What there is to an error. */
function described(error: unknown): unknown {
  const { name, code, message, constructor: kind } = error as Error & { code?: unknown };
  return { name, code, message, class: kind.name };
}

function describedKey(key: unknown): unknown {
  if (!Buffer.isBuffer(key)) return { no: 'Buffer' };
  return {
    key: key.toString('hex'),
    offset: key.byteOffset,
    memory: key.buffer.byteLength,
    of: key.buffer.constructor.name,
  };
}

function sync(run: Any, args: readonly unknown[]): unknown {
  try {
    return describedKey(run(...args));
  } catch (error) {
    return { thrown: described(error) };
  }
}

function withCallback(run: Any, args: readonly unknown[]): Promise<unknown> {
  return new Promise((resolve) => {
    const callback = (...result: unknown[]): void =>
      resolve({ arguments: result.length, error: result[0] && described(result[0]), key: describedKey(result[1]) });
    try {
      const returned = run(...args, callback);
      if (returned !== undefined) resolve({ returned });
    } catch (error) {
      resolve({ thrown: described(error) });
    }
  });
}

async function awaited(run: Any, args: readonly unknown[]): Promise<unknown> {
  return Promise.resolve(run(...args)).then(describedKey, (error: unknown) => ({ rejected: described(error) }));
}

const nodePromise = promisify(crypto.pbkdf2) as Any;

/** All three forms, each beside node:crypto's. */
async function expectSame(args: readonly unknown[]): Promise<void> {
  expect(sync(pbkdf2Sync as Any, args), 'pbkdf2Sync').toEqual(sync(crypto.pbkdf2Sync as Any, args));
  expect(await withCallback(pbkdf2 as Any, args), 'callback').toEqual(await withCallback(crypto.pbkdf2 as Any, args));
  // A function in the digest's place is a callback.
  if (typeof args[4] === 'function') return;
  expect(await awaited(pbkdf2 as Any, args), 'promise').toEqual(await awaited(nodePromise, args));
}

const bytes = Buffer.from('pässword 🔑');
const view = <T>(make: new (buffer: ArrayBuffer, offset: number, length: number) => T, size: number): T =>
  new make(Uint8Array.from({ length: 40 }, (_, i) => i * 7).buffer, 8, size);
function shared(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(12);
  new Uint8Array(buffer).set(bytes.subarray(0, 12));
  return buffer;
}
function transferred(): ArrayBuffer {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}
function transferredUnderView(): Uint8Array {
  const array = new Uint8Array(8);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

const goodBytes: Record<string, unknown> = {
  'a string': 'pässword 🔑',
  'an empty string': '',
  'a lone surrogate': 'a\ud800b',
  'a NUL in a string': 'a\0b',
  'a long string': 'é'.repeat(500),
  'a Buffer': bytes,
  'no bytes': Buffer.alloc(0),
  '64 bytes': Buffer.alloc(64, 1),
  '65 bytes': Buffer.alloc(65, 1),
  'a Uint8Array at an offset': view(Uint8Array, 5),
  'a Uint16Array': view(Uint16Array, 5),
  'a Float64Array': view(Float64Array, 2),
  'a BigInt64Array': view(BigInt64Array, 2),
  'a DataView': view(DataView, 9),
  'an ArrayBuffer': view(Uint8Array, 5).buffer,
  'a SharedArrayBuffer': shared(),
  'a view of shared memory': new Uint8Array(shared(), 3, 5),
  'a transferred ArrayBuffer': transferred(),
  'a view of a transferred one': transferredUnderView(),
  'an array of another realm': runInNewContext('new Uint8Array([1, 2, 3])'),
  'an array with properties over its accessors': Object.defineProperty(new Uint8Array([1, 2, 3, 4]), 'byteLength', {
    value: 2,
  }),
  'an array without a prototype': Object.setPrototypeOf(new Uint8Array([1, 2, 3]), null),
  'a DataView without a prototype': Object.setPrototypeOf(new DataView(new ArrayBuffer(3)), null),
  'a megabyte and more': Buffer.alloc((1 << 20) + 1, 3),
};

const badBytes: Record<string, unknown> = {
  undefined: undefined,
  null: null,
  'a number': 1,
  'a bigint': 1n,
  'a boolean': true,
  'a symbol': Symbol('s'),
  'a function': function named() {},
  'an object': {},
  'an array': [1, 2],
  'an object without a prototype': Object.create(null),
  'a KeyObject': crypto.createSecretKey(bytes),
  'what looks like a Uint8Array': { length: 2, byteLength: 2, byteOffset: 0, buffer: new ArrayBuffer(2) },
  'a String object': new String('password'),
};

const badNumbers: Record<string, unknown> = {
  undefined: undefined,
  null: null,
  'a string': '1',
  'a bigint': 1n,
  'an object': { valueOf: () => 1 },
  'a fraction': 1.5,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-1': -1,
  '2 ** 31': 2 ** 31,
  '-(2 ** 40)': -(2 ** 40),
  '2 ** 53': 2 ** 53,
};

const badDigests: Record<string, unknown> = {
  undefined: undefined,
  null: null,
  'a number': 256,
  'an object': { toString: () => 'sha256' },
  'a function': () => {},
  'no name': '',
  'an unknown name': 'sha-257',
  'a name with a blank': 'sha256 ',
  'a long unknown name': 'x'.repeat(300),
};

const badOf = [badBytes, badBytes, { ...badNumbers, 0: 0, '-0': -0 }, badNumbers, badDigests] as const;
const good = ['password', 'salt', 2, 20, 'sha256'] as const;
const at = (index: number, value: unknown): unknown[] => good.map((one, i) => (i === index ? value : one));

describe('as node:crypto', () => {
  it.each(Object.entries(goodBytes))('takes %s as password and as salt', async (_, value) => {
    await expectSame(at(0, value));
    await expectSame(at(1, value));
  });

  it.each([0, 1, 31, 32, 33, 64, 1000, 20_000])('makes keys of %i bytes', async (keylen) => {
    await expectSame(at(3, keylen));
  });

  // An empty key on Node 20, an error on Node 24.
  it('takes -0 bytes, over which node:crypto ends the process, for 0', async () => {
    expect(sync(pbkdf2Sync as Any, at(3, -0))).toEqual(sync(crypto.pbkdf2Sync as Any, at(3, 0)));
    expect(await awaited(pbkdf2 as Any, at(3, -0))).toEqual(await awaited(pbkdf2 as Any, at(3, 0)));
  });

  it.each([1, 2, 3, 999, 1000, 4096])('runs %i iterations', async (iterations) => {
    await expectSame(at(2, iterations));
  });

  // The names of SHA-256, and what is none.
  const digests = ['sha256', 'SHA256', 'Sha256', 'sha-256', 'SHA-256', 'SHA2-256', 'RSA-SHA256', 'sha256\0'];
  it.each([...digests, 'sha1', 'sha384', 'sha512', 'sha3-256', 'md5'])('knows the digest %j', async (digest) => {
    await expectSame(at(4, digest));
  });

  it.each(
    badOf.flatMap((bad, index) =>
      Object.entries(bad).map(([name, value]) => [name, good.length, index, value] as const),
    ),
  )('refuses %s as argument of %i at %i', async (_, __, index, value) => {
    await expectSame(at(index, value));
  });

  it('refuses in the same order where several arguments are wrong', async () => {
    for (let i = 0; i < badOf.length; i++) {
      for (let k = i + 1; k < badOf.length; k++) {
        for (const one of Object.values(badOf[i]!)) {
          for (const other of Object.values(badOf[k]!)) {
            const args = at(i, one).map((value, index) => (index === k ? other : value));
            expect(sync(pbkdf2Sync as Any, args)).toEqual(sync(crypto.pbkdf2Sync as Any, args));
          }
        }
      }
    }
  });

  it.each([null, 0, 1, '', 'callback', {}, [], true, Symbol('s')])('refuses %o as callback', (callback) => {
    const ends = (run: Any, args: readonly unknown[]): unknown => sync(run, [...args, callback]);
    expect(ends(pbkdf2 as Any, good)).toEqual(ends(crypto.pbkdf2 as Any, good));
    expect(ends(pbkdf2 as Any, good)).toMatchObject({ thrown: { code: 'ERR_INVALID_ARG_TYPE' } });
    // What is wrong besides comes first, or not, as there.
    for (const args of [at(2, 0), at(4, 'x'), at(0, 1)]) {
      expect(ends(pbkdf2 as Any, args)).toEqual(ends(crypto.pbkdf2 as Any, args));
    }
  });

  it('takes a function in the place of the digest for the callback', () => {
    expect(
      sync(
        pbkdf2 as Any,
        at(4, () => {}),
      ),
    ).toEqual(
      sync(
        crypto.pbkdf2 as Any,
        at(4, () => {}),
      ),
    );
    expect(
      sync(
        pbkdf2 as Any,
        at(4, () => {}),
      ),
    ).toMatchObject({ thrown: { code: 'ERR_INVALID_ARG_TYPE' } });
  });

  it('has its name and number of parameters, and can be promisified', async () => {
    expect([pbkdf2.name, pbkdf2.length]).toEqual([crypto.pbkdf2.name, crypto.pbkdf2.length]);
    expect([pbkdf2Sync.name, pbkdf2Sync.length]).toEqual([crypto.pbkdf2Sync.name, crypto.pbkdf2Sync.length]);
    expect(hex(await promisify(pbkdf2)(...good))).toBe(hex(crypto.pbkdf2Sync(...good)));
  });

  it('on random arguments', async () => {
    const item = fc.oneof(fc.string({ unit: 'binary', maxLength: 90 }), fc.uint8Array({ maxLength: 150 }));
    const property = fc.asyncProperty(
      item,
      item,
      fc.integer({ min: 1, max: 9 }),
      fc.nat(200),
      async (p, s, c, keylen) => {
        await expectSame([p, s, c, keylen, 'sha256']);
      },
    );
    await fc.assert(property, { numRuns: 100 });
  });
});

describe('many calls at once', () => {
  it('each get their own key, whatever they are gathered with', async () => {
    const jobs = Array.from({ length: 300 }, (_, i) => ({
      password: crypto.randomBytes(i % 90),
      salt: `salt ${i}`,
      iterations: 1 + (i % 3),
      keylen: [1, 32, 33, 100][i % 4]!,
      digest: i % 50 === 0 ? 'sha512' : 'sha256',
    }));
    const wanted = jobs.map((j) => hex(crypto.pbkdf2Sync(j.password, j.salt, j.iterations, j.keylen, j.digest)));
    const keys = jobs.map((j) => {
      const key = pbkdf2(j.password, j.salt, j.iterations, j.keylen, j.digest);
      // The bytes were read before it returned.
      j.password.fill(0);
      return key;
    });
    expect((await Promise.all(keys)).map(hex)).toEqual(wanted);
  });

  it('in a batch', async () => {
    const keys = await pbkdf2Batch({
      passwords: ['password', 'passwd'],
      salts: ['salt', 'NaCl'],
      iterations: 2,
      keylen: 4,
    });
    expect(hex(keys)).toBe('ae4d0c95c820f011');
  });
});

describe('the callback', () => {
  it('comes after the call, in the context of the call', async () => {
    const storage = new AsyncLocalStorage<number>();
    let returned = false;
    const seen = await Promise.all(
      Array.from({ length: 40 }, (_, i) => {
        const one = new Promise((resolve, reject) => {
          storage.run(i, () =>
            pbkdf2('password', 'salt', 2, 32, 'sha256', (error) =>
              error ? reject(error) : resolve([returned, storage.getStore()]),
            ),
          );
        });
        returned = i === 39;
        return one;
      }),
    );
    expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => [true, i]));
  });

  const index = JSON.stringify(new URL('../../dist/index.js', import.meta.url).href);
  const run = async (source: string) =>
    promisify(execFile)(process.execPath, ['--input-type=module', '-e', source], { timeout: 100_000 });
  /** The same program on node:crypto and on phsync. */
  const both = async (source: string) => {
    const [theirs, ours] = await Promise.all(
      ["'node:crypto'", index].map((from) => run(`import { pbkdf2 } from ${from};\n${source}`)),
    );
    return [ours!.stdout, theirs!.stdout];
  };

  it('ends in an uncaught exception where it throws, and the others come nevertheless', async () => {
    const [ours, theirs] = await both(`
      const seen = [];
      process.on('uncaughtException', (error, origin) => seen.push(origin + ' ' + error.message));
      process.on('unhandledRejection', () => seen.push('unhandledRejection'));
      process.on('exit', () => console.log(JSON.stringify(seen.sort())));
      for (let i = 0; i < 3; i++) {
        pbkdf2('password', 'salt', 2, 32, 'sha256', (error, key) => {
          if (i === 1) throw new Error('thrown');
          seen.push(i + ' ' + key.toString('hex'));
        });
      }`);
    expect(ours).toBe(theirs);
    expect(JSON.parse(ours!)).toHaveLength(3);
    expect(ours).toContain('uncaughtException thrown');
  });

  it('keeps the process alive until it came, and no longer', async () => {
    const [ours, theirs] = await both(`
      const started = process.hrtime.bigint();
      pbkdf2('password', 'salt', 200000, 64, 'sha256', (error, key) => console.log(key.toString('hex')));`);
    expect(ours).toBe(theirs);
    expect(ours).toBe(`${hex(crypto.pbkdf2Sync('password', 'salt', 200000, 64, 'sha256'))}\n`);
  });
});
