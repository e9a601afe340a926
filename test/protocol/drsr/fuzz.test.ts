import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeDrsBindReply } from '#src/protocol/drsr/bind.js';
import { decodeCrackNamesReply } from '#src/protocol/drsr/crack-names.js';
import { decodeDomainControllerInfoReply } from '#src/protocol/drsr/domain-controller-info.js';
import { decodeGetNCChangesReply } from '#src/protocol/drsr/get-nc-changes-reply.js';
import { ATTRIBUTE_OIDS } from '#src/protocol/drsr/schema.js';
import { ProtocolError } from '#src/protocol/errors.js';
import { recorded, stub } from './fixtures.js';

const NAMES = new Map(Object.entries(ATTRIBUTE_OIDS).map(([name, oid]) => [oid, name]));

/** Everything read: the metadata, which is read when asked, too. */
function readPage(data: Uint8Array): void {
  const { objects } = decodeGetNCChangesReply(data, NAMES);
  for (const { attributes } of objects) {
    for (const { metaData } of attributes.values()) {
      void [metaData?.version, metaData?.timeChanged, metaData?.originatingInvocationId, metaData?.originatingUsn];
    }
  }
}

const targets: [name: string, decode: (data: Uint8Array) => unknown, seed: Uint8Array][] = [
  ...recorded().map(({ name, stub }) => [`DRSGetNCChanges ${name}`, readPage, stub] as (typeof targets)[number]),
  ['DRSGetNCChanges made up', readPage, stub('getNCChangesReply6')],
  ['DRSBind', decodeDrsBindReply, stub('bindReply52')],
  ['DRSCrackNames', decodeCrackNamesReply, stub('crackNamesReply')],
  ['DRSDomainControllerInfo 1', decodeDomainControllerInfoReply, stub('domainControllerInfoReply1')],
  ['DRSDomainControllerInfo 2', decodeDomainControllerInfoReply, stub('domainControllerInfoReply2')],
];

/** Values that break length checks, written over aligned words. */
const BOMBS = [
  0, 1, 2, 0x7f, 0xff, 0xffff, 0x10000, 0x00020000, 0x00ffffff, 0x01900000, 0x7fffffff, 0x80000000, 0xffffffff,
];

type Change = { readonly at: number; readonly value: number; readonly isWord: boolean };

const change = (size: number): fc.Arbitrary<Change> =>
  fc.oneof(
    fc.record({ at: fc.nat(size - 1), value: fc.nat(255), isWord: fc.constant(false) }),
    fc.record({
      at: fc.nat(Math.floor(size / 4) - 1).map((n) => 4 * n),
      value: fc.constantFrom(...BOMBS),
      isWord: fc.constant(true),
    }),
  );

function mutate(seed: Uint8Array, changes: readonly Change[], size: number): Uint8Array {
  const data = Uint8Array.from(seed);
  const view = new DataView(data.buffer);
  for (const { at, value, isWord } of changes) {
    if (isWord) view.setUint32(at, value, true);
    else data[at] = value;
  }
  return data.subarray(0, size);
}

function onlyOurErrors(decode: (data: Uint8Array) => unknown, data: Uint8Array): void {
  try {
    decode(data);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
}

describe.each(targets)('%s', (_, decode, seed) => {
  it('takes its seed', () => {
    expect(() => decode(seed)).not.toThrow();
  });

  it('is refused with our own error wherever it ends', () => {
    for (let size = 0; size < seed.length; size += seed.length > 5000 ? 7 : 1) {
      // The last word is the status: where the cut lets zeros stand there, the length alone must tell.
      expect(() => decode(seed.subarray(0, size))).toThrow(ProtocolError);
    }
  });

  it('throws our own errors only, quickly, with any bytes changed', () => {
    const began = performance.now();
    const before = process.memoryUsage().rss;
    fc.assert(
      fc.property(
        fc.array(change(seed.length), { minLength: 1, maxLength: 8 }),
        fc.oneof({ weight: 3, arbitrary: fc.constant(seed.length) }, fc.nat(seed.length)),
        (changes, size) => onlyOurErrors(decode, mutate(seed, changes, size)),
      ),
      { numRuns: 3000 },
    );
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 2 ** 20);
  });

  it('throws our own errors only on any bytes at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (data) => onlyOurErrors(decode, data)),
      { numRuns: 1000 },
    );
  });
});
