/** A client of the DRS interface (MS-DRSR 4.1, E3514235-4B06-11D1-AB04-00C04FC2DCD2 v4.0) on an RPC client handed in. */

import { ProtocolError } from '../errors.js';
import {
  DRS_BIND_OPNUM,
  DRS_UNBIND_OPNUM,
  type DrsBindReply,
  decodeDrsBindReply,
  decodeDrsUnbindReply,
  encodeDrsBindRequest,
  encodeDrsUnbindRequest,
  NTDSAPI_CLIENT_GUID,
} from './bind.js';
import {
  type CrackedName,
  type CrackNamesRequest,
  DRS_CRACK_NAMES_OPNUM,
  decodeCrackNamesReply,
  encodeCrackNamesRequest,
} from './crack-names.js';
import {
  type DomainControllerInfo,
  DRS_DOMAIN_CONTROLLER_INFO_OPNUM,
  decodeDomainControllerInfoReply,
  encodeDomainControllerInfoRequest,
} from './domain-controller-info.js';
import { clientExtensions, type DrsExtensions } from './extensions.js';
import {
  type ChangesReply,
  type ChangesReplyHead,
  decodeChangesReplyHead,
  decodeGetNCChangesReply,
} from './get-nc-changes-reply.js';
import {
  type ChangesRequest,
  DRS_GET_NC_CHANGES_OPNUM,
  encodeGetNCChangesRequest,
  requestVersion,
} from './get-nc-changes-request.js';
import { PrefixTable } from './prefix-table.js';
import { win32Error } from './win32-errors.js';

/** ERROR_DS_DIFFERENT_REPL_EPOCHS. */
const DIFFERENT_REPL_EPOCHS = 8593;

/** The interface's UUID and version, for the RPC bind and the endpoint mapper. */
export const DRSUAPI_INTERFACE = { uuid: 'e3514235-4b06-11d1-ab04-00c04fc2dcd2', major: 4, minor: 0 } as const;

/** What the client needs of an RPC connection: authenticated, with packet privacy. */
export interface DrsRpc {
  /**
   * One call: the request's stub out, the reply's stub back. The reply's bytes are the caller's. `onBegin`: called with
   * the first of several fragments; what is asked from within it may overtake the rest of the reply.
   */
  request(opnum: number, stub: Uint8Array, onBegin?: (first: Uint8Array) => void): Promise<Uint8Array>;
  /** The security context's key, which envelopes the secrets. */
  sessionKey(): Uint8Array;
}

/**
 * One bound DRS handle. Calls go in the order in which the caller makes them.
 * Every method rejects with a ProtocolError: a Win32 status of the server's with its code name and `status`, or a
 * malformed reply with `structure` and `offset`.
 */
export class DrsClient {
  readonly #rpc: DrsRpc;
  readonly #handle: Uint8Array;
  readonly #table = PrefixTable.wellKnown();
  /** What the server sent at the bind that counts. */
  readonly serverExtensions: DrsExtensions;

  private constructor(rpc: DrsRpc, handle: Uint8Array, serverExtensions: DrsExtensions) {
    this.#rpc = rpc;
    this.#handle = handle;
    this.serverExtensions = serverExtensions;
  }

  /** DRSBind; a second one with the server's replication epoch where that differs (a renamed domain). */
  static async bind(rpc: DrsRpc, clientDsa: Uint8Array = NTDSAPI_CLIENT_GUID): Promise<DrsClient> {
    let epoch = 0;
    for (let attempt = 1; ; attempt++) {
      const stub = encodeDrsBindRequest({ clientDsa, extensions: clientExtensions(epoch) });
      const reply: DrsBindReply = decodeDrsBindReply(await rpc.request(DRS_BIND_OPNUM, stub));
      const { extensions, handle, status } = reply;
      const serverEpoch = extensions?.dwReplEpoch ?? epoch;
      const again = serverEpoch !== epoch && attempt === 1;
      if (status !== 0 && !(status === DIFFERENT_REPL_EPOCHS && again)) {
        throw win32Error('DRSBind', status);
      }
      if (!again) {
        if (extensions === undefined) {
          throw new ProtocolError('null-pointer', 'DRSBind reply: the server sent no DRS_EXTENSIONS', {
            structure: 'DRSBind reply',
          });
        }
        if (serverEpoch !== epoch) {
          throw win32Error('DRSBind', DIFFERENT_REPL_EPOCHS);
        }
        return new DrsClient(rpc, handle, extensions);
      }
      if (status === 0) {
        decodeDrsUnbindReply(await rpc.request(DRS_UNBIND_OPNUM, encodeDrsUnbindRequest(handle)));
      }
      epoch = serverEpoch;
    }
  }

  /** A copy of the key that envelopes secrets now; ask again after each reply, it may be renegotiated. */
  sessionKey(): Uint8Array {
    return this.#rpc.sessionKey();
  }

  /**
   * DRSGetNCChanges.
   * @param attributes OID → the name under which each comes back; all of them are asked for.
   * @param onHead called once where there is more data and the reply's first fragment says where to go on: the next call
   * can be made while the rest of this reply is on its way.
   */
  async getNCChanges<Name extends string>(
    request: Omit<ChangesRequest, 'attributes'>,
    attributes: ReadonlyMap<string, Name>,
    onHead?: (head: ChangesReplyHead) => void,
  ): Promise<ChangesReply<Name>> {
    const version = requestVersion(this.serverExtensions.dwFlags);
    const message = { ...request, attributes: [...attributes.keys()] };
    const stub = encodeGetNCChangesRequest(this.#handle, version, message, this.#table);
    const onBegin = (first: Uint8Array) => {
      const head = decodeChangesReplyHead(first);
      if (head !== undefined) onHead?.(head);
    };
    const whole = await this.#rpc.request(DRS_GET_NC_CHANGES_OPNUM, stub, onHead && onBegin);
    const reply = decodeGetNCChangesReply(whole, attributes);
    if (reply.dwDRSError !== 0) {
      throw win32Error('DRSGetNCChanges', reply.dwDRSError);
    }
    return reply;
  }

  /** DRSCrackNames: one result a name, each with a status of its own. */
  async crackNames(request: CrackNamesRequest): Promise<CrackedName[]> {
    const stub = encodeCrackNamesRequest(this.#handle, request);
    const items = decodeCrackNamesReply(await this.#rpc.request(DRS_CRACK_NAMES_OPNUM, stub));
    if (items.length !== request.names.length) {
      throw new ProtocolError(
        'conformance',
        `DRSCrackNames reply: ${items.length} results for ${request.names.length} names`,
        { structure: 'DS_NAME_RESULTW' },
      );
    }
    return items;
  }

  /** DRSDomainControllerInfo of a domain, by DNS or NetBIOS name. */
  async domainControllerInfo(domain: string, level: 1 | 2 = 2): Promise<DomainControllerInfo[]> {
    const stub = encodeDomainControllerInfoRequest(this.#handle, domain, level);
    return decodeDomainControllerInfoReply(await this.#rpc.request(DRS_DOMAIN_CONTROLLER_INFO_OPNUM, stub));
  }

  /** DRSUnbind; the client is of no use afterwards. */
  async unbind(): Promise<void> {
    const status = decodeDrsUnbindReply(
      await this.#rpc.request(DRS_UNBIND_OPNUM, encodeDrsUnbindRequest(this.#handle)),
    );
    if (status !== 0) {
      throw win32Error('DRSUnbind', status);
    }
  }
}
