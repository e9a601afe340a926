/** Which of the two replication rights an account has on a domain (MS-ADTS 5.1.3.2.1), by asking the domain controller. */

import type { DrsClient } from '../../protocol/drsr/drs-client.js';
import { DrsOption, ExtendedOperation } from '../../protocol/drsr/get-nc-changes-request.js';
import { ATTRIBUTE_OIDS, type AttributeName } from '../../protocol/drsr/schema.js';
import { NO_USN } from '../../protocol/drsr/vectors.js';
import { ProtocolError } from '../../protocol/errors.js';

export interface ReplicationRights {
  readonly getChanges: boolean;
  /** Undefined: cannot be told without the first. */
  readonly getChangesAll: boolean | undefined;
}

/** What a server without one of the rights answers: 8453, of a server behind a firewall of RPC filters 5. */
const DENIED: readonly string[] = ['replication-access-denied', 'access-denied'];
const NO_GUID = new Uint8Array(16);

/**
 * Asks for one object, the domain's head, twice: without secret attributes, which takes DS-Replication-Get-Changes, and
 * with unicodePwd, of which the head has none, but which takes DS-Replication-Get-Changes-All besides
 * (IsGetNCChangesPermissionGranted, MS-DRSR 4.1.10.4.2). @throws ProtocolError for every other refusal
 */
export async function probeRights(client: DrsClient, domain: string, ncDn: string): Promise<ReplicationRights> {
  // EXOP_REPL_OBJ wants the GUID of a DSA that exists.
  const [controller] = await client.domainControllerInfo(domain, 2);
  const destination = controller?.ntdsDsaObjectGuid ?? NO_GUID;
  if (!(await mayReplicate(client, destination, ncDn, ['name']))) {
    return { getChanges: false, getChangesAll: undefined };
  }
  const getChangesAll = await mayReplicate(client, destination, ncDn, ['name', 'unicodePwd']);
  return { getChanges: true, getChangesAll };
}

async function mayReplicate(
  client: DrsClient,
  uuidDsaObjDest: Uint8Array,
  dn: string,
  attributes: readonly AttributeName[],
): Promise<boolean> {
  const request = {
    uuidDsaObjDest,
    uuidInvocIdSrc: NO_GUID,
    nc: { dn },
    usnvecFrom: NO_USN,
    upToDateVector: undefined,
    ulFlags: DrsOption.INIT_SYNC | DrsOption.WRIT_REP,
    cMaxObjects: 1,
    cMaxBytes: 2 ** 20,
    ulExtendedOp: ExtendedOperation.replObj,
  };
  try {
    await client.getNCChanges(request, new Map(attributes.map((name) => [ATTRIBUTE_OIDS[name], name])));
    return true;
  } catch (error) {
    if (error instanceof ProtocolError && DENIED.includes(error.code)) return false;
    throw error;
  }
}
