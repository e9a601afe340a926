import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { oidFromBer, oidToBer } from '#src/protocol/drsr/oid.js';
import { PrefixTable } from '#src/protocol/drsr/prefix-table.js';
import { ATTRIBUTE_OIDS } from '#src/protocol/drsr/schema.js';
import { hex } from './fixtures.js';

// OID, the prefix's octets and ATTRTYP: Active Directory's well-known values (MS-DRSR 5.16.4; MS-ADSC, MS-ADA1–3).
const WELL_KNOWN: [string, number][] = [
  ['2.5.4.0', 0x0],
  ['2.5.4.4', 0x4],
  ['2.5.4.42', 0x2a],
  ['2.5.6.0', 0x10000],
  ['1.2.840.113556.1.2.13', 0x2000d],
  ['1.2.840.113556.1.2.48', 0x20030],
  ['1.2.840.113556.1.2.226', 0x200e2],
  ['1.2.840.113556.1.4.2', 0x90002],
  ['1.2.840.113556.1.4.8', 0x90008],
  ['1.2.840.113556.1.4.55', 0x90037],
  ['1.2.840.113556.1.4.90', 0x9005a],
  ['1.2.840.113556.1.4.94', 0x9005e],
  ['1.2.840.113556.1.4.96', 0x90060],
  ['1.2.840.113556.1.4.125', 0x9007d],
  ['1.2.840.113556.1.4.146', 0x90092],
  ['1.2.840.113556.1.4.159', 0x9009f],
  ['1.2.840.113556.1.4.160', 0x900a0],
  ['1.2.840.113556.1.4.221', 0x900dd],
  ['1.2.840.113556.1.4.302', 0x9012e],
  ['1.2.840.113556.1.4.656', 0x90290],
  ['1.2.840.113556.1.4.2058', 0x9080a],
  ['1.2.840.113556.1.5.9', 0xa0009],
  ['1.2.840.113556.1.3.30', 0x3001e],
  ['0.9.2342.19200300.100.1.3', 0x150003],
  ['2.16.840.1.113730.3.2.2', 0x1c0002],
];

describe('OID octets', () => {
  it.each([
    ['1.2.840.113556.1.4', '2a864886f7140104'],
    ['0.9.2342.19200300.100.1', '0992268993f22c6401'],
    ['2.16.840.1.113730.3.1', '6086480186f8420301'],
    ['2.999.3', '883703'], // X.690 8.19.5's example
    ['2.100.3', '813403'],
  ])('%s', (oid, octets) => {
    expect(hex(oidToBer(oid))).toBe(octets);
    expect(oidFromBer(oidToBer(oid))).toBe(oid);
  });

  it.each(['', '1', '3.1', '1.40', '1.2.', '1.2.x', '1.2.99999999999', '1.2.4294967295'])('refuses %j', (oid) => {
    expect(() => oidToBer(oid)).toThrow(RangeError);
  });

  it.each([[[]], [[0x86]], [[0x2a, 0x86]], [[0x2a, 0x90, 0x80, 0x80, 0x80, 0x00]]])('no OID in %j', (octets) => {
    expect(oidFromBer(Uint8Array.from(octets))).toBeUndefined();
  });
});

describe('PrefixTable', () => {
  const table = PrefixTable.wellKnown();

  it.each(WELL_KNOWN)('%s is 0x%s', (oid, attrTyp) => {
    expect(table.attrTypOf(oid)).toBe(attrTyp);
    expect(table.oidOf(attrTyp)).toBe(oid);
  });

  it('holds the 39 prefixes that every DC starts with', () => {
    expect(table.size).toBe(39);
  });

  it('knows every attribute that is asked for by its well-known prefix', () => {
    for (const oid of Object.values(ATTRIBUTE_OIDS)) {
      expect(table.attrTypOf(oid)).toBeDefined();
    }
  });

  it('gives a new prefix the next free index', () => {
    const own = PrefixTable.wellKnown();
    expect(own.attrTypOf('1.3.6.1.4.1.99999.7')).toBeUndefined();
    expect(own.makeAttid('1.3.6.1.4.1.99999.7')).toBe(39 * 65536 + 7);
    expect(own.makeAttid('1.3.6.1.4.1.99999.8')).toBe(39 * 65536 + 8);
    expect(own.oidOf(39 * 65536 + 8)).toBe('1.3.6.1.4.1.99999.8');
    expect(own.entriesFor([39 * 65536 + 8, 0x9005a])).toEqual([
      [9, '2a864886f7140104'],
      [39, '2b06010401868d1f'],
    ]);
  });

  it('yields nothing for an index that it lacks', () => {
    expect(table.oidOf(0xffff0001)).toBeUndefined();
  });

  it('goes both ways with any last arc, across the edges at 128 and 16384', () => {
    const arc = fc.oneof(
      fc.constantFrom(0, 127, 128, 16383, 16384, 16511, 16512, 32767, 32768, 2097151),
      fc.nat(2097151),
    );
    fc.assert(
      fc.property(arc, fc.nat(100000), (last, before) => {
        const own = new PrefixTable();
        const oid = `1.2.840.${before}.${last}`;
        const attrTyp = own.makeAttid(oid);
        expect(attrTyp & 0xffff).toBe(last < 16384 ? last : 32768 + (last % 16384));
        expect(own.oidOf(attrTyp)).toBe(oid);
      }),
    );
  });
});
