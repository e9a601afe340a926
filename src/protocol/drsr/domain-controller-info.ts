/** IDL_DRSDomainControllerInfo (opnum 16), levels 1 and 2, stubs both ways (MS-DRSR 4.1.5). */

import { NdrReader } from '../ndr/ndr-reader.js';
import { NdrWriter } from '../ndr/ndr-writer.js';
import { win32Error } from './win32-errors.js';

export const DRS_DOMAIN_CONTROLLER_INFO_OPNUM = 16;

export interface DomainControllerInfo {
  readonly netbiosName: string | undefined;
  readonly dnsHostName: string | undefined;
  readonly siteName: string | undefined;
  readonly computerObjectName: string | undefined;
  readonly serverObjectName: string | undefined;
  readonly isPdc: boolean;
  readonly isDsEnabled: boolean;
  /** From here on level 2 only. GUIDs are copies of 16 bytes. */
  readonly siteObjectName: string | undefined;
  readonly ntdsDsaObjectName: string | undefined;
  readonly isGc: boolean | undefined;
  readonly ntdsDsaObjectGuid: Uint8Array | undefined;
}

const MAX_CONTROLLERS = 10_000;
const MAX_NAME = 65_536;
/** 5 pointers and 2 BOOLs; 7 pointers, 3 BOOLs and 4 GUIDs. */
const SIZES = { 1: 28, 2: 104 } as const;

/** @param domain DNS or NetBIOS name. */
export function encodeDomainControllerInfoRequest(handle: Uint8Array, domain: string, level: 1 | 2): Uint8Array {
  const writer = new NdrWriter(256);
  writer.raw(handle).u32(1).u32(1).pointer(true).u32(level).string(domain);
  return writer.finish();
}

/** @throws ProtocolError on a status other than 0 and a malformed stub. */
export function decodeDomainControllerInfoReply(stub: Uint8Array): DomainControllerInfo[] {
  const reader = new NdrReader(stub, 'DRSDomainControllerInfo reply');
  const version = reader.u32();
  const tag = reader.u32();
  let controllers: DomainControllerInfo[] = [];
  if (version === 1 || version === 2) {
    if (tag !== version) {
      throw reader.fail('conformance', `the union's tag is ${tag}, pdwOutVersion ${version}`);
    }
    controllers = reader.within(`DRS_MSG_DCINFOREPLY_V${version}`, () => readControllers(reader, version));
  } else if (reader.remaining > 4) {
    throw reader.fail('unsupported-reply-version', `the reply has version ${version}, 1 or 2 expected`);
  }
  const status = reader.u32();
  reader.end();
  if (status !== 0) {
    throw win32Error('DRSDomainControllerInfo', status);
  }
  return controllers;
}

function readControllers(reader: NdrReader, version: 1 | 2): DomainControllerInfo[] {
  const count = reader.count('cItems', MAX_CONTROLLERS, 0);
  const present = reader.pointer();
  if (!present) {
    return [];
  }
  reader.conformance('rItems', count, SIZES[version]);
  const heads = Array.from({ length: count }, () => readHead(reader, version));
  return heads.map(({ pointers, flags, ntdsDsaObjectGuid }) => {
    const names = pointers.map((set) => (set ? reader.string('name', MAX_NAME) : undefined));
    const [netbiosName, dnsHostName, siteName, ...rest] = names;
    const [siteObjectName, computerObjectName, serverObjectName, ntdsDsaObjectName] =
      version === 2 ? rest : [undefined, ...rest];
    return {
      netbiosName,
      dnsHostName,
      siteName,
      computerObjectName,
      serverObjectName,
      isPdc: flags[0]!,
      isDsEnabled: flags[1]!,
      siteObjectName,
      ntdsDsaObjectName,
      isGc: flags[2],
      ntdsDsaObjectGuid,
    };
  });
}

function readHead(reader: NdrReader, version: 1 | 2) {
  const pointers = Array.from({ length: version === 2 ? 7 : 5 }, () => reader.pointer());
  const flags = Array.from({ length: version === 2 ? 3 : 2 }, () => reader.u32() !== 0);
  if (version === 1) {
    return { pointers, flags, ntdsDsaObjectGuid: undefined };
  }
  // SiteObjectGuid, ComputerObjectGuid, ServerObjectGuid, NtdsDsaObjectGuid.
  reader.view(48);
  return { pointers, flags, ntdsDsaObjectGuid: new Uint8Array(reader.guid()) };
}
