/** Gathers single calls, so that those made at about the same time share the kernel's lanes. */

import { timingSafeEqual } from 'node:crypto';
import { secretCopy } from '../crypto/secret-bytes.js';
import { onAbort } from './abort.js';
import type { Engine } from './batches.js';
import { utf16 } from './flat-items.js';
import type { Source, Task } from './scheduler.js';
import { type Region, regionSize } from './shared-memory.js';
import { longestSlice, toLanes } from './slices.js';
import { DIGEST_SIZE, NT_HASH_SIZE, SALT_SIZE } from './types.js';
import type { DeriveSlice } from './worker.js';

/** Calls with longer passwords than these bytes together make slices of their own. */
const MAX_PASSWORD_BYTES = 1 << 20;

interface Call {
  /** A password, or our copy of an NT hash, wiped as soon as it went into shared memory. */
  readonly secret: string | Uint8Array;
  readonly salt: Uint8Array;
  /** Gets the digest in shared memory, which is wiped afterwards. */
  readonly done: (digest: Uint8Array) => void;
  readonly failed: (error: unknown) => void;
}

function wipe({ secret }: Call): void {
  if (typeof secret !== 'string') secret.fill(0);
}

/** The calls of one slice. */
class CallTask implements Task {
  readonly calls: number;
  readonly size: number;
  readonly #engine: Engine;
  readonly #iterations: number;
  /** Passwords first, then NT hashes. */
  readonly #ordered: readonly Call[];
  readonly #passwords: number;
  readonly #passwordBytes: number;
  #digests: Uint8Array = new Uint8Array(0);

  constructor(engine: Engine, iterations: number, calls: readonly Call[]) {
    this.#engine = engine;
    this.#iterations = iterations;
    this.calls = calls.length;
    const passwords = calls.filter(({ secret }) => typeof secret === 'string');
    this.#passwords = passwords.length;
    this.#ordered =
      passwords.length === calls.length
        ? calls
        : [...passwords, ...calls.filter(({ secret }) => typeof secret !== 'string')];
    this.#passwordBytes = passwords.reduce((sum, { secret }) => sum + utf16.size(secret as string), 0);
    const words = passwords.length + 1;
    this.size = regionSize(
      calls.length * (NT_HASH_SIZE + SALT_SIZE + DIGEST_SIZE) + words * 4 + this.#passwordBytes,
      5,
    );
  }

  lay(memory: Region): DeriveSlice {
    const n = this.calls;
    const ntHashes = memory.bytes(n * NT_HASH_SIZE);
    const salts = memory.bytes(n * SALT_SIZE);
    const digests = memory.bytes(n * DIGEST_SIZE);
    const offsets = memory.words(this.#passwords + 1);
    const bytes = memory.bytes(this.#passwordBytes);
    let at = 0;
    this.#ordered.forEach((call, i) => {
      const { secret, salt } = call;
      salts.set(salt, i * SALT_SIZE);
      if (typeof secret === 'string') {
        utf16.write(secret, bytes, at);
        at += utf16.size(secret);
        offsets[i + 1] = at;
      } else {
        ntHashes.set(secret, i * NT_HASH_SIZE);
        wipe(call);
      }
    });
    this.#digests = digests;
    return {
      operation: 'derive',
      kernel: this.#engine.kernel,
      passwords: this.#passwords > 0 ? { bytes, offsets } : undefined,
      ntHashes,
      salts,
      iterations: this.#iterations,
      digests,
    };
  }

  done(): void {
    const digests = this.#digests;
    this.#ordered.forEach(({ done }, i) => {
      done(digests.subarray(i * DIGEST_SIZE, (i + 1) * DIGEST_SIZE));
    });
  }

  failed(error: unknown): void {
    for (const call of this.#ordered) {
      wipe(call);
      call.failed(error);
    }
  }
}

/** The waiting calls of one iteration count: a slice has one. */
class Group implements Source {
  readonly #engine: Engine;
  readonly #iterations: number;
  readonly #emptied: () => void;
  readonly #calls = new Set<Call>();

  constructor(engine: Engine, iterations: number, emptied: () => void) {
    this.#engine = engine;
    this.#iterations = iterations;
    this.#emptied = emptied;
  }

  get waiting(): boolean {
    return this.#calls.size > 0;
  }

  get full(): boolean {
    return this.#calls.size >= this.#engine.lanes;
  }

  add(call: Call): void {
    this.#calls.add(call);
  }

  /** False where the call waits no longer. */
  remove(call: Call): boolean {
    if (!this.#calls.delete(call)) return false;
    wipe(call);
    if (!this.waiting) this.#emptied();
    return true;
  }

  next(places: number): Task {
    const { lanes } = this.#engine;
    const most = Math.min(toLanes(this.#calls.size / places, lanes), longestSlice(this.#iterations, lanes));
    const calls: Call[] = [];
    let passwordBytes = 0;
    for (const call of this.#calls) {
      if (typeof call.secret === 'string') passwordBytes += utf16.size(call.secret);
      if (calls.length > 0 && passwordBytes > MAX_PASSWORD_BYTES) break;
      this.#calls.delete(call);
      if (calls.push(call) === most) break;
    }
    if (!this.waiting) this.#emptied();
    return new CallTask(this.#engine, this.#iterations, calls);
  }

  cut(error: unknown): void {
    const calls = [...this.#calls];
    this.#calls.clear();
    this.#emptied();
    for (const call of calls) {
      wipe(call);
      call.failed(error);
    }
  }
}

/** A single call's job. The arguments were checked. */
export interface Single {
  /** A password, or an NT hash, which is copied and stays the caller's. */
  readonly secret: string | Uint8Array;
  /** Not changed by anyone from now on. */
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly signal: AbortSignal | undefined;
}

export class MicroBatcher {
  readonly #engine: Engine;
  /** By iterations. */
  readonly #groups = new Map<number, Group>();
  #pumpDue = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The digest, 32 bytes. */
  derive(single: Single): Promise<Uint8Array> {
    return this.#run(single, (digest) => new Uint8Array(digest));
  }

  /** Whether the digest is `expected` (32 bytes, not changed by anyone from now on), in constant time. */
  verify(single: Single, expected: Uint8Array): Promise<boolean> {
    return this.#run(single, (digest) => timingSafeEqual(digest, expected));
  }

  #run<T>({ secret, salt, iterations, signal }: Single, result: (digest: Uint8Array) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const { scheduler } = this.#engine;
      scheduler.admit();
      const group = this.#group(iterations);
      const call: Call = {
        secret: typeof secret === 'string' ? secret : secretCopy(secret),
        salt,
        done(digest) {
          forget();
          resolve(result(digest));
        },
        failed(error) {
          forget();
          reject(error);
        },
      };
      const forget = onAbort(signal, (reason) => {
        if (group.remove(call)) scheduler.giveUp(group);
        call.failed(reason);
      });
      group.add(call);
      scheduler.enter(group);
      if (group.full) scheduler.pump();
      else this.#pumpSoon();
    });
  }

  #group(iterations: number): Group {
    let group = this.#groups.get(iterations);
    if (group === undefined) {
      group = new Group(this.#engine, iterations, () => this.#groups.delete(iterations));
      this.#groups.set(iterations, group);
    }
    return group;
  }

  /** After the I/O callbacks of this turn of the event loop: requests that arrived together are hashed together. */
  #pumpSoon(): void {
    if (this.#pumpDue) return;
    this.#pumpDue = true;
    setImmediate(() => {
      this.#pumpDue = false;
      this.#engine.scheduler.pump();
    });
  }
}
