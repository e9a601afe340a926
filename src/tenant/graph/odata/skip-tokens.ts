/** `$skiptoken`: where the next page begins, keyed, so that it is good for the query alone that it was given out with. */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { badRequest } from '../error.js';

export type Position = readonly (string | number)[];

const TAG = 16;
const MAX_LENGTH = 4096;

export class SkipTokens {
  readonly #key: () => Promise<Uint8Array>;

  /** `key`: 32 bytes that every process of the tenant has. */
  constructor(key: () => Promise<Uint8Array>) {
    this.#key = key;
  }

  /** `scope`: what the position is one in: path, filter, order. */
  async issue(scope: string, position: Position): Promise<string> {
    const text = Buffer.from(JSON.stringify(position));
    return Buffer.concat([await this.#tag(scope, text), text]).toString('base64url');
  }

  /** @throws GraphError 400 where it was not given out for this. */
  async read(scope: string, token: string): Promise<Position> {
    const bytes = Buffer.from(token.slice(0, MAX_LENGTH), 'base64url');
    const text = bytes.subarray(TAG);
    const tag = bytes.subarray(0, TAG);
    if (tag.length !== TAG || !timingSafeEqual(tag, await this.#tag(scope, text))) {
      throw badRequest('The specified $skiptoken is not valid for this query.');
    }
    return JSON.parse(text.toString()) as Position;
  }

  async #tag(scope: string, text: Uint8Array): Promise<Buffer> {
    const mac = createHmac('sha256', await this.#key())
      .update('graph $skiptoken\0')
      .update(`${scope.length}:${scope}`);
    return mac.update(text).digest().subarray(0, TAG);
  }
}
