/** HMAC-SHA-256 (RFC 2104) over what goes to the browser and comes back, each bound to its use and to one interaction. */

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { TenantDatabase } from '../store/database.js';
import { readDigestKey } from '../store/digest-key.js';

export class Seal {
  readonly #key: Uint8Array;

  /** `key`: 32 bytes, the same in every process of the tenant. */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** With a key of the one that all processes of one database share, used for nothing else. */
  static async open(database: TenantDatabase): Promise<Seal> {
    return new Seal(
      createHmac('sha256', await readDigestKey(database))
        .update('sign-in pages')
        .digest(),
    );
  }

  /** The hidden value of an interaction's forms. */
  token(uid: string): string {
    return this.#mac('form', uid, '');
  }

  isToken(uid: string, token: unknown): boolean {
    return typeof token === 'string' && equal(token, this.token(uid));
  }

  /** `value` as text for a cookie, readable but not to be altered or carried to another interaction. */
  close(uid: string, value: object): string {
    const text = Buffer.from(JSON.stringify(value)).toString('base64url');
    return `${text}.${this.#mac('step', uid, text)}`;
  }

  /** What close() was given, or undefined where that is not how the text came about. */
  open(uid: string, sealed: string | undefined): unknown {
    const [text, mac, ...rest] = sealed?.split('.') ?? [];
    if (text === undefined || mac === undefined || rest.length > 0) return undefined;
    if (!equal(mac, this.#mac('step', uid, text))) return undefined;
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  }

  #mac(use: string, uid: string, text: string): string {
    // No part holds a zero byte: uid and text are base64url.
    return createHmac('sha256', this.#key).update(`${use}\0${uid}\0${text}`).digest('base64url');
  }
}

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
