/** Single PBKDF2-HMAC-SHA256 calls, gathered by iterations and key length. */

import { secretCopy } from '../crypto/secret-bytes.js';
import type { Engine } from './batches.js';
import { type Call, Gatherer, type Kind, nothing } from './gatherer.js';
import { blocksOf } from './pbkdf2-batch.js';
import type { Task } from './scheduler.js';
import { type Region, regionSize } from './shared-memory.js';
import type { Pbkdf2Slice } from './worker.js';

/** The arguments were checked; the bytes are our own copies. */
export interface Pbkdf2Single {
  /** Wiped as soon as it went into shared memory. */
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
  readonly iterations: number;
  /** At least 1. */
  readonly keylen: number;
  readonly signal: AbortSignal | undefined;
}

class Pbkdf2Call implements Call {
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
  readonly #resolve: (derivedKey: Uint8Array<ArrayBuffer>) => void;
  readonly #reject: (error: unknown) => void;
  forget = nothing;
  #over = false;

  constructor(
    { password, salt }: Pbkdf2Single,
    resolve: (derivedKey: Uint8Array<ArrayBuffer>) => void,
    reject: (error: unknown) => void,
  ) {
    this.password = password;
    this.salt = salt;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get bytes(): number {
    return this.password.length + this.salt.length;
  }

  wipe(): void {
    this.password.fill(0);
  }

  /** `derivedKey` lies in shared memory, which is wiped afterwards. No copy is made for a call that was given up. */
  done(derivedKey: Uint8Array): void {
    if (this.#over) return;
    this.#over = true;
    this.forget();
    this.#resolve(secretCopy(derivedKey));
  }

  failed(error: unknown): void {
    this.#over = true;
    this.forget();
    this.#reject(error);
  }
}

/** Appends byte strings of any lengths to an array. */
class Row {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  #items = 0;

  constructor(memory: Region, bytes: number, items: number) {
    this.bytes = memory.bytes(bytes);
    this.offsets = memory.words(items + 1);
  }

  push(item: Uint8Array): void {
    const at = this.offsets[this.#items]!;
    this.bytes.set(item, at);
    this.offsets[++this.#items] = at + item.length;
  }
}

class Pbkdf2Task implements Task {
  readonly calls: number;
  readonly size: number;
  readonly #engine: Engine;
  readonly #iterations: number;
  readonly #keylen: number;
  readonly #own: readonly Pbkdf2Call[];
  readonly #passwordBytes: number;
  readonly #saltBytes: number;
  #derivedKeys: Uint8Array = new Uint8Array(0);

  constructor(engine: Engine, iterations: number, keylen: number, calls: readonly Pbkdf2Call[]) {
    this.#engine = engine;
    this.#iterations = iterations;
    this.#keylen = keylen;
    this.#own = calls;
    this.calls = calls.length;
    this.#passwordBytes = calls.reduce((sum, { password }) => sum + password.length, 0);
    this.#saltBytes = calls.reduce((sum, { salt }) => sum + salt.length, 0);
    const words = 2 * (calls.length + 1);
    this.size = regionSize(this.#passwordBytes + this.#saltBytes + calls.length * keylen + words * 4, 5);
  }

  lay(memory: Region): Pbkdf2Slice {
    const n = this.calls;
    const passwords = new Row(memory, this.#passwordBytes, n);
    const salts = new Row(memory, this.#saltBytes, n);
    for (const call of this.#own) {
      passwords.push(call.password);
      salts.push(call.salt);
      call.wipe();
    }
    this.#derivedKeys = memory.bytes(n * this.#keylen);
    return {
      operation: 'pbkdf2',
      kernel: this.#engine.kernel,
      passwords: passwords.bytes,
      passwordOffsets: passwords.offsets,
      salts: salts.bytes,
      saltOffsets: salts.offsets,
      iterations: this.#iterations,
      keylen: this.#keylen,
      derivedKeys: this.#derivedKeys,
    };
  }

  done(): void {
    const keylen = this.#keylen;
    this.#own.forEach((call, i) => {
      call.done(this.#derivedKeys.subarray(i * keylen, (i + 1) * keylen));
    });
  }

  failed(error: unknown): void {
    for (const call of this.#own) {
      call.wipe();
      call.failed(error);
    }
  }
}

export class Pbkdf2Calls {
  readonly #engine: Engine;
  readonly #gatherer: Gatherer<Pbkdf2Call>;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#gatherer = new Gatherer(engine.scheduler);
  }

  /** The derived key, the caller's own, alone in its buffer. */
  derive(single: Pbkdf2Single): Promise<Uint8Array<ArrayBuffer>> {
    const { iterations, keylen, signal } = single;
    return new Promise((resolve, reject) => {
      const gatherer = this.#gatherer;
      gatherer.admit();
      const key = `${iterations} ${keylen}`;
      const group = gatherer.group(key) ?? gatherer.open(key, this.#kind(iterations, keylen));
      gatherer.add(group, new Pbkdf2Call(single, resolve, reject), signal);
    });
  }

  #kind(iterations: number, keylen: number): Kind<Pbkdf2Call> {
    const blocks = blocksOf(keylen);
    return {
      iterations: iterations * blocks,
      lanes: Math.ceil(this.#engine.lanes / blocks),
      task: (calls) => new Pbkdf2Task(this.#engine, iterations, keylen, calls),
    };
  }
}
