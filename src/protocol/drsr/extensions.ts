/** DRS_EXTENSIONS_INT (MS-DRSR 5.39): what each side of a DRSBind can do. */

import type { NdrReader } from '../ndr/ndr-reader.js';
import type { NdrWriter } from '../ndr/ndr-writer.js';

/** dwFlags. */
export const DrsExtension = {
  BASE: 0x0000_0001,
  DCINFO_V1: 0x0000_0020,
  LINKED_VALUE_REPLICATION: 0x0000_0400,
  DCINFO_V2: 0x0000_0800,
  CRYPTO_BIND: 0x0000_2000,
  /** Without it no secrets come. */
  STRONG_ENCRYPTION: 0x0000_8000,
  GETCHGREQ_V6: 0x0040_0000,
  NONDOMAIN_NCS: 0x0080_0000,
  GETCHGREQ_V8: 0x0100_0000,
  GETCHGREPLY_V5: 0x0200_0000,
  GETCHGREPLY_V6: 0x0400_0000,
  GETCHGREQ_V10: 0x2000_0000,
} as const;

/** dwFlagsExt. */
export const DrsExtensionExt = {
  LH_BETA2: 0x0002,
  RECYCLE_BIN: 0x0004,
  GETCHGREPLY_V9: 0x0100,
  PAM: 0x0200,
  /** Without it a DC with the 32k page feature refuses replication (Windows Server 2025). */
  PAGES_32K: 0x1000,
} as const;

export interface DrsExtensions {
  readonly dwFlags: number;
  /** 16 bytes. */
  readonly siteObjGuid: Uint8Array;
  readonly pid: number;
  readonly dwReplEpoch: number;
  /** From here on only with cb ≥ 48; zero where the peer's structure ends before. */
  readonly dwFlagsExt: number;
  readonly configObjGuid: Uint8Array;
  /** Only with cb ≥ 52. */
  readonly dwExtCaps: number;
}

/** The structure's own range of cb is 1 to 10,000. */
const MAX_CB = 10_000;
/** cb of the whole structure as we know it. */
const FULL_CB = 52;
const NO_GUID = new Uint8Array(16);

/** What this client offers: no compression, replies up to V6, everything that modern DCs insist on. */
export function clientExtensions(dwReplEpoch = 0): DrsExtensions {
  const ext = DrsExtensionExt.LH_BETA2 | DrsExtensionExt.RECYCLE_BIN | DrsExtensionExt.PAM | DrsExtensionExt.PAGES_32K;
  return {
    dwFlags: Object.values(DrsExtension).reduce((flags, bit) => flags | bit, 0) >>> 0,
    siteObjGuid: NO_GUID,
    pid: 0,
    dwReplEpoch,
    dwFlagsExt: ext,
    configObjGuid: NO_GUID,
    dwExtCaps: ext,
  };
}

/** The referent of a DRS_EXTENSIONS pointer: parsed by its cb, a short one read as if zeros followed. */
export function readExtensions(reader: NdrReader): DrsExtensions {
  return reader.within('DRS_EXTENSIONS_INT', () => {
    const maxCount = reader.count('max_count', MAX_CB, 1);
    const cb = reader.u32();
    if (cb !== maxCount || cb === 0) {
      throw reader.fail('conformance', `cb is ${cb}, max_count ${maxCount}; equal and at least 1 expected`);
    }
    const bytes = new Uint8Array(Math.max(cb, FULL_CB));
    bytes.set(reader.view(cb));
    const view = new DataView(bytes.buffer);
    return {
      dwFlags: view.getUint32(0, true),
      siteObjGuid: bytes.subarray(4, 20),
      pid: view.getUint32(20, true),
      dwReplEpoch: view.getUint32(24, true),
      dwFlagsExt: view.getUint32(28, true),
      configObjGuid: bytes.subarray(32, 48),
      dwExtCaps: view.getUint32(48, true),
    };
  });
}

/** The referent of a DRS_EXTENSIONS pointer, cut at `cb` (28, 48 or 52). */
export function writeExtensions(writer: NdrWriter, extensions: DrsExtensions, cb: 28 | 48 | 52 = FULL_CB): void {
  writer.u32(cb).u32(cb);
  writer.u32(extensions.dwFlags).guid(extensions.siteObjGuid).u32(extensions.pid).u32(extensions.dwReplEpoch);
  if (cb >= 48) {
    writer.u32(extensions.dwFlagsExt).guid(extensions.configObjGuid);
  }
  if (cb >= 52) {
    writer.u32(extensions.dwExtCaps);
  }
}
