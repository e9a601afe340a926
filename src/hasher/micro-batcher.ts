/** Single OrgId derivations, gathered by iterations. */

import { timingSafeEqual } from 'node:crypto';
import { secretCopy } from '../crypto/secret-bytes.js';
import type { Engine } from './batches.js';
import { utf16 } from './flat-items.js';
import { type Call, Gatherer, type Kind, nothing } from './gatherer.js';
import type { Task } from './scheduler.js';
import { type Region, regionSize } from './shared-memory.js';
import { DIGEST_SIZE, NT_HASH_SIZE, SALT_SIZE } from './types.js';
import type { DeriveSlice } from './worker.js';

/** The digest that is compared. A view of shared memory for each would cost more than the comparison. */
const given = new Uint8Array(DIGEST_SIZE);

class OrgIdCall implements Call {
  /** A password, or our copy of an NT hash, wiped as soon as it went into shared memory. */
  readonly secret: string | Uint8Array;
  readonly salt: Uint8Array;
  /** What a `verify` compares with. */
  readonly #expected: Uint8Array | undefined;
  readonly #resolve: (result: Uint8Array | boolean) => void;
  readonly #reject: (error: unknown) => void;
  forget = nothing;
  #over = false;

  constructor(
    { secret, salt }: Single,
    expected: Uint8Array | undefined,
    resolve: (result: Uint8Array | boolean) => void,
    reject: (error: unknown) => void,
  ) {
    this.secret = typeof secret === 'string' ? secret : secretCopy(secret);
    this.salt = salt;
    this.#expected = expected;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get bytes(): number {
    return typeof this.secret === 'string' ? utf16.size(this.secret) : 0;
  }

  wipe(): void {
    if (typeof this.secret !== 'string') this.secret.fill(0);
  }

  /** The digest stands at `at` of `digests`, in shared memory, which is wiped afterwards; unseen if it was given up. */
  done(digests: Uint8Array, at: number): void {
    if (this.#over) return;
    this.#over = true;
    this.forget();
    const expected = this.#expected;
    if (expected === undefined) {
      this.#resolve(new Uint8Array(digests.subarray(at, at + DIGEST_SIZE)));
      return;
    }
    for (let i = 0; i < DIGEST_SIZE; i++) given[i] = digests[at + i]!;
    this.#resolve(timingSafeEqual(given, expected));
  }

  failed(error: unknown): void {
    this.#over = true;
    this.forget();
    this.#reject(error);
  }
}

/** The calls of one slice. */
class CallTask implements Task {
  readonly calls: number;
  readonly size: number;
  readonly #engine: Engine;
  readonly #iterations: number;
  /** Passwords first, then NT hashes. */
  readonly #ordered: readonly OrgIdCall[];
  readonly #passwords: number;
  readonly #passwordBytes: number;
  #digests: Uint8Array = new Uint8Array(0);

  constructor(engine: Engine, iterations: number, calls: readonly OrgIdCall[]) {
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
        call.wipe();
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
    this.#ordered.forEach((call, i) => {
      call.done(digests, i * DIGEST_SIZE);
    });
    given.fill(0);
  }

  failed(error: unknown): void {
    for (const call of this.#ordered) {
      call.wipe();
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
  readonly #gatherer: Gatherer<OrgIdCall>;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#gatherer = new Gatherer(engine.scheduler);
  }

  /** The digest, 32 bytes. */
  derive(single: Single): Promise<Uint8Array> {
    return this.#run(single, undefined) as Promise<Uint8Array>;
  }

  /** Whether the digest is `expected` (32 bytes, not changed by anyone from now on), in constant time. */
  verify(single: Single, expected: Uint8Array): Promise<boolean> {
    return this.#run(single, expected) as Promise<boolean>;
  }

  #run(single: Single, expected: Uint8Array | undefined): Promise<Uint8Array | boolean> {
    const { iterations, signal } = single;
    return new Promise((resolve, reject) => {
      const gatherer = this.#gatherer;
      gatherer.admit();
      const group = gatherer.group(iterations) ?? gatherer.open(iterations, this.#kind(iterations));
      gatherer.add(group, new OrgIdCall(single, expected, resolve, reject), signal);
    });
  }

  #kind(iterations: number): Kind<OrgIdCall> {
    const engine = this.#engine;
    return { iterations, lanes: engine.lanes, task: (calls) => new CallTask(engine, iterations, calls) };
  }
}
