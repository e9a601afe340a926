/** No NT hash and no session key stays behind: not in shared memory, nowhere in the process. */

import { type ChildProcess, spawn } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHasher } from '#src/hasher/create-hasher.js';
import { ntHash } from '#src/hasher/nt-hash.js';
import type { HasherOptions } from '#src/hasher/types.js';
import { runnable } from './backends.js';
import { countInMemory } from './memory-image.js';
import { hex, seal } from './reference.js';

describe('shared memory', () => {
  const Original = globalThis.SharedArrayBuffer;
  let made: SharedArrayBuffer[] = [];

  beforeEach(() => {
    made = [];
    globalThis.SharedArrayBuffer = class extends Original {
      constructor(length: number) {
        super(length);
        made.push(this);
      }
    } as SharedArrayBufferConstructor;
  });
  afterEach(() => {
    globalThis.SharedArrayBuffer = Original;
  });

  const holds = (secret: Buffer): boolean => made.some((memory) => Buffer.from(memory).indexOf(secret) >= 0);

  it.each(runnable)('is wiped when a batch is done, and when it is cut off: $backend $kernel', async (options) => {
    const hasher = createHasher({ ...options, threads: 2 });
    const secret = randomBytes(16);
    const sessionKey = randomBytes(16);
    const envelope = seal(sessionKey, 1000, secret);
    const batch = { sessionKeys: [sessionKey], envelopes: envelope, rids: Uint32Array.of(1000), iterations: 1 };

    const running = hasher.openAndDeriveBatch(batch);
    expect([holds(sessionKey), holds(envelope)]).toEqual([true, true]);
    await running;
    await hasher.deriveBatch({ ntHashes: secret, iterations: 1 });
    await hasher.derive(secret, { iterations: 1 });
    expect([holds(sessionKey), holds(envelope), holds(secret)]).toEqual([false, false, false]);

    const cut = hasher.deriveBatch({ ntHashes: Buffer.concat(Array(200_000).fill(secret)) });
    expect(holds(secret)).toBe(true);
    const refused = expect(cut).rejects.toMatchObject({ code: 'hasher-closed' });
    await hasher.close();
    await refused;
    expect(holds(secret)).toBe(false);
  });

  it.each(runnable)(
    'is wiped when the workers are done with calls that were given up: $backend $kernel',
    async (options) => {
      const hasher = createHasher({ ...options, threads: 1 });
      const secret = randomBytes(16);
      const password = `${hex(randomBytes(8))}ä`;
      const utf16 = Buffer.from(password, 'utf16le');
      const stop = new AbortController();
      const { signal } = stop;
      const credential = { salt: new Uint8Array(10), iterations: 20_000, hash: new Uint8Array(32) };
      const settled = Promise.allSettled([
        hasher.derive(secret, { iterations: 20_000, signal }),
        hasher.verify(credential, password, { signal }),
        hasher.deriveBatch({ ntHashes: Buffer.concat(Array(5000).fill(secret)), signal }),
      ]);
      while (hasher.load.running < 2) await new Promise((resolve) => setImmediate(resolve));
      // The search works: they are at a worker.
      expect([holds(secret), holds(utf16)]).toEqual([true, true]);
      stop.abort('enough');
      expect((await settled).map((one) => one.status === 'rejected' && one.reason)).toEqual(Array(3).fill('enough'));
      while (hasher.load.running > 0) await new Promise((resolve) => setImmediate(resolve));
      expect([secret, utf16, Buffer.from(ntHash(password))].map(holds)).toEqual([false, false, false]);
      await hasher.close();
    },
  );
});

/** Every form in which an NT hash might lie about. */
function forms(ntHash: Uint8Array): Buffer[] {
  const text = hex(ntHash);
  const upper = text.toUpperCase();
  return [Buffer.from(ntHash), Buffer.from(text), Buffer.from(upper), Buffer.from(upper, 'utf16le')];
}

describe.skipIf(process.platform !== 'linux')('the memory image of a process (Linux)', () => {
  const entry = new URL('../../dist/index.js', import.meta.url).href;
  let child: ChildProcess;

  /** Runs `work`, a function body of `hasher` and `message`, in a process of its own, and leaves that running. */
  async function runAside(options: HasherOptions, work: string, message: object): Promise<unknown> {
    const source = `
      import { createHasher } from '${entry}';
      const hasher = createHasher(${JSON.stringify({ ...options, threads: 2 })});
      process.on('message', async (message) => {
        globalThis.canary = Buffer.from(message.canary, 'hex').fill(7, 0, 1);
        process.send(await (async () => {${work}})());
      });`;
    child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    child.send({ ...message, canary: hex(canary) });
    const [answer] = await once(child, 'message');
    return answer;
  }

  const canary = randomBytes(32).fill(7, 0, 1);

  function countSecrets(ntHashes: readonly Uint8Array[]): number {
    const [seen, ...found] = countInMemory(child.pid!, [canary, ...ntHashes.flatMap(forms)]);
    // What is surely there is found: the search works.
    expect(seen).toBeGreaterThan(0);
    return found.reduce((sum, count) => sum + count, 0);
  }

  afterEach(async () => {
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  });

  it.each(runnable)('has no NT hash after its envelopes were opened: $backend $kernel', async (options) => {
    const n = 300;
    const secrets = Array.from({ length: n }, () => randomBytes(16));
    const sessionKey = randomBytes(16);
    const answer = await runAside(
      options,
      `const envelopes = Buffer.from(message.envelopes, 'hex');
       const rids = Uint32Array.from({ length: envelopes.length / 36 }, (_, i) => 1000 + i);
       const sessionKeys = [Buffer.from(message.sessionKey, 'hex')];
       const stop = new AbortController();
       const cut = hasher.openAndDeriveBatch({ sessionKeys, envelopes, rids, iterations: 200, signal: stop.signal });
       setTimeout(() => stop.abort('enough'), 5);
       await cut.catch((reason) => reason);
       const { status } = await hasher.openAndDeriveBatch({ sessionKeys, envelopes, rids, iterations: 2 });
       return [...status];`,
      {
        sessionKey: hex(sessionKey),
        envelopes: hex(Buffer.concat(secrets.map((secret, i) => seal(sessionKey, 1000 + i, secret)))),
      },
    );
    expect(answer).toEqual(Array(n).fill(0));
    expect(countSecrets([...secrets.slice(0, 20), ...secrets.slice(-10)])).toBe(0);
  });

  it.each(runnable)('has no NT hash after passwords were verified: $backend $kernel', async (options) => {
    const passwords = Array.from({ length: 40 }, () => randomBytes(12).toString('hex'));
    const answer = await runAside(
      options,
      `const credential = { salt: new Uint8Array(10), iterations: 1, hash: new Uint8Array(32) };
       return Promise.all(message.passwords.map((password) => hasher.verify(credential, password)));`,
      { passwords },
    );
    expect(answer).toEqual(Array(40).fill(false));
    expect(countSecrets(passwords.map(ntHash))).toBe(0);
  });

  it.each(runnable)('has no password that its caller wiped after PBKDF2: $backend $kernel', async (options) => {
    const mask = 0x5a;
    const passwords = Array.from({ length: 60 }, () => randomBytes(40));
    const masked = passwords.map((password) => hex(password.map((byte) => byte ^ mask)));
    const answer = await runAside(
      options,
      `const passwords = message.masked.map((text) => {
         const password = new Uint8Array(new ArrayBuffer(text.length / 2));
         for (let i = 0; i < password.length; i++) {
           password[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16) ^ ${mask};
         }
         return password;
       });
       const keys = [
         hasher.pbkdf2Batch({ passwords, salts: passwords.map(() => 'salt'), iterations: 2, keylen: 40 }),
         ...passwords.map((password) => hasher.pbkdf2(password, 'salt', 2, 40)),
       ];
       for (const password of passwords) password.fill(0);
       const [batch, ...single] = await Promise.all(keys);
       return Buffer.concat(single).equals(batch);`,
      { masked },
    );
    expect(answer).toBe(true);
    // As it is, and as HMAC begins its two blocks.
    const forms = [0, 0x36, 0x5c].flatMap((pad) => passwords.map((password) => password.map((byte) => byte ^ pad)));
    const [seen, ...found] = countInMemory(child.pid!, [canary, ...forms]);
    expect(seen).toBeGreaterThan(0);
    expect(found.reduce((sum, count) => sum + count, 0)).toBe(0);
  });

  it.each(runnable)('has no NT hash of batches that close cut off at work: $backend $kernel', async (options) => {
    const secret = randomBytes(16);
    const mask = 0x5a;
    const answer = await runAside(
      options,
      `const masked = Buffer.from(message.masked, 'hex');
       const codes = [];
       for (let i = 0; i < 8; i++) {
         const ntHashes = new Uint8Array(new ArrayBuffer(16 * 5000));
         for (let k = 0; k < ntHashes.length; k++) ntHashes[k] = masked[k % 16] ^ ${mask};
         const other = createHasher(message.options);
         const cut = other.deriveBatch({ ntHashes, iterations: 20_000 });
         ntHashes.fill(0);
         setTimeout(() => other.close(), 100);
         codes.push(await cut.catch(({ code }) => code));
         await other.close();
       }
       return codes;`,
      { masked: hex(secret.map((byte) => byte ^ mask)), options: { ...options, threads: 2 } },
    );
    expect(answer).toEqual(Array(8).fill('hasher-closed'));
    const password = Buffer.from(hex(secret).toUpperCase(), 'utf16le');
    // Memory that is given back loses its first bytes to the allocator.
    const [seen, ...found] = countInMemory(child.pid!, [canary, secret, password.subarray(16, 48)]);
    expect(seen).toBeGreaterThan(0);
    expect(found).toEqual([0, 0]);
  });

  it.each(runnable)('has no key of PBKDF2 calls that were given up at work: $backend $kernel', async (options) => {
    const password = hex(randomBytes(16));
    const iterations = 5000;
    const answer = await runAside(
      { ...options },
      `const stop = new AbortController();
       const { signal } = stop;
       const calls = [
         hasher.pbkdf2(message.password, 'salt', ${iterations}, 4096, { signal }),
         hasher.pbkdf2Batch({ passwords: [message.password], salts: ['pepper'], iterations: ${iterations}, keylen: 4096, signal }),
       ];
       const ended = Promise.allSettled(calls);
       while (hasher.load.running < 2) await new Promise((resolve) => setImmediate(resolve));
       stop.abort('enough');
       const reasons = (await ended).map(({ reason }) => reason);
       while (hasher.load.running > 0) await new Promise((resolve) => setImmediate(resolve));
       return reasons;`,
      { password },
    );
    expect(answer).toEqual(['enough', 'enough']);
    const keys = ['salt', 'pepper'].map((salt) => pbkdf2Sync(password, salt, iterations, 4096, 'sha256'));
    const [seen, ...found] = countInMemory(child.pid!, [canary, ...keys.map((key) => key.subarray(2048, 2080))]);
    expect(seen).toBeGreaterThan(0);
    expect(found).toEqual([0, 0]);
  });

  it.each(runnable)('has no NT hash of a batch that its caller wiped: $backend $kernel', async (options) => {
    const passwords = Array.from({ length: 60 }, () => randomBytes(12).toString('hex'));
    const answer = await runAside(
      options,
      `const hashes = await hasher.ntHashBatch(message.passwords);
       const sum = hashes.reduce((total, byte) => total + byte, 0);
       hashes.fill(0);
       return sum;`,
      { passwords },
    );
    const hashes = passwords.map(ntHash);
    expect(answer).toBe(Buffer.concat(hashes).reduce((total, byte) => total + byte, 0));
    expect(countSecrets(hashes)).toBe(0);
  });
});
