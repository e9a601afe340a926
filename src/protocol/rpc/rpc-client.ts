/** DCE/RPC connection-oriented client: association, security legs and calls (C706 9.3, 12.6; MS-RPCE 3.3). */

import { ProtocolError } from '../errors.js';
import { type BindAck, decodeBindAck, decodeBindNak, encodeAuth3, encodeBind, type Syntax } from './bind-pdus.js';
import { encodeRequest, type Fault, openFault, openResponse } from './call-pdus.js';
import { FRAG_SIZE, PduFlag, type PduHeader, PduType } from './pdu.js';
import { type Pdu, PduStream } from './pdu-stream.js';
import type { SecurityContext } from './security-context.js';
import { bindNakText, faultText, presentationResultText } from './status.js';
import type { Transport } from './transport.js';

export interface RpcClientOptions {
  /** The interface's UUID, as text. */
  readonly interfaceId: string;
  /** major | minor << 16, or both apart. */
  readonly version: number | { readonly major: number; readonly minor: number };
  /** Packet privacy with this context, which the client owns from then on; without it, no authentication. */
  readonly security?: SecurityContext;
  /** Largest reply, all fragments together. Default 64 MiB. */
  readonly maxReplyBytes?: number;
}

const DEFAULT_MAX_REPLY = 64 * 2 ** 20;
/** No mechanism needs more: Kerberos inside SPNEGO with mechListMIC takes three. */
const MAX_LEGS = 8;
/** Servers fill their fragments; a reply in crumbs is not taken. */
const LEAST_AVERAGE_FRAGMENT = 1024;

/**
 * One connection, one interface, one security context. Calls go out one after another, in the order asked. Whoever
 * connects gives transport and security context away: `close` ends both, and so does a failed `connect`.
 *
 * @example
 * const client = await RpcClient.connect(transport, { interfaceId: 'e3514235-4b06-11d1-ab04-00c04fc2dcd2', version: 4, security });
 * const reply = await client.request(0, stub);
 */
export class RpcClient {
  readonly #transport: Transport;
  readonly #stream: PduStream;
  readonly #security: SecurityContext | undefined;
  readonly #maxReply: number;
  #maxSend = FRAG_SIZE;
  #callId = 1;
  #queue: Promise<unknown> = Promise.resolve();
  /** Why no call works any more. */
  #dead: { readonly cause: unknown } | undefined;
  /** auth3 is not answered: whether the server took it shows in the first call. */
  #logonUnproven = false;

  private constructor(transport: Transport, options: RpcClientOptions) {
    this.#transport = transport;
    this.#stream = new PduStream(transport, FRAG_SIZE);
    this.#security = options.security;
    this.#maxReply = options.maxReplyBytes ?? DEFAULT_MAX_REPLY;
  }

  /**
   * Binds the interface. Rejects with the transport's error or a ProtocolError: `logon-failure`,
   * `interface-unknown`, `bind-refused`, `weak-security`, or what a malformed answer is.
   */
  static async connect(transport: Transport, options: RpcClientOptions): Promise<RpcClient> {
    const client = new RpcClient(transport, options);
    try {
      await client.#associate(syntaxOf(options));
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /**
   * Calls an operation: stub data in, the reply's stub data as one buffer out (NDR alignment counts from its start).
   * Rejects with a ProtocolError `rpc-fault` (the connection goes on), `logon-failure`, the transport's error, or what
   * a malformed reply is; after those the client is dead and every call rejects with `connection-dead`.
   */
  request(opnum: number, stub: Uint8Array): Promise<Uint8Array> {
    const call = this.#queue.then(() => this.#call(opnum, stub));
    this.#queue = call.catch(() => undefined);
    return call;
  }

  /** A copy of the key that the security context agreed on. @throws ProtocolError `no-context` without one. */
  sessionKey(): Uint8Array {
    if (this.#security === undefined) {
      throw new ProtocolError('no-context', 'an unauthenticated connection has no session key');
    }
    return this.#security.sessionKey();
  }

  /** Ends the connection and wipes the keys. A running call rejects. Never throws, may be called again. */
  close(): void {
    this.#dead ??= {
      cause: new ProtocolError('connection-closed', `the connection to ${this.#transport.peer} was closed`),
    };
    this.#transport.close();
    this.#security?.dispose();
  }

  async #associate(abstract: Syntax): Promise<void> {
    const security = this.#security;
    const token = await security?.step(undefined);
    const auth = security === undefined || token === undefined ? undefined : { security, token };
    if (security !== undefined && auth === undefined) {
      throw new ProtocolError('no-context', 'the security context has nothing to say to begin with');
    }
    await this.#transport.send(encodeBind(PduType.bind, this.#callId, abstract, 0, auth));
    const ack = await this.#bindAnswer(PduType.bindAck, abstract);
    this.#maxSend = Math.min(FRAG_SIZE, ack.maxSend);
    if (security !== undefined) {
      if (!ack.headerSigning) {
        throw new ProtocolError('weak-security', `${this.#transport.peer} does not agree to sign PDU headers`, {
          structure: 'bind_ack',
        });
      }
      await this.#legs(security, abstract, ack);
    }
  }

  /** Lets both sides of the security context talk until ours is complete. */
  async #legs(security: SecurityContext, abstract: Syntax, first: BindAck): Promise<void> {
    let ack = first;
    for (let leg = 0; leg < MAX_LEGS; leg++) {
      const token = await security.step(ack.token);
      if (token === undefined) {
        if (!security.complete) {
          throw new ProtocolError('malformed', `${this.#transport.peer} ended the security legs early`);
        }
        return;
      }
      if (security.complete) {
        await this.#transport.send(encodeAuth3(this.#callId, { security, token }));
        this.#logonUnproven = true;
        return;
      }
      const pdu = encodeBind(PduType.alterContext, this.#callId, abstract, ack.associationGroup, { security, token });
      await this.#transport.send(pdu);
      ack = await this.#bindAnswer(PduType.alterContextResp, abstract);
    }
    throw new ProtocolError('limit', `the security context is not complete after ${MAX_LEGS} legs`);
  }

  async #bindAnswer(expected: number, abstract: Syntax): Promise<BindAck> {
    const { header, bytes } = await this.#next();
    const { peer } = this.#transport;
    if (header.type === PduType.bindNak) {
      const reason = decodeBindNak(bytes);
      if (reason === BIND_NAK_CHECKSUM && this.#security !== undefined) {
        throw logonRefused(peer, `bind_nak, ${bindNakText(reason)}`, reason);
      }
      throw new ProtocolError('bind-refused', `${peer} refused the bind: ${bindNakText(reason)}`, {
        structure: 'bind_nak',
        status: reason,
      });
    }
    if (header.type === PduType.fault) {
      const { status } = openFault(bytes, header, undefined);
      if (this.#security !== undefined && LOGON_FAULTS.has(status)) {
        throw logonRefused(peer, faultText(status), status);
      }
      throw new ProtocolError('bind-refused', `${peer} answered the bind with fault ${faultText(status)}`, {
        structure: 'fault',
        status,
      });
    }
    if (header.type !== expected) {
      throw unexpected(header, peer);
    }
    const ack = decodeBindAck(bytes, header, this.#security);
    if (ack.result !== 0) {
      throw new ProtocolError(
        ack.result === 2 && ack.reason === 1 ? 'interface-unknown' : 'bind-refused',
        `${peer} refused interface ${abstract.uuid} v${abstract.major}.${abstract.minor}: ` +
          presentationResultText(ack.result, ack.reason),
        { structure: 'p_result_t', status: ack.reason },
      );
    }
    return ack;
  }

  async #call(opnum: number, stub: Uint8Array): Promise<Uint8Array> {
    if (this.#dead !== undefined) {
      throw new ProtocolError(
        'connection-dead',
        `the connection to ${this.#transport.peer} is dead, connect again: ${messageOf(this.#dead.cause)}`,
        { cause: this.#dead.cause },
      );
    }
    try {
      const reply = await this.#exchange(opnum, stub);
      if (reply instanceof Uint8Array) {
        return reply;
      }
      const refused = this.#fault(opnum, reply.status);
      if (!reply.inStep || refused.code !== 'rpc-fault') {
        this.#die(refused);
      }
      throw refused;
    } catch (error) {
      if (!(error instanceof ProtocolError && error.code === 'rpc-fault')) {
        this.#die(error);
      }
      throw error;
    }
  }

  async #exchange(opnum: number, stub: Uint8Array): Promise<Uint8Array | Fault> {
    this.#callId++;
    for (const pdu of encodeRequest(this.#callId, opnum, stub, this.#maxSend, this.#security)) {
      await this.#transport.send(pdu);
    }
    const parts: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const { header, bytes } = await this.#next();
      if (header.type === PduType.fault) {
        return openFault(bytes, header, this.#security);
      }
      if (header.type !== PduType.response) {
        throw unexpected(header, this.#transport.peer);
      }
      if (((header.flags & PduFlag.firstFrag) !== 0) !== (parts.length === 0)) {
        throw new ProtocolError('malformed', `response: fragment ${parts.length} has flags ${header.flags}`, {
          structure: 'rpcconn_common_hdr',
          offset: 3,
        });
      }
      const part = openResponse(bytes, header, this.#security);
      this.#logonUnproven = false;
      parts.push(part);
      size += part.length;
      if (size > this.#maxReply || (parts.length - 16) * LEAST_AVERAGE_FRAGMENT > this.#maxReply) {
        throw new ProtocolError(
          'limit',
          `response: ${size} bytes in ${parts.length} fragments so far, at most ${this.#maxReply} bytes are taken`,
          { structure: 'response' },
        );
      }
      if ((header.flags & PduFlag.lastFrag) !== 0) {
        return join(parts, size);
      }
    }
  }

  /** The next PDU, which must belong to the call that runs. */
  async #next(): Promise<Pdu> {
    const pdu = await this.#stream.next();
    if (pdu.header.type !== PduType.shutdown && pdu.header.callId !== this.#callId) {
      throw new ProtocolError('malformed', `call_id ${pdu.header.callId} answered, ${this.#callId} was asked`, {
        structure: 'rpcconn_common_hdr',
        offset: 12,
      });
    }
    return pdu;
  }

  #fault(opnum: number, status: number): ProtocolError {
    const { peer } = this.#transport;
    if (this.#logonUnproven && LOGON_FAULTS.has(status)) {
      return logonRefused(peer, faultText(status), status);
    }
    return new ProtocolError('rpc-fault', `${peer} answered opnum ${opnum} with fault ${faultText(status)}`, {
      structure: 'fault',
      status,
    });
  }

  #die(cause: unknown): void {
    this.#dead ??= { cause };
    this.close();
  }
}

/**
 * What servers answer to a leg that they do not take, or to the first call after an auth3 that they did not take:
 * Windows access denied, Samba the package's refusal or (after auth3, with the context unfinished) a protocol error.
 */
const LOGON_FAULTS: ReadonlySet<number> = new Set([0x0000_0005, 0x0000_0721, 0x1c01_000b]);
/** provider_reject_reason invalid_checksum: how a bind_nak says that authentication failed (MS-RPCE 2.2.2.5). */
const BIND_NAK_CHECKSUM = 9;

function logonRefused(peer: string, why: string, status: number): ProtocolError {
  return new ProtocolError(
    'logon-failure',
    `${peer} refused the logon (${why}): check user name, domain and password, and whether the account is disabled, ` +
      'expired, locked, or kept from this way to authenticate',
    { structure: 'fault', status },
  );
}

function unexpected(header: PduHeader, peer: string): ProtocolError {
  const { type } = header;
  return type === PduType.shutdown
    ? new ProtocolError('connection-closed', `${peer} announced to close the connection`, { structure: 'shutdown' })
    : new ProtocolError('malformed', `a PDU of type ${type} came where it has no place`, {
        structure: 'rpcconn_common_hdr',
        offset: 2,
      });
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

function syntaxOf({ interfaceId, version }: RpcClientOptions): Syntax {
  return typeof version === 'number'
    ? { uuid: interfaceId, major: version & 0xffff, minor: version >>> 16 }
    : { uuid: interfaceId, ...version };
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
