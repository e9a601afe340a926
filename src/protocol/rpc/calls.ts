/** The calls of one association: requests in their order, replies by call_id (C706 9.3, 12.6.3.1, 12.6.4.9). */

import { ProtocolError } from '../errors.js';
import { encodeRequest, type Fault, openFault, openResponse } from './call-pdus.js';
import { PduFlag, PduType } from './pdu.js';
import type { Pdu, PduStream } from './pdu-stream.js';
import { LOGON_FAULTS, logonRefused, unexpected, wrongCall } from './refusals.js';
import type { SecurityContext } from './security-context.js';
import { faultText } from './status.js';
import type { Transport } from './transport.js';

/** What came of the bind. */
export interface Association {
  readonly transport: Transport;
  readonly stream: PduStream;
  readonly security: SecurityContext | undefined;
  /** call_id of the bind; the calls go on from it. */
  readonly callId: number;
  /** The largest fragment that the server takes. */
  readonly maxSend: number;
  /** The server agreed to PFC_CONC_MPX: a call may go out while another one is being answered. */
  readonly multiplexed: boolean;
  /** The last leg was an auth3, which is not answered: whether the server took it shows in the first call. */
  readonly logonUnproven: boolean;
  readonly maxReply: number;
}

/** Servers fill their fragments; a reply in crumbs is not taken. */
const LEAST_AVERAGE_FRAGMENT = 1024;
/** One that is being answered and one that the server works on: more replies than that are not kept in memory. */
const MAX_RUNNING = 2;

interface Call {
  readonly opnum: number;
  readonly stub: Uint8Array;
  readonly onBegin: ((first: Uint8Array) => void) | undefined;
  readonly resolve: (stub: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
  readonly parts: Uint8Array[];
  size: number;
}

export class Calls {
  readonly #association: Association;
  #callId: number;
  #logonUnproven: boolean;
  readonly #waiting: Call[] = [];
  /** By call_id. */
  readonly #running = new Map<number, Call>();
  #isSending = false;
  #isReceiving = false;
  /** Why no call works any more. */
  #dead: { readonly cause: unknown } | undefined;

  constructor(association: Association) {
    this.#association = association;
    this.#callId = association.callId;
    this.#logonUnproven = association.logonUnproven;
  }

  /** As `RpcClient.request`. */
  request(opnum: number, stub: Uint8Array, onBegin: ((first: Uint8Array) => void) | undefined): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ opnum, stub, onBegin, resolve, reject, parts: [], size: 0 });
      this.#sendNext();
    });
  }

  /** No call works any more: those that wait reject with `connection-dead`, those that run with what then befalls them. */
  end(cause: unknown): void {
    this.#dead ??= { cause };
    const { transport, security } = this.#association;
    transport.close();
    security?.dispose();
    const dead = this.#dead.cause;
    const text = dead instanceof Error ? dead.message : String(dead);
    for (const call of this.#waiting.splice(0)) {
      const message = `the connection to ${transport.peer} is dead, connect again: ${text}`;
      call.reject(new ProtocolError('connection-dead', message, { cause: dead }));
    }
  }

  #sendNext(): void {
    if (this.#dead !== undefined) {
      this.end(this.#dead.cause);
      return;
    }
    if (this.#isSending || !this.#mayRunOneMore()) return;
    const call = this.#waiting.shift();
    if (call === undefined) return;
    this.#running.set(++this.#callId, call);
    this.#isSending = true;
    // One whose reply is malformed, or never comes, ends the connection: nothing is rejected here.
    void this.#send(this.#callId, call);
    if (!this.#isReceiving) void this.#receive();
  }

  /** The server must have begun to answer what it was asked before: it may not be asked more than it can work on. */
  #mayRunOneMore(): boolean {
    if (this.#running.size === 0) return true;
    if (!this.#association.multiplexed || this.#running.size >= MAX_RUNNING) return false;
    return [...this.#running.values()].every(({ parts }) => parts.length > 0);
  }

  /** Writes at once what fits into one fragment. */
  async #send(callId: number, { opnum, stub }: Call): Promise<void> {
    const { transport, security, maxSend } = this.#association;
    try {
      for (const pdu of encodeRequest(callId, opnum, stub, maxSend, security)) await transport.send(pdu);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#isSending = false;
    this.#sendNext();
  }

  /** Runs as long as a reply is due: of a connection on which nothing is asked, nothing is awaited. */
  async #receive(): Promise<void> {
    this.#isReceiving = true;
    try {
      while (this.#running.size > 0) this.#take(await this.#association.stream.next());
    } catch (error) {
      this.#fail(error);
    }
    this.#isReceiving = false;
  }

  #fail(error: unknown): void {
    this.#dead ??= { cause: error };
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const call of running) call.reject(error);
    this.end(error);
  }

  #take({ header, bytes }: Pdu): void {
    const { transport, security } = this.#association;
    const call = this.#running.get(header.callId);
    if (call === undefined && header.type !== PduType.shutdown) {
      throw wrongCall(header, [...this.#running.keys()].join(' or '));
    }
    if (call !== undefined && header.type === PduType.fault) {
      this.#refuse(header.callId, call, openFault(bytes, header, security));
      return;
    }
    if (call === undefined || header.type !== PduType.response) throw unexpected(header, transport.peer);
    const { parts } = call;
    if (((header.flags & PduFlag.firstFrag) !== 0) !== (parts.length === 0)) {
      throw new ProtocolError('malformed', `response: fragment ${parts.length} has flags ${header.flags}`, {
        structure: 'rpcconn_common_hdr',
        offset: 3,
      });
    }
    const part = openResponse(bytes, header, security);
    this.#logonUnproven = false;
    parts.push(part);
    call.size += part.length;
    this.#checkSize(call);
    if ((header.flags & PduFlag.lastFrag) !== 0) {
      this.#running.delete(header.callId);
      // Before anybody begins to work on the reply: the server is to have something to do meanwhile.
      this.#sendNext();
      call.resolve(join(parts, call.size));
    } else if (parts.length === 1) {
      call.onBegin?.(part);
      this.#sendNext();
    }
  }

  #checkSize({ parts, size }: Call): void {
    const { maxReply } = this.#association;
    if (size <= maxReply && (parts.length - 16) * LEAST_AVERAGE_FRAGMENT <= maxReply) return;
    throw new ProtocolError(
      'limit',
      `response: ${size} bytes in ${parts.length} fragments so far, at most ${maxReply} bytes are taken`,
      { structure: 'response' },
    );
  }

  #refuse(callId: number, call: Call, { status, inStep }: Fault): void {
    const { peer } = this.#association.transport;
    const isLogon = this.#logonUnproven && LOGON_FAULTS.has(status);
    const refusal = isLogon
      ? logonRefused(peer, faultText(status), status)
      : new ProtocolError('rpc-fault', `${peer} answered opnum ${call.opnum} with fault ${faultText(status)}`, {
          structure: 'fault',
          status,
        });
    if (!inStep || isLogon) throw refusal;
    this.#running.delete(callId);
    this.#sendNext();
    call.reject(refusal);
  }
}

function join(parts: readonly Uint8Array[], size: number): Uint8Array {
  if (parts.length === 1) {
    return parts[0]!;
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
