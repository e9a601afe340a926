import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { guidFromText, guidToText } from '#src/protocol/dtyp/guid.js';
import { ridOf, sidFromText, sidToText } from '#src/protocol/dtyp/sid.js';
import { dateToDstime, dateToFiletime, dstimeToDate, filetimeToDate } from '#src/protocol/dtyp/time.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

describe('GUID', () => {
  // The NDR transfer syntax and the DRS interface, as text in the specifications and as bytes in any capture.
  test.each([
    ['8a885d04-1ceb-11c9-9fe8-08002b104860', '045d888aeb1cc9119fe808002b104860'],
    ['e3514235-4b06-11d1-ab04-00c04fc2dcd2', '354251e3064bd111ab0400c04fc2dcd2'],
  ])('%s', (text, bytes) => {
    expect(hex(guidFromText(text))).toBe(bytes);
    expect(hex(guidFromText(`{${text.toUpperCase()}}`))).toBe(bytes);
    expect(guidToText(unhex(bytes))).toBe(text);
  });

  test('there and back', () => {
    fc.assert(
      fc.property(fc.uuid(), (text) => {
        expect(guidToText(guidFromText(text))).toBe(text);
      }),
    );
  });

  test.each(['', 'e3514235', 'e3514235-4b06-11d1-ab04-00c04fc2dcdg', ' e3514235-4b06-11d1-ab04-00c04fc2dcd2'])(
    '%j is refused',
    (text) => {
      expect(() => guidFromText(text)).toThrow(RangeError);
    },
  );

  test('15 bytes are refused', () => {
    expect(() => guidToText(new Uint8Array(15))).toThrow(RangeError);
  });
});

describe('SID', () => {
  // MS-DTYP 2.4.2.4's well-known SIDs, and one of a domain account.
  test.each([
    ['S-1-1-0', '010100000000000100000000', 0],
    ['S-1-5-32-544', '01020000000000052000000020020000', 544],
    ['S-1-5-18', '010100000000000512000000', 18],
    [
      'S-1-5-21-1249888802-161111135-2760279925-500',
      // struct.pack of Python's.
      '01050000000000051500000022ca7f4a5f5c9a09758786a4f4010000',
      500,
    ],
  ])('%s', (text, bytes, rid) => {
    expect(sidToText(unhex(bytes))).toBe(text);
    expect(hex(sidFromText(text))).toBe(bytes);
    expect(ridOf(unhex(bytes))).toBe(rid);
  });

  test('a 48-bit authority', () => {
    expect(sidToText(sidFromText('S-1-281474976710655-1'))).toBe('S-1-281474976710655-1');
  });

  test.each(['', 'S-1', 'S-2-5-18', 'S-1-5-4294967296', 'S-1-281474976710656', `S-1-5${'-1'.repeat(16)}`])(
    '%j is refused',
    (text) => {
      expect(() => sidFromText(text)).toThrow(RangeError);
    },
  );

  test('bytes: any give a text that gives them back, or a RangeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        // Half of them with a fitting head.
        const count = Math.floor((bytes.length - 8) / 4);
        if (count >= 0 && count <= 15 && (bytes[7]! & 1) === 0) {
          bytes[0] = 1;
          bytes[1] = count;
        }
        ridOf(bytes);
        let text: string;
        try {
          text = sidToText(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        expect(sidFromText(text)).toEqual(bytes);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('time', () => {
  test('FILETIME: the Unix epoch, and a date by hand', () => {
    // 134774 days lie between 1601 and 1970.
    expect(dateToFiletime(new Date(0))).toBe(134_774n * 86_400n * 10_000_000n);
    expect(filetimeToDate(116_444_736_000_000_000n)).toEqual(new Date(0));
    expect(filetimeToDate(dateToFiletime(new Date('2024-02-29T12:34:56.789Z')))).toEqual(
      new Date('2024-02-29T12:34:56.789Z'),
    );
  });

  test('FILETIME: never, and what no Date holds', () => {
    expect(filetimeToDate(0n)).toBeUndefined();
    expect(filetimeToDate(0x7fff_ffff_ffff_ffffn)).toBeUndefined();
    expect(filetimeToDate(0x7fff_ffff_ffff_fffen)).toBeInstanceOf(Date);
    expect(filetimeToDate(-1n)).toBeUndefined();
  });

  test('DSTIME', () => {
    expect(dateToDstime(new Date(0))).toBe(11_644_473_600n);
    expect(dstimeToDate(11_644_473_600n + 86_400n)).toEqual(new Date('1970-01-02T00:00:00Z'));
    expect(dateToDstime(new Date('2024-01-01T00:00:00.999Z'))).toBe(dateToDstime(new Date('2024-01-01T00:00:00Z')));
  });
});
