/** The replication cookie: where the next cycle starts, as versioned UTF-8 JSON (MS-DRSR 5.209, 5.207 for its vectors). */

import { guidFromText, guidToText } from '../dtyp/guid.js';
import { ProtocolError } from '../errors.js';
import { MAX_CURSORS, type UpToDateCursor, type UsnVector } from './vectors.js';

export interface ReplicationCookie {
  /** The naming context's head. */
  readonly ncDn: string;
  /** 16 bytes; undefined where the server did not name it. */
  readonly ncGuid: Uint8Array | undefined;
  /** 16 bytes: the server that `usn` is from. */
  readonly invocationId: Uint8Array;
  readonly usn: UsnVector;
  /** From the last complete cycle; undefined before there was one. */
  readonly upToDateVector: readonly UpToDateCursor[] | undefined;
  /** High-water marks of other domain controllers that were asked before, the latest first. */
  readonly marks: readonly HighWaterMark[];
  /** OIDs that were asked for: what lies behind the cookie holds for these alone. */
  readonly attributes: readonly string[];
}

export interface HighWaterMark {
  /** 16 bytes. */
  readonly invocationId: Uint8Array;
  readonly usn: UsnVector;
}

const VERSION = 1;
/** Bytes of a cookie taken back: some 80 a cursor. */
const MAX_SIZE = 100 * MAX_CURSORS;
const MAX_USN = 2n ** 63n - 1n;

export function encodeCookie(cookie: ReplicationCookie): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify({
      drsCookie: VERSION,
      nc: cookie.ncDn,
      ncGuid: cookie.ncGuid && guidToText(cookie.ncGuid),
      invocationId: guidToText(cookie.invocationId),
      usn: usnTexts(cookie.usn),
      marks:
        cookie.marks.length === 0
          ? undefined
          : cookie.marks.map((mark) => [guidToText(mark.invocationId), usnTexts(mark.usn)]),
      upToDate: cookie.upToDateVector?.map((cursor) => [guidToText(cursor.uuidDsa), String(cursor.usnHighPropUpdate)]),
      attributes: cookie.attributes,
    }),
  );
}

/** @throws ProtocolError `bad-cookie` when the bytes are not what `encodeCookie` wrote. */
export function decodeCookie(bytes: Uint8Array): ReplicationCookie {
  const value = parse(bytes);
  if (value.drsCookie !== VERSION) {
    throw bad(`version ${VERSION} expected`);
  }
  const upToDate = value.upToDate === undefined ? undefined : list(value.upToDate, 'upToDate', undefined);
  return {
    ncDn: text(value.nc, 'nc'),
    ncGuid: value.ncGuid === undefined ? undefined : guid(value.ncGuid, 'ncGuid'),
    invocationId: guid(value.invocationId, 'invocationId'),
    usn: usnVector(value.usn, 'usn'),
    // Cookies of before had none.
    marks: list(value.marks ?? [], 'marks', undefined).map((item) => {
      const [invocationId, usn] = list(item, 'marks', 2);
      return { invocationId: guid(invocationId, 'marks'), usn: usnVector(usn, 'marks') };
    }),
    upToDateVector: upToDate?.map((item) => {
      const [uuidDsa, high] = list(item, 'upToDate', 2);
      return { uuidDsa: guid(uuidDsa, 'upToDate'), usnHighPropUpdate: usnOf(high, 'upToDate') };
    }),
    attributes: list(value.attributes, 'attributes', undefined).map((oid) => text(oid, 'attributes')),
  };
}

function usnTexts(usn: UsnVector): string[] {
  return [usn.usnHighObjUpdate, usn.usnReserved, usn.usnHighPropUpdate].map(String);
}

function usnVector(value: unknown, field: string): UsnVector {
  const [high, reserved, property] = list(value, field, 3).map((item) => usnOf(item, field));
  return { usnHighObjUpdate: high!, usnReserved: reserved!, usnHighPropUpdate: property! };
}

function bad(what: string, cause?: unknown): ProtocolError {
  return new ProtocolError('bad-cookie', `replication cookie: ${what}`, { structure: 'cookie', cause });
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length > MAX_SIZE) {
    throw bad(`${bytes.length} bytes, at most ${MAX_SIZE} taken`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw bad('JSON expected', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw bad('a JSON object expected');
  }
  return value as Record<string, unknown>;
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string') {
    throw bad(`${field}: text expected`);
  }
  return value;
}

function list(value: unknown, field: string, size: number | undefined): unknown[] {
  if (!Array.isArray(value) || value.length > MAX_CURSORS || (size !== undefined && value.length !== size)) {
    throw bad(`${field}: a list${size === undefined ? '' : ` of ${size}`} expected`);
  }
  return value;
}

function guid(value: unknown, field: string): Uint8Array {
  try {
    return guidFromText(text(value, field));
  } catch (cause) {
    throw bad(`${field}: a GUID expected`, cause);
  }
}

function usnOf(value: unknown, field: string): bigint {
  const digits = text(value, field);
  const usn = /^\d{1,19}$/.test(digits) ? BigInt(digits) : -1n;
  if (usn < 0n || usn > MAX_USN) {
    throw bad(`${field}: a USN expected`);
  }
  return usn;
}
