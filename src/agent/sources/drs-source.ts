/** The real directory as a source: a domain's naming context over MS-DRSR, page by page. */

import { PhsyncError } from '../../hasher/errors.js';
import { NTDSAPI_CLIENT_GUID } from '../../protocol/drsr/bind.js';
import { encodeCookie, type ReplicationCookie } from '../../protocol/drsr/cookie.js';
import { NameFormat, NameStatus } from '../../protocol/drsr/crack-names.js';
import type { DrsClient } from '../../protocol/drsr/drs-client.js';
import type { ChangesReply, ChangesReplyHead } from '../../protocol/drsr/get-nc-changes-reply.js';
import { type ChangesRequest, DrsOption, ExtendedOperation } from '../../protocol/drsr/get-nc-changes-request.js';
import type { AttributeName } from '../../protocol/drsr/schema.js';
import { NO_USN } from '../../protocol/drsr/vectors.js';
import { guidFromText } from '../../protocol/dtyp/guid.js';
import { ProtocolError } from '../../protocol/errors.js';
import type { ConditionAttribute } from '../config/scope.js';
import type { Cookie, DirectoryPage, DirectorySource, ReadOptions } from '../source.js';
import { connectDrs, type DrsConnection, type DrsConnectionOptions, errorFacts } from './drs-connection.js';
import type { DrsStage } from './drs-error-facts.js';
import { drsError } from './drs-errors.js';
import { toDirectoryObject, wantedAttributes } from './drs-object.js';
import { type PositionOptions, positionAt, positionOf } from './drs-position.js';
import { type AskedReply, readAhead } from './drs-read-ahead.js';
import type { DrsAuth } from './drs-security.js';
import { KeptConnection } from './kept-connection.js';
import { SessionKeys } from './session-keys.js';

export interface DrsSourceOptions extends DrsConnectionOptions {
  /** cMaxObjects, 1 to 10,000. Default 1000; Samba sends no more than that. */
  readonly pageSize?: number | undefined;
  /** Text attributes that the scope's conditions ask for. */
  readonly conditionAttributes?: readonly ConditionAttribute[] | undefined;
  /** Asked for each new connection, in place of `auth`: a password that was changed meanwhile is read anew. */
  readonly readAuth?: (() => Promise<DrsAuth>) | undefined;
  /** Where several sources of one directory share their keys; their owner wipes them. */
  readonly sessionKeys?: SessionKeys | undefined;
}

const DEFAULT_PAGE_SIZE = 1000;
const MAX_PAGE_SIZE = 10_000;
/** cMaxBytes of a page: the server's measure, which counts no NDR. */
const MAX_PAGE_BYTES = 16 * 2 ** 20;
const MAX_OBJECT_BYTES = 2 ** 20;
const NO_GUID = new Uint8Array(16);
/** EXOP_ERR_SUCCESS (MS-DRSR 4.1.10.2.21). */
const EXOP_SUCCESS = 1;
/** What a server answers to EXOP_REPL_OBJ on an object that is not there. */
const NO_OBJECT = ['object-not-found', 'bad-distinguished-name', 'bad-naming-context'];

/**
 * Connects to the domain controller, checks that it holds the domain, and learns its NetBIOS name. Rejects with a
 * PhsyncError: what `connectDrs` rejects with, `dc-wrong-domain`, `dc-access-denied`, …. The connection is kept between
 * cycles; one that died meanwhile is made anew.
 *
 * @param signal aborted: rejects with its reason; the source that is made does not look at it any more.
 * @throws RangeError for a page size out of range.
 */
export async function createDrsSource(options: DrsSourceOptions, signal?: AbortSignal): Promise<DirectorySource> {
  const { pageSize = DEFAULT_PAGE_SIZE } = options;
  if (!Number.isInteger(pageSize) || pageSize < 1 || pageSize > MAX_PAGE_SIZE) {
    throw new RangeError(`pageSize: 1 to ${MAX_PAGE_SIZE} expected, not ${pageSize}`);
  }
  const source = new DrsSource(options, pageSize);
  try {
    await source.learnDomain(signal);
    return source;
  } catch (error) {
    await source.close();
    throw error;
  }
}

class DrsSource implements DirectorySource {
  readonly kind = 'drs';
  readonly #options: DrsSourceOptions;
  readonly #pageSize: number;
  readonly #attributes: ReadonlyMap<string, AttributeName>;
  /** With supplementalCredentials. */
  readonly #attributesAndKeys: ReadonlyMap<string, AttributeName>;
  readonly #sessionKeys: SessionKeys;
  readonly #connection: KeptConnection;
  #domain: DirectorySource['domain'];
  /** DN of the domain's naming context. */
  #ncDn = '';
  /** Of the server's NTDS DSA object: EXOP_REPL_OBJ wants the GUID of an object that exists. */
  #dsaGuid: Uint8Array | undefined;
  /** Of the server's database, as the kept connection said. */
  #invocationId: Uint8Array | undefined;

  constructor(options: DrsSourceOptions, pageSize: number) {
    this.#options = options;
    this.#pageSize = pageSize;
    this.#sessionKeys = options.sessionKeys ?? new SessionKeys();
    const conditions = options.conditionAttributes ?? [];
    this.#attributes = wantedAttributes(conditions);
    this.#attributesAndKeys = wantedAttributes([...conditions, 'supplementalCredentials']);
    this.#domain = { dnsName: options.domain, netbiosName: undefined };
    this.#connection = new KeptConnection({
      drs: options,
      description: this.description,
      connect: (signal) => this.#connect(signal),
      onRenewal: () => {
        this.#invocationId = undefined;
      },
    });
  }

  get description(): string {
    const { server, address } = this.#options;
    return address === undefined || address === server ? server : `${server} (${address})`;
  }

  get domain(): DirectorySource['domain'] {
    return this.#domain;
  }

  async learnDomain(signal: AbortSignal | undefined): Promise<void> {
    const { domain: dnsName, server } = this.#options;
    await this.#connection.call({ stage: 'domain', mayReconnect: true, signal }, async (client) => {
      // A domain's canonical name ends with a slash.
      const names = [`${dnsName}/`];
      const formatOffered = NameFormat.canonical;
      const [dn] = await client.crackNames({ formatOffered, formatDesired: NameFormat.fqdn1779, names });
      if (dn?.status !== NameStatus.ok || dn.name === undefined) {
        throw new PhsyncError('dc-wrong-domain', `${server} does not know the domain ${dnsName}`, {
          facts: { ...errorFacts(this.#options, 'domain') },
        });
      }
      this.#ncDn = dn.name;
      const [nt4] = await client.crackNames({ formatOffered, formatDesired: NameFormat.nt4Account, names });
      const netbiosName = nt4?.status === NameStatus.ok ? nt4.name?.replace(/\\$/, '') : undefined;
      this.#domain = { dnsName, netbiosName };
    });
  }

  async *pages(
    cookie: Cookie | undefined,
    signal?: AbortSignal,
    read?: ReadOptions,
  ): AsyncGenerator<DirectoryPage, void> {
    const attributes = this.#attributesFor(read);
    const options = this.#positionOptions(attributes);
    let beginning = positionOf(cookie, options);
    // A mark handed to a server that it is not of may be taken for its own, and changes be passed by.
    if (cookie !== undefined) beginning = positionAt(beginning, await this.#learnInvocationId(signal));
    const ask = (position: ReplicationCookie, first: boolean) => this.#ask(position, attributes, first, signal);
    for await (const { reply, position } of readAhead(beginning, ask, options)) {
      this.#invocationId = position.invocationId;
      yield this.#page(reply, encodeCookie(position));
    }
  }

  #ask(
    { ncDn, usn, invocationId, upToDateVector }: ReplicationCookie,
    attributes: ReadonlyMap<string, AttributeName>,
    first: boolean,
    signal?: AbortSignal,
  ): AskedReply {
    const request = {
      attributes,
      uuidDsaObjDest: NTDSAPI_CLIENT_GUID,
      uuidInvocIdSrc: invocationId,
      nc: { dn: ncDn },
      usnvecFrom: usn,
      upToDateVector,
      ulFlags:
        DrsOption.INIT_SYNC |
        DrsOption.WRIT_REP |
        DrsOption.GET_NC_SIZE |
        (upToDateVector === undefined ? DrsOption.NEVER_SYNCED : 0),
      cMaxObjects: this.#pageSize,
      cMaxBytes: MAX_PAGE_BYTES,
      ulExtendedOp: ExtendedOperation.none,
    };
    let tell: (head: ChangesReplyHead) => void = () => undefined;
    const told = new Promise<ChangesReplyHead>((resolve) => {
      tell = resolve;
    });
    const reply = this.#changes('replicate', request, first, signal, tell);
    return { head: Promise.race([told, reply]), reply };
  }

  /** The page's cookie is empty: one object moves no position. */
  async object(
    reference: { readonly guid: string } | { readonly dn: string },
    signal?: AbortSignal,
    read?: ReadOptions,
  ): Promise<DirectoryPage> {
    const nc = 'guid' in reference ? { guid: guidFromText(reference.guid) } : { dn: reference.dn };
    const none = new Uint8Array(0);
    try {
      const reply = await this.#replObj(nc, this.#attributesFor(read), signal);
      return { ...this.#page(reply, none), more: false };
    } catch (error) {
      const cause = error instanceof PhsyncError ? error.cause : undefined;
      if (!(cause instanceof ProtocolError && NO_OBJECT.includes(cause.code))) {
        throw error;
      }
      if (cause.code === 'object-not-found') {
        await this.#refuseHidden(reference, signal);
      }
      return { objects: [], sessionKeys: this.#sessionKeys.list(), cookie: none, more: false, total: undefined };
    }
  }

  async close(): Promise<void> {
    await this.#connection.close();
    if (this.#options.sessionKeys === undefined) this.#sessionKeys.wipe();
  }

  #attributesFor({ supplementalCredentials = false }: ReadOptions = {}): ReadonlyMap<string, AttributeName> {
    return supplementalCredentials ? this.#attributesAndKeys : this.#attributes;
  }

  #positionOptions(attributes: ReadonlyMap<string, AttributeName>): PositionOptions {
    const { server, domain, onNotice } = this.#options;
    return { server, domain, ncDn: this.#ncDn, attributes: [...attributes.keys()], onNotice };
  }

  /** EXOP_REPL_OBJ. */
  async #replObj(
    nc: { readonly guid: Uint8Array } | { readonly dn: string },
    attributes: ReadonlyMap<string, AttributeName>,
    signal: AbortSignal | undefined,
  ): Promise<ChangesReply<AttributeName>> {
    const uuidDsaObjDest = await this.#connection.call({ stage: 'object', mayReconnect: true, signal }, (client) =>
      this.#learnDsaGuid(client),
    );
    const request = {
      attributes,
      uuidDsaObjDest,
      uuidInvocIdSrc: NO_GUID,
      nc,
      usnvecFrom: NO_USN,
      upToDateVector: undefined,
      ulFlags: DrsOption.INIT_SYNC | DrsOption.WRIT_REP,
      cMaxObjects: 1,
      cMaxBytes: MAX_OBJECT_BYTES,
      ulExtendedOp: ExtendedOperation.replObj,
    };
    return this.#changes('object', request, true, signal);
  }

  /** Two round trips for each connection; the reply to any request names it, and the domain's head is always there. */
  async #learnInvocationId(signal: AbortSignal | undefined): Promise<Uint8Array> {
    this.#connection.dropExpired();
    if (!this.#connection.isOpen) this.#invocationId = undefined;
    this.#invocationId ??= (await this.#replObj({ dn: this.#ncDn }, this.#attributes, signal)).uuidInvocIdSrc;
    return this.#invocationId;
  }

  #page(reply: ChangesReply<AttributeName>, cookie: Cookie): DirectoryPage {
    const { objects, prefixTable, cNumNcSizeObjects } = reply;
    try {
      return {
        objects: objects.map((object) => toDirectoryObject(object, prefixTable, this.#options.conditionAttributes)),
        sessionKeys: this.#sessionKeys.list(),
        cookie,
        more: reply.fMoreData,
        total: cNumNcSizeObjects === 0 ? undefined : cNumNcSizeObjects,
      };
    } catch (error) {
      throw drsError(error, errorFacts(this.#options, 'replicate'));
    }
  }

  #changes(
    stage: DrsStage,
    {
      attributes,
      ...request
    }: Omit<ChangesRequest, 'attributes'> & {
      readonly attributes: ReadonlyMap<string, AttributeName>;
    },
    mayReconnect: boolean,
    signal: AbortSignal | undefined,
    onHead?: (head: ChangesReplyHead) => void,
  ): Promise<ChangesReply<AttributeName>> {
    return this.#connection.call({ stage, mayReconnect, signal }, async (client, lives) => {
      const tell = (head: ChangesReplyHead) => {
        lives();
        onHead?.(head);
      };
      const reply = await client.getNCChanges(request, attributes, onHead && tell);
      this.#sessionKeys.add(client.sessionKey());
      const { ulExtendedOp } = request;
      if (ulExtendedOp !== ExtendedOperation.none && reply.ulExtendedRet !== EXOP_SUCCESS) {
        throw new ProtocolError(
          'extended-operation-failed',
          `extended operation ${ulExtendedOp} ended with EXOP_ERR ${reply.ulExtendedRet}, ${EXOP_SUCCESS} expected`,
          { structure: 'DRS_MSG_GETCHGREPLY', status: reply.ulExtendedRet },
        );
      }
      return reply;
    });
  }

  async #learnDsaGuid(client: DrsClient): Promise<Uint8Array> {
    if (this.#dsaGuid === undefined) {
      const controllers = await client.domainControllerInfo(this.#options.domain, 2);
      const name = this.#options.server.toLowerCase();
      const own = controllers.find((each) => each.dnsHostName?.toLowerCase() === name) ?? controllers[0];
      this.#dsaGuid = own?.ntdsDsaObjectGuid ?? NTDSAPI_CLIENT_GUID;
    }
    return this.#dsaGuid;
  }

  /** 8333 also comes when rights are missing: an object that names itself is not gone, but hidden. */
  async #refuseHidden(
    reference: { readonly guid: string } | { readonly dn: string },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const [formatOffered, name] =
      'guid' in reference ? [NameFormat.uniqueId, `{${reference.guid}}`] : [NameFormat.fqdn1779, reference.dn];
    const [found] = await this.#connection.call({ stage: 'object', mayReconnect: true, signal }, (client) =>
      client.crackNames({ formatOffered, formatDesired: NameFormat.fqdn1779, names: [name] }),
    );
    if (found?.status === NameStatus.ok) {
      throw drsError(
        new ProtocolError('replication-access-denied', `${found.name} exists, but is not replicated to this account`),
        errorFacts(this.#options, 'object'),
      );
    }
  }

  async #connect(signal: AbortSignal | undefined): Promise<DrsConnection> {
    const { readAuth } = this.#options;
    const options = readAuth === undefined ? this.#options : { ...this.#options, auth: await readAuth() };
    const connection = await connectDrs(options, signal);
    this.#sessionKeys.add(connection.client.sessionKey());
    return connection;
  }
}
