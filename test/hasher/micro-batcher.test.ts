/** Single calls: shared lanes, turns beside batches and each other, cancellation, the queue's limit. */

import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { createHasher } from '#src/hasher/create-hasher.js';
import { loadNative } from '#src/hasher/native.js';
import type { Hasher, HasherOptions } from '#src/hasher/types.js';
import { runnable } from './backends.js';
import { at, hex, orgId, seal } from './reference.js';

let hasher: Hasher;
afterEach(() => hasher.close());

function make(options: HasherOptions): Hasher {
  hasher = createHasher(options);
  return hasher;
}

const loaded = loadNative();
const lanes = 'native' in loaded ? (loaded.native.kernels.lanes.auto ?? 1) : 1;

/** Keeps one worker at work for some 0.2 s, whatever the kernel; nothing is handed out to stand behind it. */
const block = () => hasher.deriveBatch({ ntHashes: randomBytes(16), iterations: 999_999 });

async function idle(): Promise<void> {
  while (hasher.load.running > 0) await turn();
}

describe('single calls', () => {
  it('start at once where workers are idle', async () => {
    make({ threads: 2 });
    const call = hasher.derive(randomBytes(16));
    expect(hasher.load).toEqual({ waiting: 1, running: 0 });
    await turn();
    expect(hasher.load).toEqual({ waiting: 0, running: 1 });
    await call;
    expect(hasher.load).toEqual({ waiting: 0, running: 0 });
  });

  it.skipIf(lanes < 4)(
    'gather while the workers are busy, over turns of the event loop, and share a slice',
    async () => {
      make({ threads: 1 });
      const blocked = block();
      await turn();
      const calls = [];
      for (let i = 0; i < 3; i++) {
        calls.push(hasher.verify({ salt: randomBytes(10), iterations: 2, hash: randomBytes(32) }, 'x'));
        await turn();
      }
      // There is a place behind the running slice, but lanes are free too.
      expect(hasher.load).toEqual({ waiting: 3, running: 1 });
      await blocked;
      expect(hasher.load).toEqual({ waiting: 0, running: 1 });
      expect(await Promise.all(calls)).toEqual([false, false, false]);
    },
  );

  it('wait no longer than for full lanes', async () => {
    make({ threads: 1 });
    const blocked = hasher.deriveBatch({ ntHashes: randomBytes(16), iterations: 20_000 });
    const calls = Array.from({ length: lanes }, () => hasher.derive(randomBytes(16), { iterations: 1 }));
    expect(hasher.load).toEqual({ waiting: 0, running: 2 });
    await Promise.all([blocked, ...calls]);
  });

  it.each(runnable)('take passwords and NT hashes in one slice: $backend $kernel', async (options) => {
    make({ ...options, threads: 1 });
    const passwords = ['', 'x', 'Pa$$w0rd', 'ä€😀', '\ud800', 'long'.repeat(300)];
    const salts = passwords.map(() => randomBytes(10));
    const credentials = passwords.map((password, i) => {
      const hash = orgId(hasher.ntHash(password), salts[i]!, 3);
      return { salt: salts[i]!, iterations: 3, hash };
    });
    const answers = credentials.flatMap((credential, i) => [
      hasher.verify(credential, hasher.ntHash(passwords[i]!)),
      hasher.verify(credential, passwords[i]!),
      hasher.verify(credential, `${passwords[i]!} `),
    ]);
    expect(await Promise.all(answers)).toEqual(passwords.flatMap(() => [true, true, false]));
  });
});

describe('turns', () => {
  it('let a single call through while a long batch runs', async () => {
    make({ threads: 1 });
    const stop = new AbortController();
    let over = false;
    const batch = hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 1_000_000), signal: stop.signal });
    const ended = batch
      .catch((reason: unknown) => reason)
      .finally(() => {
        over = true;
      });
    for (let i = 0; i < 5; i++) {
      const ntHash = randomBytes(16);
      const { salt, hash } = await hasher.derive(ntHash, { iterations: 5 });
      expect(hex(hash)).toBe(hex(orgId(ntHash, salt, 5)));
    }
    expect(over).toBe(false);
    stop.abort('enough');
    expect(await ended).toBe('enough');
  });

  it('leave nothing behind a call that takes long: what others have is worked off beside it', async () => {
    make({ threads: 2 });
    const long = hasher.pbkdf2('password', 'salt', 2 ** 20, 32);
    while (hasher.load.running === 0) await turn();
    const batch = hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 5000), iterations: 50 });
    expect(hasher.load.running).toBe(2);
    await batch;
    expect(hex(await long)).toBe(hex(pbkdf2Sync('password', 'salt', 2 ** 20, 32, 'sha256')));
    // From now on there is one to come for each again.
    const next = hasher.deriveBatch({ ntHashes: new Uint8Array(16 * 5000), iterations: 50 });
    expect(hasher.load.running).toBe(4);
    await next;
  });

  it('do not let a crowd of one iteration count keep out a call of another', async () => {
    make({ threads: 1 });
    const done: number[] = [];
    const crowd = Array.from({ length: 3000 }, () =>
      hasher.derive(randomBytes(16), { iterations: 500 }).then(() => done.push(500)),
    );
    const rare = hasher.derive(randomBytes(16), { iterations: 501 }).then(() => done.push(501));
    await Promise.all([...crowd, rare]);
    expect(done.indexOf(501)).toBeLessThan(1500);
  });

  it('serve the calls of one iteration count in their order', async () => {
    make({ threads: 1 });
    const done: number[] = [];
    const calls = Array.from({ length: 300 }, (_, i) =>
      hasher.derive(randomBytes(16), { iterations: 2 }).then(() => done.push(i)),
    );
    await Promise.all(calls);
    expect(done).toEqual(calls.map((_, i) => i));
  });

  it('go around among batches', async () => {
    make({ threads: 1 });
    const done: string[] = [];
    const long = hasher
      .deriveBatch({ ntHashes: randomBytes(16 * 20_000), iterations: 100 })
      .then(() => done.push('long'));
    const short = hasher
      .deriveBatch({ ntHashes: randomBytes(16 * 10), iterations: 100 })
      .then(() => done.push('short'));
    await Promise.all([long, short]);
    expect(done).toEqual(['short', 'long']);
  });
});

describe('a signal', () => {
  const calls: [string, (signal: AbortSignal) => Promise<unknown>][] = [
    ['derive', (signal) => hasher.derive(randomBytes(16), { signal })],
    [
      'verify',
      (signal) => hasher.verify({ salt: randomBytes(10), iterations: 1000, hash: randomBytes(32) }, 'x', { signal }),
    ],
    ['deriveBatch', (signal) => hasher.deriveBatch({ ntHashes: randomBytes(16 * 100), signal })],
    [
      'openAndDeriveBatch',
      (signal) => {
        const sessionKeys = [randomBytes(16)];
        const envelopes = [seal(sessionKeys[0]!, 1000, randomBytes(16))];
        return hasher.openAndDeriveBatch({ sessionKeys, envelopes, rids: Uint32Array.of(1000), signal });
      },
    ],
  ];

  it.each(calls)('gives up %s before it starts, while it waits and at work', async (_, call) => {
    make({ threads: 1 });
    await expect(call(AbortSignal.abort('before'))).rejects.toBe('before');
    expect(hasher.load).toEqual({ waiting: 0, running: 0 });

    const blocked = block();
    const waiting = new AbortController();
    const refused = expect(call(waiting.signal)).rejects.toBe('while it waits');
    await turn();
    expect(hasher.load).toEqual({ waiting: 1, running: 1 });
    waiting.abort('while it waits');
    expect(hasher.load).toEqual({ waiting: 0, running: 1 });
    await refused;
    await blocked;

    const working = new AbortController();
    const cut = call(working.signal);
    while (hasher.load.running === 0) await turn();
    working.abort();
    await expect(cut).rejects.toBe(working.signal.reason);
    await idle();
    expect(hasher.load).toEqual({ waiting: 0, running: 0 });
  });

  it('is listened to once, and no longer than there are calls', async () => {
    make({ threads: 1 });
    const { signal } = new AbortController();
    const running = calls.map(([, call]) => call(signal));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await running[0];
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await Promise.all(running);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    await calls[0]![1](signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('gives up its own call and no other of the same slice', async () => {
    make({ threads: 1 });
    const stop = new AbortController();
    const ntHashes = Array.from({ length: 40 }, () => randomBytes(16));
    const made = ntHashes.map((ntHash, i) =>
      hasher.derive(ntHash, i % 3 === 0 ? { iterations: 50_000, signal: stop.signal } : { iterations: 50_000 }),
    );
    const settled = Promise.allSettled(made);
    while (hasher.load.running === 0) await turn();
    stop.abort('mine');
    (await settled).forEach((result, i) => {
      if (i % 3 === 0) expect(result).toEqual({ status: 'rejected', reason: 'mine' });
      else if (result.status === 'rejected') throw result.reason;
      else expect(hex(result.value.hash)).toBe(hex(orgId(ntHashes[i]!, result.value.salt, 50_000)));
    });
  });

  it('drops what waits of a batch, and the next batch is right', async () => {
    make({ threads: 2 });
    const stop = new AbortController();
    const cut = hasher.deriveBatch({ ntHashes: randomBytes(16 * 500_000), signal: stop.signal });
    const ntHashes = randomBytes(16 * 1000);
    const next = hasher.deriveBatch({ ntHashes, iterations: 2 });
    stop.abort(new Error('no more'));
    await expect(cut).rejects.toThrow('no more');
    const { digests, salts } = await next;
    for (const i of [0, 1, 500, 999]) {
      expect(hex(at(digests, i, 32))).toBe(hex(orgId(at(ntHashes, i, 16), at(salts, i, 10), 2)));
    }
    await idle();
    expect(hasher.load).toEqual({ waiting: 0, running: 0 });
  });

  it.each(calls)('of another kind is refused: %s', async (_, call) => {
    make({ threads: 1 });
    await expect(call({} as AbortSignal)).rejects.toThrow(/signal: expected an AbortSignal, got Object$/);
    await expect(call(null as unknown as AbortSignal)).rejects.toThrow(/signal: expected an AbortSignal, got null$/);
  });
});

describe('the queue', () => {
  it('refuses one call too many, naming limit and length, and takes calls again', async () => {
    make({ threads: 1, maxQueue: 3 });
    const blocked = block();
    const waiting = [
      hasher.derive(randomBytes(16), { iterations: 1 }),
      hasher.derive(randomBytes(16), { iterations: 2 }),
      hasher.deriveBatch({ ntHashes: randomBytes(16 * 500), iterations: 1 }),
    ];
    expect(hasher.load.waiting).toBe(3);
    const busy = {
      name: 'PhsyncError',
      code: 'hasher-busy',
      message: 'the hasher is busy: 3 calls wait already, and its queue takes 3 (maxQueue)',
      facts: { maxQueue: 3, waiting: 3 },
    };
    await expect(hasher.derive(randomBytes(16))).rejects.toMatchObject(busy);
    await expect(hasher.deriveBatch({ ntHashes: randomBytes(16) })).rejects.toMatchObject(busy);
    await expect(
      hasher.pbkdf2Batch({ passwords: ['x'], salts: ['y'], iterations: 1, keylen: 1 }),
    ).rejects.toMatchObject(busy);
    // Nothing to do is never too much.
    expect((await hasher.deriveBatch({ ntHashes: new Uint8Array(0) })).digests).toHaveLength(0);
    await Promise.all([blocked, ...waiting]);
    expect(hasher.load).toEqual({ waiting: 0, running: 0 });
    expect(await hasher.verify({ salt: randomBytes(10), iterations: 1, hash: randomBytes(32) }, 'x')).toBe(false);
  });

  it('is counted right over closing', async () => {
    make({ threads: 1 });
    const settled = Promise.allSettled([block(), block(), block(), hasher.derive(randomBytes(16))]);
    await turn();
    expect(hasher.load).toEqual({ waiting: 3, running: 1 });
    await hasher.close();
    expect(hasher.load).toEqual({ waiting: 0, running: 0 });
    expect((await settled).map((one) => one.status === 'rejected' && one.reason.code)).toEqual(
      Array(4).fill('hasher-closed'),
    );
  });
});
