/**
 * A simulated RPC server in memory, for what no real one sends: its PDUs are written by hand here, after C706 12.6.
 * The real server's turn is in test/samba.
 */

import type { Transport } from '#src/protocol/rpc/transport.js';
import { MessageStream } from '#src/protocol/ssp/ntlm/message-stream.js';

export type Script = (pdu: Uint8Array, index: number) => readonly Uint8Array[] | 'close';

export const NDR_SYNTAX = '045d888aeb1cc9119fe808002b10486002000000';

export function unhex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

/** Delivers the script's answers in pieces of `pieceSize` bytes (default: as the script cut them). */
export class SimulatedTransport implements Transport {
  readonly peer = 'simulated server';
  readonly sent: Uint8Array[] = [];
  closed = false;
  readonly #script: Script;
  readonly #pieceSize: number;
  readonly #pieces: (Uint8Array | undefined)[] = [];
  #wake: (() => void) | undefined;

  constructor(script: Script, pieceSize = 0) {
    this.#script = script;
    this.#pieceSize = pieceSize;
  }

  async send(bytes: Uint8Array): Promise<void> {
    this.sent.push(bytes.slice());
    const answers = this.#script(bytes, this.sent.length - 1);
    if (answers === 'close') {
      this.#pieces.push(undefined);
    } else {
      this.#push(answers);
    }
    this.#wake?.();
  }

  /** Answers that no request brings about. */
  deliver(...answers: readonly Uint8Array[]): void {
    this.#push(answers);
    this.#wake?.();
  }

  async receive(): Promise<Uint8Array | undefined> {
    while (this.#pieces.length === 0 && !this.closed) {
      // A test that waits for what never comes fails by its own time-out.
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.closed ? undefined : this.#pieces.shift();
  }

  #push(answers: readonly Uint8Array[]): void {
    for (const answer of answers) {
      const size = this.#pieceSize === 0 ? answer.length : this.#pieceSize;
      for (let at = 0; at < answer.length; at += size) {
        this.#pieces.push(answer.slice(at, at + size));
      }
    }
  }

  close(): void {
    this.closed = true;
    this.#wake?.();
  }
}

export interface PduFields {
  readonly type: number;
  readonly callId: number;
  readonly flags?: number;
  readonly drep?: number;
  readonly version?: number;
  /** Everything behind the common header. */
  readonly body: Uint8Array;
  readonly authLength?: number;
  /** Default: the truth. */
  readonly fragLength?: number;
}

export function pdu(fields: PduFields): Uint8Array {
  const bytes = new Uint8Array(16 + fields.body.length);
  const view = new DataView(bytes.buffer);
  bytes.set([fields.version ?? 5, 0, fields.type, fields.flags ?? 3, fields.drep ?? 0x10]);
  view.setUint16(8, fields.fragLength ?? bytes.length, true);
  view.setUint16(10, fields.authLength ?? 0, true);
  view.setUint32(12, fields.callId, true);
  bytes.set(fields.body, 16);
  return bytes;
}

export interface BindAckFields {
  readonly type?: number;
  readonly flags?: number;
  readonly maxRecv?: number;
  readonly results?: number;
  readonly result?: number;
  readonly reason?: number;
  readonly syntax?: string;
  readonly authType?: number;
  readonly token?: Uint8Array;
}

/** bind_ack (or alter_context_resp) with secondary address "135". */
export function bindAck(callId: number, fields: BindAckFields = {}): Uint8Array {
  const { maxRecv = 5840, results = 1, result = 0, reason = 0, syntax = NDR_SYNTAX, authType = 10, token } = fields;
  const u16 = (value: number) =>
    value
      .toString(16)
      .padStart(4, '0')
      .replace(/(..)(..)/, '$2$1');
  const head = `d016 ${u16(maxRecv)} 01000000 0400 31333500 0000 0${results}000000 ${u16(result)} ${u16(reason)} ${syntax}`;
  const trailer = token === undefined ? '' : `0${authType.toString(16)}06 00 00 01000000`;
  return pdu({
    type: fields.type ?? 12,
    flags: fields.flags ?? 7,
    callId,
    body: Buffer.concat([unhex(head), unhex(trailer), token ?? new Uint8Array(0)]),
    authLength: token?.length ?? 0,
  });
}

export function response(callId: number, stub: Uint8Array, flags = 3): Uint8Array {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, stub.length, true);
  return pdu({ type: 2, flags, callId, body: Buffer.concat([head, stub]) });
}

export function fault(callId: number, status: number): Uint8Array {
  const body = new Uint8Array(16);
  new DataView(body.buffer).setUint32(8, status, true);
  return pdu({ type: 3, callId, body });
}

/** A response fragment sealed as an NTLM server does. */
export function sealedResponse(
  stream: MessageStream,
  callId: number,
  stub: Uint8Array,
  flags = 3,
  type = 2,
  authType = 10,
): Uint8Array {
  const padding = (16 - (stub.length % 16)) % 16;
  const body = new Uint8Array(8 + stub.length + padding + 8 + 16);
  body.set(stub, 8);
  body.set([authType, 6, padding, 0, 1, 0, 0, 0], 8 + stub.length + padding);
  const bytes = pdu({ type, flags, callId, body, authLength: 16 });
  const signedTo = bytes.length - 16;
  bytes.set(stream.seal(bytes, 24, signedTo - 8, signedTo), signedTo);
  return bytes;
}

export function serverStream(sessionKey: Uint8Array): MessageStream {
  return new MessageStream(sessionKey, 'server-to-client', true);
}
