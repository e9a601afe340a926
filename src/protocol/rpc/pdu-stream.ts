/** Whole PDUs out of a byte stream: the only place of the RPC client that waits for bytes. */

import { ProtocolError } from '../errors.js';
import { decodeHeader, HEADER_SIZE, type PduHeader } from './pdu.js';
import type { Transport } from './transport.js';

export interface Pdu {
  readonly header: PduHeader;
  /** Exactly frag_length bytes; the reader's own, to be decrypted in place. */
  readonly bytes: Uint8Array;
}

/**
 * Cuts the stream into PDUs. One that lies within one piece of the stream is a view on it; only one that straddles
 * pieces is copied.
 */
export class PduStream {
  readonly #transport: Transport;
  readonly #maxFrag: number;
  #piece: Uint8Array = new Uint8Array(0);

  /** `maxFrag`: the largest frag_length taken. */
  constructor(transport: Transport, maxFrag: number) {
    this.#transport = transport;
    this.#maxFrag = maxFrag;
  }

  /** The next PDU. Rejects with the transport's error, or a ProtocolError. */
  async next(): Promise<Pdu> {
    if (this.#piece.length === 0) {
      this.#piece = await this.#receive(0);
    }
    let head = this.#piece;
    if (head.length < HEADER_SIZE) {
      head = new Uint8Array(HEADER_SIZE);
      await this.#fill(head);
    }
    const header = decodeHeader(head);
    if (header.fragLength > this.#maxFrag) {
      throw new ProtocolError(
        'limit',
        `frag_length is ${header.fragLength}, at most ${this.#maxFrag} was agreed with ${this.#transport.peer}`,
        { structure: 'rpcconn_common_hdr', offset: 8 },
      );
    }
    if (head === this.#piece && header.fragLength <= head.length) {
      this.#piece = head.subarray(header.fragLength);
      return { header, bytes: head.subarray(0, header.fragLength) };
    }
    const bytes = new Uint8Array(header.fragLength);
    if (head === this.#piece) {
      await this.#fill(bytes);
    } else {
      bytes.set(head);
      await this.#fill(bytes.subarray(HEADER_SIZE));
    }
    return { header, bytes };
  }

  /** Fills `target` from the current piece and those that follow. */
  async #fill(target: Uint8Array): Promise<void> {
    let at = 0;
    while (at < target.length) {
      if (this.#piece.length === 0) {
        this.#piece = await this.#receive(at + 1);
      }
      const size = Math.min(this.#piece.length, target.length - at);
      target.set(this.#piece.subarray(0, size), at);
      this.#piece = this.#piece.subarray(size);
      at += size;
    }
  }

  async #receive(begun: number): Promise<Uint8Array> {
    for (;;) {
      const piece = await this.#transport.receive();
      if (piece === undefined) {
        throw new ProtocolError(
          'connection-closed',
          `${this.#transport.peer} closed the connection ${begun === 0 ? 'where a PDU was expected' : 'in the middle of a PDU'}`,
        );
      }
      if (piece.length > 0) {
        return piece;
      }
    }
  }
}
