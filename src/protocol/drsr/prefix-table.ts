/** SCHEMA_PREFIX_TABLE: OID ↔ ATTRTYP both ways (MS-DRSR 5.16.4, MakeAttid and OidFromAttid; 5.180). */

import type { NdrReader } from '../ndr/ndr-reader.js';
import type { NdrWriter } from '../ndr/ndr-writer.js';
import { oidFromBer, oidToBer } from './oid.js';

/** Entries taken from a peer; Active Directory has 39 of its own and one a vendor. */
const MAX_ENTRIES = 10_000;
/** Bytes of one prefix taken from a peer. */
const MAX_PREFIX_SIZE = 256;
/** schemaInfo: 0xFF, a revision of 4 bytes, a GUID of 16 (MS-DRSR 5.180). */
const SCHEMA_INFO_SIZE = 21;

/** NewPrefixTable (MS-DRSR 5.16.4): the indices that every DC starts with. */
const WELL_KNOWN: readonly (readonly [ndx: number, prefix: string])[] = [
  [0, '5504'],
  [1, '5506'],
  [2, '2a864886f7140102'],
  [3, '2a864886f7140103'],
  [4, '6086480165020201'],
  [5, '6086480165020203'],
  [6, '6086480165020105'],
  [7, '6086480165020104'],
  [8, '5505'],
  [9, '2a864886f7140104'],
  [10, '2a864886f7140105'],
  [11, '2a864886f71401048204'],
  [12, '2a864886f714010538'],
  [13, '2a864886f71401048206'],
  [14, '2a864886f714010539'],
  [15, '2a864886f71401048207'],
  [16, '2a864886f71401053a'],
  [17, '2a864886f714010549'],
  [18, '2a864886f71401048231'],
  [19, '0992268993f22c64'],
  [20, '6086480186f84203'],
  [21, '0992268993f22c6401'],
  [22, '6086480186f8420301'],
  [23, '2a864886f7140105b658'],
  [24, '5515'],
  [25, '5512'],
  [26, '5514'],
  [27, '2b060104018b3a6577'],
  [28, '6086480186f8420302'],
  [29, '2b06010401817a01'],
  [30, '2a864886f70d0109'],
  [31, '0992268993f22c6404'],
  [32, '2a864886f714010617'],
  [33, '2a864886f71401061201'],
  [34, '2a864886f71401061202'],
  [35, '2a864886f71401060d03'],
  [36, '2a864886f71401060d04'],
  [37, '2b0601010101'],
  [38, '2b0601010102'],
];

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** MakeAttid's cut: the prefix and the lower word of the ATTRTYP. */
function cut(oid: string): { prefix: string; lowerWord: number } {
  const ber = oidToBer(oid);
  const lastArc = Number(oid.slice(oid.lastIndexOf('.') + 1));
  const size = lastArc < 128 ? 1 : 2;
  return {
    prefix: hex(ber.subarray(0, ber.length - size)),
    lowerWord: (lastArc % 16384) + (lastArc >= 16384 ? 32768 : 0),
  };
}

export class PrefixTable {
  readonly #byIndex = new Map<number, string>();
  readonly #byPrefix = new Map<string, number>();
  readonly #oids = new Map<number, string | undefined>();

  /** @param entries ndx and prefix as hex; of an ndx or prefix that comes twice, the first counts. */
  constructor(entries: Iterable<readonly [ndx: number, prefix: string]> = []) {
    for (const [ndx, prefix] of entries) {
      this.#add(ndx, prefix);
    }
  }

  static wellKnown(): PrefixTable {
    return new PrefixTable(WELL_KNOWN);
  }

  #add(ndx: number, prefix: string): void {
    if (!this.#byIndex.has(ndx) && !this.#byPrefix.has(prefix)) {
      this.#byIndex.set(ndx, prefix);
      this.#byPrefix.set(prefix, ndx);
    }
  }

  get size(): number {
    return this.#byIndex.size;
  }

  /** The ATTRTYP of an OID; undefined when its prefix is not in the table. @throws RangeError when it is no OID. */
  attrTypOf(oid: string): number | undefined {
    const { prefix, lowerWord } = cut(oid);
    const ndx = this.#byPrefix.get(prefix);
    return ndx === undefined ? undefined : ndx * 65536 + lowerWord;
  }

  /** MakeAttid: as `attrTypOf`, but a missing prefix joins the table under the next free index. */
  makeAttid(oid: string): number {
    const { prefix, lowerWord } = cut(oid);
    if (!this.#byPrefix.has(prefix)) {
      this.#add(Math.max(-1, ...this.#byIndex.keys()) + 1, prefix);
    }
    return this.#byPrefix.get(prefix)! * 65536 + lowerWord;
  }

  /** OidFromAttid: undefined when the index is not in the table, or what results is no OID. */
  oidOf(attrTyp: number): string | undefined {
    if (!this.#oids.has(attrTyp)) {
      this.#oids.set(attrTyp, this.#oidOf(attrTyp));
    }
    return this.#oids.get(attrTyp);
  }

  #oidOf(attrTyp: number): string | undefined {
    const prefix = this.#byIndex.get(attrTyp >>> 16);
    if (prefix === undefined) {
      return undefined;
    }
    const lowerWord = attrTyp & 0xffff;
    const bytes = [...Buffer.from(prefix, 'hex')];
    if (lowerWord < 128) {
      bytes.push(lowerWord);
    } else {
      const arc = lowerWord % 32768;
      bytes.push(((arc >> 7) & 127) | 128, arc & 127);
    }
    return oidFromBer(Uint8Array.from(bytes));
  }

  /** The entries that `attrTyps` need, in the table's order. */
  entriesFor(attrTyps: Iterable<number>): [ndx: number, prefix: string][] {
    const used = new Set([...attrTyps].map((attrTyp) => attrTyp >>> 16));
    return [...this.#byIndex].filter(([ndx]) => used.has(ndx));
  }
}

/** The structure's fixed part: PrefixCount and pPrefixEntry. Returns what `readPrefixEntries` needs. */
export function readPrefixTableHead(reader: NdrReader): number {
  return reader.within('SCHEMA_PREFIX_TABLE', () => {
    const count = reader.count('PrefixCount', MAX_ENTRIES, 0);
    const present = reader.pointer();
    if (count > 0 && !present) {
      throw reader.fail('null-pointer', `pPrefixEntry is null with PrefixCount ${count}`);
    }
    return present ? count : -1;
  });
}

/** The deferred PrefixTableEntry array. The schemaInfo, which shares ndx 0 with 2.5.4, is left out. */
export function readPrefixEntries(reader: NdrReader, count: number): PrefixTable {
  if (count < 0) {
    return new PrefixTable();
  }
  return reader.within('PrefixTableEntry', () => {
    reader.conformance('pPrefixEntry', count, 12);
    const heads: { ndx: number; length: number; present: boolean }[] = [];
    for (let i = 0; i < count; i++) {
      heads.push({ ndx: reader.u32(), length: reader.u32(), present: reader.pointer() });
    }
    const entries: [number, string][] = [];
    for (const { ndx, length, present } of heads) {
      if (length > MAX_PREFIX_SIZE) {
        throw reader.fail('limit', `prefix of ${length} bytes, at most ${MAX_PREFIX_SIZE} taken`);
      }
      if (!present) {
        continue;
      }
      reader.conformance('elements', length, 1);
      const prefix = reader.view(length);
      if (length > 0 && !(length === SCHEMA_INFO_SIZE && prefix[0] === 0xff)) {
        entries.push([ndx, hex(prefix)]);
      }
    }
    return new PrefixTable(entries);
  });
}

/** Bytes of every entry of a PrefixTableDest, with the closing schemaInfo, without which Samba answers 87. */
export function destinationEntries(table: PrefixTable, attrTyps: readonly number[]): (readonly [number, Uint8Array])[] {
  const schemaInfo = new Uint8Array(SCHEMA_INFO_SIZE);
  schemaInfo[0] = 0xff;
  const entries = table
    .entriesFor(attrTyps)
    .map(([ndx, prefix]) => [ndx, Uint8Array.from(Buffer.from(prefix, 'hex'))] as const);
  return [...entries, [0, schemaInfo]];
}

/** The deferred PrefixTableEntry array. */
export function writePrefixEntries(writer: NdrWriter, entries: readonly (readonly [number, Uint8Array])[]): void {
  writer.u32(entries.length);
  for (const [ndx, prefix] of entries) {
    writer.u32(ndx).u32(prefix.length).pointer(true);
  }
  for (const [, prefix] of entries) {
    writer.u32(prefix.length).raw(prefix);
  }
}
