/** IDL_DRSCrackNames (opnum 12), stubs both ways (MS-DRSR 4.1.4). */

import { NdrReader } from '../ndr/ndr-reader.js';
import { NdrWriter } from '../ndr/ndr-writer.js';
import { win32Error } from './win32-errors.js';

export const DRS_CRACK_NAMES_OPNUM = 12;

/** DS_NAME_FORMAT (MS-DRSR 4.1.4.1.3) and the formats that only the wire has. */
export const NameFormat = {
  unknown: 0,
  fqdn1779: 1,
  nt4Account: 2,
  display: 3,
  uniqueId: 6,
  canonical: 7,
  userPrincipal: 8,
  sidOrSidHistory: 11,
} as const;

/** DS_NAME_ERROR (MS-DRSR 4.1.4.1.4). */
export const NameStatus = {
  ok: 0,
  resolving: 1,
  notFound: 2,
  notUnique: 3,
  noMapping: 4,
  domainOnly: 5,
  noSyntacticalMapping: 6,
  trustReferral: 7,
} as const;

export interface CrackNamesRequest {
  readonly formatOffered: number;
  readonly formatDesired: number;
  /** 1 to 10,000 names. */
  readonly names: readonly string[];
}

export interface CrackedName {
  /** One of NameStatus. */
  readonly status: number;
  readonly domain: string | undefined;
  readonly name: string | undefined;
}

const MAX_NAMES = 10_000;
const MAX_NAME = 65_536;

export function encodeCrackNamesRequest(handle: Uint8Array, request: CrackNamesRequest): Uint8Array {
  const { names } = request;
  if (names.length < 1 || names.length > MAX_NAMES) {
    throw new RangeError(`names: 1 to ${MAX_NAMES} expected, ${names.length} given`);
  }
  const writer = new NdrWriter();
  writer.raw(handle).u32(1).u32(1);
  writer.u32(0).u32(0).u32(0); // CodePage, LocaleId, dwFlags
  writer.u32(request.formatOffered).u32(request.formatDesired);
  writer.u32(names.length).pointer(true);
  writer.u32(names.length);
  for (let i = 0; i < names.length; i++) {
    writer.pointer(true);
  }
  for (const name of names) {
    writer.align(4).string(name);
  }
  return writer.finish();
}

/** One item a name, in order. @throws ProtocolError on a status other than 0 and a malformed stub. */
export function decodeCrackNamesReply(stub: Uint8Array): CrackedName[] {
  const reader = new NdrReader(stub, 'DRSCrackNames reply');
  const version = reader.u32();
  const tag = reader.u32();
  if (version !== 1 || tag !== 1) {
    throw reader.fail('unsupported-reply-version', `version ${version}, union tag ${tag}, 1 expected of both`);
  }
  const items: CrackedName[] = [];
  if (reader.pointer()) {
    reader.within('DS_NAME_RESULTW', () => {
      const cItems = reader.count('cItems', MAX_NAMES, 0);
      if (reader.pointer()) {
        reader.conformance('rItems', cItems, 12);
        readItems(reader, cItems, items);
      }
    });
  }
  const status = reader.u32();
  reader.end();
  if (status !== 0) {
    throw win32Error('DRSCrackNames', status);
  }
  return items;
}

function readItems(reader: NdrReader, count: number, items: CrackedName[]): void {
  const heads: { status: number; hasDomain: boolean; hasName: boolean }[] = [];
  for (let i = 0; i < count; i++) {
    heads.push({ status: reader.u32(), hasDomain: reader.pointer(), hasName: reader.pointer() });
  }
  for (const { status, hasDomain, hasName } of heads) {
    const domain = hasDomain ? reader.string('pDomain', MAX_NAME) : undefined;
    const name = hasName ? reader.string('pName', MAX_NAME) : undefined;
    items.push({ status, domain, name });
  }
}
