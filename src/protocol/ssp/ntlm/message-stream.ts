/** Message signing and sealing in one direction, extended session security (MS-NLMP 3.4.3, 3.4.4.2). */

import { hmacMd5 } from '../../../crypto/md5.js';
import { Rc4 } from '../../../crypto/rc4.js';
import { type Direction, SEALKEY, SIGNKEY } from './keys.js';

/** NTLMSSP_MESSAGE_SIGNATURE: version, checksum, sequence number. */
export const SIGNATURE_SIZE = 16;

/** Sign and seal key, the running RC4 handle and the sequence number of one direction. */
export class MessageStream {
  readonly #signKey: Uint8Array;
  readonly #sealKey: Uint8Array;
  readonly #handle: Rc4;
  /** With NTLMSSP_NEGOTIATE_KEY_EXCH the checksum is encrypted too (3.4.4.2). */
  readonly #keyExchange: boolean;
  #seqNum = 0;

  constructor(exportedSessionKey: Uint8Array, direction: Direction, keyExchange: boolean) {
    this.#signKey = SIGNKEY(exportedSessionKey, direction);
    this.#sealKey = SEALKEY(exportedSessionKey, direction);
    this.#handle = new Rc4(this.#sealKey);
    this.#keyExchange = keyExchange;
  }

  /** Encrypts `bytes[from, to)` in place; the signature covers the clear `bytes[0, signedTo)`. */
  seal(bytes: Uint8Array, from: number, to: number, signedTo: number): Uint8Array {
    const signature = this.#checksum(bytes.subarray(0, signedTo));
    this.#handle.process(bytes, from, to);
    this.#finish(signature, this.#handle);
    return signature;
  }

  /** Decrypts in place and yields the signature that the peer must have sent. */
  unseal(bytes: Uint8Array, from: number, to: number, signedTo: number): Uint8Array {
    this.#handle.process(bytes, from, to);
    const signature = this.#checksum(bytes.subarray(0, signedTo));
    this.#finish(signature, this.#handle);
    return signature;
  }

  /**
   * The signature of a message before all others, for SPNEGO's mechListMIC. The handle is not moved: its state is
   * the same for the mechListMIC and for the first message of the application (MS-SPNG 3.3.5.1), while the sequence
   * number goes on.
   */
  mic(message: Uint8Array): Uint8Array {
    const signature = this.#checksum(message);
    const handle = new Rc4(this.#sealKey);
    this.#finish(signature, handle);
    handle.wipe();
    return signature;
  }

  wipe(): void {
    this.#signKey.fill(0);
    this.#sealKey.fill(0);
    this.#handle.wipe();
  }

  #checksum(message: Uint8Array): Uint8Array {
    const signature = new Uint8Array(SIGNATURE_SIZE);
    const view = new DataView(signature.buffer);
    view.setUint32(0, 1, true);
    view.setUint32(12, this.#seqNum, true);
    signature.set(hmacMd5(this.#signKey, signature.subarray(12), message).subarray(0, 8), 4);
    return signature;
  }

  #finish(signature: Uint8Array, handle: Rc4): void {
    if (this.#keyExchange) {
      handle.process(signature, 4, 12);
    }
    this.#seqNum = (this.#seqNum + 1) >>> 0;
  }
}
