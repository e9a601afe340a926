/** DCE/RPC connection-oriented client: association, security legs and calls (C706 9.3, 12.6; MS-RPCE 3.3). */

import { ProtocolError } from '../errors.js';
import { type BindAck, decodeBindAck, decodeBindNak, encodeAuth3, encodeBind, type Syntax } from './bind-pdus.js';
import { openFault } from './call-pdus.js';
import { type Association, Calls } from './calls.js';
import { FRAG_SIZE, PduType } from './pdu.js';
import { type Pdu, PduStream } from './pdu-stream.js';
import { LOGON_FAULTS, logonRefused, unexpected, wrongCall } from './refusals.js';
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
/** call_id of the bind and what belongs to it. */
const BIND_CALL_ID = 1;

/**
 * One connection, one interface, one security context. Calls go out in the order asked, each when the one before it is
 * answered, or (where the server agrees to concurrent multiplexing) has begun to be. Whoever connects gives transport and
 * security context away: `close` ends both, and so does a failed `connect`.
 *
 * @example
 * const client = await RpcClient.connect(transport, { interfaceId: 'e3514235-4b06-11d1-ab04-00c04fc2dcd2', version: 4, security });
 * const reply = await client.request(0, stub);
 */
export class RpcClient {
  readonly #calls: Calls;
  readonly #security: SecurityContext | undefined;
  readonly #peer: string;

  private constructor(association: Association) {
    this.#calls = new Calls(association);
    this.#security = association.security;
    this.#peer = association.transport.peer;
  }

  /**
   * Binds the interface. Rejects with the transport's error or a ProtocolError: `logon-failure`,
   * `interface-unknown`, `bind-refused`, `weak-security`, or what a malformed answer is.
   */
  static async connect(transport: Transport, options: RpcClientOptions): Promise<RpcClient> {
    const { security, maxReplyBytes = DEFAULT_MAX_REPLY } = options;
    try {
      return new RpcClient(await new Binding(transport, security).associate(syntaxOf(options), maxReplyBytes));
    } catch (error) {
      transport.close();
      security?.dispose();
      throw error;
    }
  }

  /**
   * Calls an operation: stub data in, the reply's stub data as one buffer out (NDR alignment counts from its start).
   * Rejects with a ProtocolError `rpc-fault` (the connection goes on), `logon-failure`, the transport's error, or what
   * a malformed reply is; after those the client is dead and every call rejects with `connection-dead`.
   *
   * @param onBegin called with the first fragment of a reply that has several, as soon as it has come and its signature
   * fits: what it says can be asked about while the rest is on its way. Must not throw.
   */
  request(opnum: number, stub: Uint8Array, onBegin?: (first: Uint8Array) => void): Promise<Uint8Array> {
    return this.#calls.request(opnum, stub, onBegin);
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
    this.#calls.end(new ProtocolError('connection-closed', `the connection to ${this.#peer} was closed`));
  }
}

/** The way to an association: bind and security legs. */
class Binding {
  readonly #transport: Transport;
  readonly #stream: PduStream;
  readonly #security: SecurityContext | undefined;
  #logonUnproven = false;

  constructor(transport: Transport, security: SecurityContext | undefined) {
    this.#transport = transport;
    this.#stream = new PduStream(transport, FRAG_SIZE);
    this.#security = security;
  }

  async associate(abstract: Syntax, maxReply: number): Promise<Association> {
    const security = this.#security;
    const token = await security?.step(undefined);
    const auth = security === undefined || token === undefined ? undefined : { security, token };
    if (security !== undefined && auth === undefined) {
      throw new ProtocolError('no-context', 'the security context has nothing to say to begin with');
    }
    await this.#transport.send(encodeBind(PduType.bind, BIND_CALL_ID, abstract, 0, auth));
    const ack = await this.#bindAnswer(PduType.bindAck, abstract);
    if (security !== undefined) {
      if (!ack.headerSigning) {
        throw new ProtocolError('weak-security', `${this.#transport.peer} does not agree to sign PDU headers`, {
          structure: 'bind_ack',
        });
      }
      await this.#legs(security, abstract, ack);
    }
    return {
      transport: this.#transport,
      stream: this.#stream,
      security,
      callId: BIND_CALL_ID,
      maxSend: Math.min(FRAG_SIZE, ack.maxSend),
      multiplexed: ack.multiplexed,
      logonUnproven: this.#logonUnproven,
      maxReply,
    };
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
        await this.#transport.send(encodeAuth3(BIND_CALL_ID, { security, token }));
        this.#logonUnproven = true;
        return;
      }
      const pdu = encodeBind(PduType.alterContext, BIND_CALL_ID, abstract, ack.associationGroup, { security, token });
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

  /** The next PDU, which must belong to the bind. */
  async #next(): Promise<Pdu> {
    const pdu = await this.#stream.next();
    if (pdu.header.type !== PduType.shutdown && pdu.header.callId !== BIND_CALL_ID) {
      throw wrongCall(pdu.header, String(BIND_CALL_ID));
    }
    return pdu;
  }
}

/** provider_reject_reason invalid_checksum: how a bind_nak says that authentication failed (MS-RPCE 2.2.2.5). */
const BIND_NAK_CHECKSUM = 9;

function syntaxOf({ interfaceId, version }: RpcClientOptions): Syntax {
  return typeof version === 'number'
    ? { uuid: interfaceId, major: version & 0xffff, minor: version >>> 16 }
    : { uuid: interfaceId, ...version };
}
