/** ES256 signatures (RFC 7518 3.4): at once, or those of one turn of the event loop together in a thread. */

import { type KeyObject, sign } from 'node:crypto';
import { Gather } from '../gather.js';
import { Thread } from '../thread.js';
import type { SigningTask } from './signing-worker.js';

/** base64url. `key`: of P-256. */
export function signEs256(key: KeyObject, input: string): string {
  return sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
}

interface Unsigned {
  readonly key: KeyObject;
  readonly input: string;
}

/**
 * A signature takes 19 µs, which the event loop has not to spare under load; but handing each to libuv's threads by itself
 * wakes one of them each time, which took the loop as long. So several go together; one alone is signed here.
 */
export class Es256Signer {
  readonly #thread = new Thread<SigningTask, readonly string[]>({
    module: new URL('./signing-worker.js', import.meta.url),
    does: 'signs tokens',
    code: 'token-signing',
  });
  readonly #gather = new Gather((unsigned: readonly Unsigned[]) => this.#sign(unsigned));

  /** base64url. `key`: of P-256. @throws PhsyncError `token-signing` where the thread ends meanwhile. */
  sign(key: KeyObject, input: string): Promise<string> {
    return this.#gather.run({ key, input });
  }

  /** When everything is signed. */
  close(): Promise<void> {
    return this.#thread.close();
  }

  async #sign(unsigned: readonly Unsigned[]): Promise<readonly string[]> {
    const { key } = unsigned[0]!;
    // All have one key but in the turn in which it changes.
    const isOneKey = unsigned.every((one) => one.key === key);
    if (unsigned.length === 1 || !isOneKey) return unsigned.map((one) => signEs256(one.key, one.input));
    return this.#thread.ask({ key, inputs: unsigned.map(({ input }) => input) });
  }
}
