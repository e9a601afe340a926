import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProtocolError } from '#src/protocol/errors.js';
import { NdrReader, utf16le } from '#src/protocol/ndr/ndr-reader.js';
import { NdrWriter } from '#src/protocol/ndr/ndr-writer.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const unhex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const reader = (text: string) => new NdrReader(unhex(text), 'test');

describe('NdrWriter', () => {
  test('alignment and order of primitives (C706 14.2)', () => {
    const writer = new NdrWriter(1);
    writer.u8(1).u16(0x0302).u8(4).u32(0x08070605).u8(9).u64(0x11100f0e0d0c0b0an);
    expect(hex(writer.finish())).toBe('01000203 04000000 05060708 09000000 0a0b0c0d0e0f1011'.replaceAll(' ', ''));
  });

  test('negative numbers wrap to their width', () => {
    expect(hex(new NdrWriter().u32(-1).u64(-2n).finish())).toBe('ffffffff00000000feffffffffffffff');
  });

  test('referent ids: null, then counting up by 4 from 0x00020000', () => {
    expect(hex(new NdrWriter().pointer(false).pointer(true).pointer(true).finish())).toBe('000000000000020004000200');
  });

  test('[string] wchar_t*: max_count, offset, actual_count, the NUL counts (C706 14.3.4.2)', () => {
    expect(hex(new NdrWriter().string('Aé').finish())).toBe(
      '03000000 00000000 03000000 4100 e900 0000'.replaceAll(' ', ''),
    );
    expect(hex(new NdrWriter().string('').finish())).toBe('0100000000000000010000000000');
  });

  test('growing keeps what was written', () => {
    const writer = new NdrWriter(4);
    for (let i = 0; i < 5000; i++) {
      writer.u32(i);
    }
    expect(writer.length).toBe(20_000);
    const bytes = writer.finish();
    expect(new DataView(bytes.buffer).getUint32(4 * 4999, true)).toBe(4999);
  });

  test('a GUID aligns to 4 and has 16 bytes', () => {
    expect(hex(new NdrWriter().u8(1).guid(new Uint8Array(16).fill(7)).finish())).toBe(`01000000${'07'.repeat(16)}`);
    expect(() => new NdrWriter().guid(new Uint8Array(15))).toThrow(RangeError);
  });
});

describe('NdrReader', () => {
  test('reads what the wire says, at its alignment', () => {
    const ndr = reader('01 ff 0203 04 ffffff 05060708 0a0b0c0d0e0f10ff');
    expect([ndr.u8(), ndr.u16(), ndr.u8(), ndr.u32()]).toEqual([1, 0x0302, 4, 0x08070605]);
    // Offset 12 is aligned to 4 alone: a hyper would have to stand at 16.
    expect(() => ndr.u64()).toThrow(ProtocolError);
    expect(reader('0a0b0c0d0e0f10ff').u64()).toBe(0xff100f0e0d0c0b0an);
    expect(reader('0a0b0c0d0e0f10ff').i64()).toBe(0xff100f0e0d0c0b0an - 2n ** 64n);
    expect(reader('ffffffff').i32()).toBe(-1);
  });

  test('alignment counts from the start of the bytes given, not of their memory', () => {
    const memory = unhex('ff 01 ffffff 02000000');
    const ndr = new NdrReader(memory.subarray(1), 'test');
    expect([ndr.u8(), ndr.u32()]).toEqual([1, 2]);
  });

  test('views share memory', () => {
    const bytes = unhex('0102');
    new NdrReader(bytes, 'test').view(2)[0] = 9;
    expect(bytes[0]).toBe(9);
  });

  test('strings: what the NUL ends, what it does not', () => {
    expect(reader('03000000 00000000 03000000 4100 e900 0000').string('name', 10)).toBe('Aé');
    expect(reader('02000000 00000000 02000000 4100 e900').string('name', 10)).toBe('Aé');
    expect(reader('00000000 00000000 00000000').string('name', 10)).toBe('');
  });

  test('UTF-16 keeps a leading U+FEFF, and lone surrogates become U+FFFD', () => {
    expect(utf16le(unhex('fffe 4100'))).toBe('\ufeffA');
    expect(utf16le(unhex('00d8 4100'))).toBe('\ufffdA');
  });

  test.each<[string, string, string, (ndr: NdrReader) => unknown]>([
    ['u32 with 3 bytes', '010203', 'truncated', (ndr) => ndr.u32()],
    ['u16 whose padding is not there', '01', 'truncated', (ndr) => [ndr.u8(), ndr.u16()]],
    ['a view beyond the end', '0102', 'truncated', (ndr) => ndr.view(3)],
    ['a GUID of 15 bytes', '00'.repeat(15), 'truncated', (ndr) => ndr.guid()],
    ['a count above the limit', '05000000', 'limit', (ndr) => ndr.count('n', 4, 0)],
    ['a count beyond what is left', 'ffffffff 00000000', 'truncated', (ndr) => ndr.count('n', 2 ** 32, 1)],
    ['another conformance', '05000000', 'conformance', (ndr) => ndr.conformance('n', 4, 1)],
    ['a conformance beyond what is left', '04000000 0000', 'truncated', (ndr) => ndr.conformance('n', 4, 1)],
    ['a null [ref] pointer', '00000000', 'null-pointer', (ndr) => ndr.referent()],
    ['a string at an offset', '02000000 01000000 01000000 4100', 'conformance', (ndr) => ndr.string('s', 9)],
    ['actual_count above max_count', '01000000 00000000 02000000 41004200', 'conformance', (ndr) => ndr.string('s', 9)],
    ['a string above the limit', '0a000000 00000000 0a000000', 'limit', (ndr) => ndr.string('s', 9)],
    ['a string of 4 GiB', 'ffffffff 00000000 ffffffff', 'truncated', (ndr) => ndr.string('s', 2 ** 32)],
    ['bytes left over', '00'.repeat(9), 'trailing-bytes', (ndr) => [ndr.u8(), ndr.end()]],
  ])('%s: refused with name and offset', (_, bytes, code, read) => {
    const ndr = reader(bytes);
    const error = (() => {
      try {
        ndr.within('INNER', () => read(ndr));
      } catch (thrown) {
        return thrown;
      }
      return undefined;
    })();
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({ code, structure: 'INNER', offset: expect.any(Number) });
  });
});

describe('together', () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('u8' as const), value: fc.nat(0xff) }),
    fc.record({ kind: fc.constant('u16' as const), value: fc.nat(0xffff) }),
    fc.record({ kind: fc.constant('u32' as const), value: fc.nat(0xffff_ffff) }),
    fc.record({ kind: fc.constant('u64' as const), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
    fc.record({
      kind: fc.constant('string' as const),
      value: fc.string({ unit: 'grapheme' }).map((s) => s.replaceAll('\0', '')),
    }),
    fc.record({ kind: fc.constant('guid' as const), value: fc.uint8Array({ minLength: 16, maxLength: 16 }) }),
  );
  type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;
  const write = (writer: NdrWriter, { kind, value }: Operation) => {
    if (kind === 'u64') writer.u64(value);
    else if (kind === 'string') writer.string(value);
    else if (kind === 'guid') writer.guid(value);
    else writer[kind](value);
  };
  const read = (ndr: NdrReader, kind: Operation['kind']) =>
    kind === 'string' ? ndr.string('s', 100_000) : ndr[kind]();

  test('what was written comes back', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 20 }), (operations) => {
        const writer = new NdrWriter(8);
        for (const one of operations) {
          write(writer, one);
        }
        const ndr = new NdrReader(writer.finish(), 'test');
        expect(operations.map(({ kind }) => read(ndr, kind))).toEqual(operations.map(({ value }) => value));
        expect(ndr.remaining).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test('fuzz: any reads of any bytes give values or ProtocolErrors', () => {
    const reads: ((ndr: NdrReader) => unknown)[] = [
      (ndr) => ndr.u8(),
      (ndr) => ndr.u16(),
      (ndr) => ndr.u32(),
      (ndr) => ndr.u64(),
      (ndr) => ndr.guid(),
      (ndr) => ndr.pointer(),
      (ndr) => ndr.referent(),
      (ndr) => ndr.string('s', 1000),
      (ndr) => ndr.view(ndr.count('n', 1000, 2) * 2),
      (ndr) => ndr.conformance('n', 2, 4),
    ];
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        fc.array(fc.nat(reads.length - 1), { maxLength: 12 }),
        (bytes, order) => {
          const ndr = new NdrReader(bytes, 'test');
          try {
            for (const one of order) {
              reads[one]!(ndr);
              expect(ndr.offset).toBeLessThanOrEqual(bytes.length);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});
