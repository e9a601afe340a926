/** Signatures of tokens by ES256 and RS256 (RFC 7518 3.4, 3.3): one alone at once, those that come together in threads. */

import { type KeyObject, sign } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Thread } from '../thread.js';
import { type SigningTask, signNow } from './sign-now.js';
import type { SigningAlgorithm } from './signing-keys.js';

/** By RS256 in one of libuv's threads, base64url. `key`: RSA. */
export function signRs256(key: KeyObject, input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    sign('sha256', Buffer.from(input), key, (error, signature) => {
      if (error === null) resolve(signature.toString('base64url'));
      else reject(error);
    });
  });
}

/** Libuv has as many. */
const MOST_THREADS = 4;
/** Signatures that go to a thread at once: the others need not wait for all of them. */
const MOST_AT_ONCE = 64;

interface Unsigned {
  readonly key: KeyObject;
  readonly input: string;
  resolve(signature: string): void;
  reject(error: unknown): void;
}

/**
 * An ES256 signature takes 19 µs and an RS256 signature 220, which the event loop has not to spare under load; but handing
 * each to libuv's threads by itself wakes one of them each time, which took the loop 30 µs. So those of one turn of the
 * loop, and those that came while the threads were busy, go together.
 */
class Signatures {
  readonly #alg: SigningAlgorithm;
  readonly #threads: readonly Thread<SigningTask, readonly string[]>[];
  readonly #idle: Thread<SigningTask, readonly string[]>[];
  readonly #waiting: Unsigned[] = [];
  #gathering = false;

  constructor(alg: SigningAlgorithm, threads: number) {
    this.#alg = alg;
    this.#threads = Array.from(
      { length: threads },
      () =>
        new Thread<SigningTask, readonly string[]>({
          module: new URL('./signing-worker.js', import.meta.url),
          does: 'signs tokens',
          code: 'token-signing',
        }),
    );
    this.#idle = [...this.#threads];
  }

  sign(key: KeyObject, input: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, input, resolve, reject });
      if (this.#gathering) return;
      this.#gathering = true;
      setImmediate(() => {
        this.#gathering = false;
        this.#handOut();
      });
    });
  }

  /** When everything is signed. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  #handOut(): void {
    if (this.#waiting.length === 1 && this.#idle.length > 0) {
      this.#signAlone(this.#waiting.pop()!);
      return;
    }
    while (this.#waiting.length > 0 && this.#idle.length > 0) {
      const share = Math.min(Math.ceil(this.#waiting.length / this.#idle.length), MOST_AT_ONCE);
      const { key } = this.#waiting[0]!;
      // All have one key but in the turn in which it changes.
      const other = this.#waiting.findIndex((one) => one.key !== key);
      const some = this.#waiting.splice(0, other < 0 ? share : Math.min(share, other));
      this.#signTogether(this.#idle.pop()!, key, some);
    }
  }

  #signAlone({ key, input, resolve, reject }: Unsigned): void {
    if (this.#alg === 'RS256') {
      signRs256(key, input).then(resolve, reject);
      return;
    }
    try {
      resolve(signNow(this.#alg, key, input));
    } catch (error) {
      reject(error);
    }
  }

  #signTogether(thread: Thread<SigningTask, readonly string[]>, key: KeyObject, some: readonly Unsigned[]): void {
    const done = () => {
      this.#idle.push(thread);
      this.#handOut();
    };
    thread.ask({ alg: this.#alg, key, inputs: some.map(({ input }) => input) }).then(
      (signatures) => {
        for (const [i, { resolve }] of some.entries()) resolve(signatures[i]!);
        done();
      },
      (error) => {
        for (const { reject } of some) reject(error);
        done();
      },
    );
  }
}

export class Signer {
  readonly #es256 = new Signatures('ES256', 1);
  readonly #rs256 = new Signatures('RS256', Math.min(availableParallelism(), MOST_THREADS));

  /** base64url. `key`: of P-256 for ES256, RSA for RS256. @throws PhsyncError `token-signing` where the thread ends meanwhile. */
  sign(alg: SigningAlgorithm, key: KeyObject, input: string): Promise<string> {
    return (alg === 'ES256' ? this.#es256 : this.#rs256).sign(key, input);
  }

  /** When everything is signed. */
  async close(): Promise<void> {
    await Promise.all([this.#es256.close(), this.#rs256.close()]);
  }
}
