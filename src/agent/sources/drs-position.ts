/**
 * Where replication goes on (MS-DRSR 4.1.10.1.1): the high-water mark means something to the domain controller alone that
 * gave it; the up-to-dateness vector tells every other one what need not be sent again.
 */

import { PhsyncError } from '../../hasher/errors.js';
import { decodeCookie, type ReplicationCookie } from '../../protocol/drsr/cookie.js';
import type { ChangesReply, ChangesReplyHead } from '../../protocol/drsr/get-nc-changes-reply.js';
import { NO_USN, type UpToDateCursor } from '../../protocol/drsr/vectors.js';
import { guidToText } from '../../protocol/dtyp/guid.js';
import type { Cookie } from '../source.js';

/** High-water marks of other domain controllers that are remembered, newest first. */
const MAX_MARKS = 16;
const NO_GUID = new Uint8Array(16);

export interface PositionOptions {
  readonly server: string;
  readonly domain: string;
  /** DN of the naming context. */
  readonly ncDn: string;
  /** OIDs that are asked for. */
  readonly attributes: readonly string[];
  readonly onNotice?: ((notice: { readonly code: string; readonly message: string }) => void) | undefined;
}

/** @throws PhsyncError `cookie-corrupt`, `cookie-foreign` */
export function positionOf(cookie: Cookie | undefined, options: PositionOptions): ReplicationCookie {
  const { ncDn, attributes, server, onNotice } = options;
  const beginning = {
    ncDn,
    ncGuid: undefined,
    invocationId: NO_GUID,
    usn: NO_USN,
    upToDateVector: undefined,
    attributes,
    marks: [],
  };
  if (cookie === undefined) return beginning;
  let position: ReplicationCookie;
  try {
    position = decodeCookie(cookie);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new PhsyncError('cookie-corrupt', `the stored replication cookie cannot be read: ${reason}`, {
      cause,
      facts: { server },
    });
  }
  if (position.ncDn.toLowerCase() !== ncDn.toLowerCase()) {
    throw foreign(`it is of ${position.ncDn}, the directory is ${ncDn}`, options);
  }
  if (attributes.some((oid) => !position.attributes.includes(oid))) {
    onNotice?.({
      code: 'attribute-set-changed',
      message: 'more attributes are synchronized than before: replication starts from the beginning',
    });
    return beginning;
  }
  // What is not asked for any more goes by unseen, and must not count as seen when it is asked for again.
  return { ...position, attributes };
}

/**
 * The position at the domain controller with this invocation id: its own high-water mark, where it is remembered; void
 * where it never was asked, or was restored since, which gives it another id.
 */
export function positionAt(position: ReplicationCookie, invocationId: Uint8Array): ReplicationCookie {
  if (same(position.invocationId, invocationId)) return position;
  const { invocationId: former, usn } = position;
  const own = position.marks.find((mark) => same(mark.invocationId, invocationId));
  const others = position.marks.filter((mark) => mark !== own && !same(mark.invocationId, former));
  const left = same(former, NO_GUID) ? [] : [{ invocationId: former, usn }];
  return {
    ...position,
    invocationId,
    usn: own?.usn ?? NO_USN,
    marks: [...left, ...others].slice(0, MAX_MARKS),
  };
}

/** @throws PhsyncError `cookie-foreign`: another domain of the same name answers */
export function advance(
  position: ReplicationCookie,
  reply: ChangesReplyHead & Pick<Partial<ChangesReply>, 'upToDateVector'>,
  options: PositionOptions,
): ReplicationCookie {
  const ncGuid = reply.nc === undefined ? undefined : new Uint8Array(reply.nc.guid);
  if (ncGuid !== undefined && position.ncGuid !== undefined && !same(ncGuid, position.ncGuid)) {
    throw foreign(`${position.ncDn} is another domain of the same name now`, options);
  }
  return {
    ...positionAt(position, reply.uuidInvocIdSrc),
    ncGuid: ncGuid ?? position.ncGuid,
    usn: reply.usnvecTo,
    // Until the cycle is complete, the vector of the last complete one is all that is certain.
    upToDateVector: reply.fMoreData ? position.upToDateVector : merge(position.upToDateVector, reply.upToDateVector),
  };
}

/** What either vector covers has been seen: a domain controller that lags behind another takes nothing back. */
function merge(
  known: readonly UpToDateCursor[] | undefined,
  told: readonly UpToDateCursor[] | undefined,
): readonly UpToDateCursor[] | undefined {
  if (known === undefined || told === undefined) return told ?? known;
  const merged = new Map(told.map((cursor) => [guidToText(cursor.uuidDsa), cursor]));
  for (const cursor of known) {
    const key = guidToText(cursor.uuidDsa);
    const other = merged.get(key);
    if (other === undefined || other.usnHighPropUpdate < cursor.usnHighPropUpdate) merged.set(key, cursor);
  }
  return [...merged.values()];
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function foreign(why: string, { server, domain }: PositionOptions): PhsyncError {
  return new PhsyncError('cookie-foreign', `the stored replication cookie does not belong to this directory: ${why}`, {
    facts: { server, domain },
  });
}
