/** The feed's cookies: where a reader is, authenticated, so that nobody else's and no made-up one is taken for a place. */

import { createHmac, timingSafeEqual } from 'node:crypto';

/** Where the next page begins. */
export interface Position {
  /** Of `domain_services`. */
  readonly epoch: string;
  /** Changes above this number. */
  readonly sequence: number;
  /**
   * Undefined: changes. A number: the first reading, of all users, has come to the user with this `users.id`; the changes
   * above `sequence` follow when it is through.
   */
  readonly after: number | undefined;
}

const VERSION = 1;
/** Version, epoch, sequence and user (48 bits each), whether the latter counts. */
const SIZE = 1 + 16 + 6 + 6 + 1;
const MAC_SIZE = 16;

export class Cookies {
  readonly #key: Buffer;

  /** `secret` is the database's own: cookies of another database are foreign. */
  constructor(secret: Uint8Array) {
    this.#key = createHmac('sha256', secret).update('domain services feed').digest();
  }

  write({ epoch, sequence, after }: Position): string {
    const body = Buffer.alloc(SIZE);
    body[0] = VERSION;
    body.write(epoch.replaceAll('-', ''), 1, 'hex');
    body.writeUIntBE(sequence, 17, 6);
    body.writeUIntBE(after ?? 0, 23, 6);
    body[29] = after === undefined ? 0 : 1;
    return Buffer.concat([body, this.#mac(body)]).toString('base64url');
  }

  /** Undefined: not written here. */
  read(text: string): Position | undefined {
    const bytes = Buffer.from(text, 'base64url');
    if (bytes.length !== SIZE + MAC_SIZE || bytes.toString('base64url') !== text) return undefined;
    const body = bytes.subarray(0, SIZE);
    if (!timingSafeEqual(bytes.subarray(SIZE), this.#mac(body)) || body[0] !== VERSION) return undefined;
    return {
      epoch: body.toString('hex', 1, 17).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
      sequence: body.readUIntBE(17, 6),
      after: body[29] === 1 ? body.readUIntBE(23, 6) : undefined,
    };
  }

  #mac(body: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(body).digest().subarray(0, MAC_SIZE);
  }
}
