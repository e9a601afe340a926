import { describe, expect, test } from 'vitest';
import { Rc4 } from '#src/crypto/rc4.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const keyOf = (size: number) => Uint8Array.from({ length: size }, (_, i) => i + 1);

// RFC 6229 section 2: key 0102…, key stream at these offsets.
const VECTORS: readonly { readonly size: number; readonly stream: Readonly<Record<number, string>> }[] = [
  {
    size: 5,
    stream: {
      0: 'b2396305f03dc027ccc3524a0a1118a8',
      16: '6982944f18fc82d589c403a47a0d0919',
      240: '28cb1132c96ce286421dcaadb8b69eae',
      4096: 'ff25b58995996707e51fbdf08b34d875',
    },
  },
  {
    size: 16,
    stream: {
      0: '9ac7cc9a609d1ef7b2932899cde41b97',
      16: '5248c4959014126a6e8a84f11d1a9e1c',
      240: '065902e4b620f6cc36c8589f66432f2b',
      4096: 'a36a4c301ae8ac13610ccbc12256cacc',
    },
  },
  { size: 32, stream: { 0: 'eaa6bd25880bf93d3f5d1e4ca2611d91', 16: 'cfa45c9f7e714b54bdfa80027cb14380' } },
];

describe('RC4', () => {
  for (const { size, stream } of VECTORS) {
    test(`RFC 6229, ${8 * size} bits`, () => {
      const bytes = new Uint8Array(4128);
      new Rc4(keyOf(size)).process(bytes);
      for (const [offset, expected] of Object.entries(stream)) {
        expect(hex(bytes.subarray(Number(offset), Number(offset) + 16))).toBe(expected);
      }
    });
  }

  test('the stream runs on over any cut, and touches nothing outside the range', () => {
    const whole = new Uint8Array(700);
    new Rc4(keyOf(16)).process(whole);
    const cut = new Uint8Array(702).fill(0, 1, 701);
    cut[0] = cut[701] = 0xee;
    const rc4 = new Rc4(keyOf(16));
    for (const [from, to] of [
      [1, 1],
      [1, 2],
      [2, 300],
      [300, 701],
    ] as const) {
      rc4.process(cut, from, to);
    }
    expect(cut.subarray(1, 701)).toEqual(whole);
    expect([cut[0], cut[701]]).toEqual([0xee, 0xee]);
  });

  test('an empty or overlong key is refused', () => {
    expect(() => new Rc4(new Uint8Array(0))).toThrow(RangeError);
    expect(() => new Rc4(new Uint8Array(257))).toThrow(RangeError);
  });
});
