/** Envelopes of any length, opened into the caller's memory, by every backend with the same bytes and statuses. */

import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Backend } from '#src/hasher/backend.js';
import { joinBytes } from '#src/hasher/flat-items.js';
import { openBackend } from '#src/hasher/open-backend.js';
import replication from '../vectors/replication.json' with { type: 'json' };
import { runnable } from './backends.js';
import { hex, sealData, unhex } from './reference.js';

const PAINT = 0xa5;
/** The data of each item, `''` where it was too short to have any, and the statuses. */
interface Opened {
  readonly data: string[];
  readonly status: number[];
}

/** Opens into memory that ends with the last envelope, and sees that nothing is written elsewhere in it. */
function open(
  backend: Backend,
  sessionKeys: readonly Uint8Array[],
  envelopes: readonly Uint8Array[],
  rids: Uint32Array | null,
): Opened {
  const keys = joinBytes(sessionKeys);
  const { bytes, offsets } = joinBytes(envelopes);
  const before = hex(bytes);
  const data = new Uint8Array(bytes.length).fill(PAINT);
  const status = new Uint8Array(envelopes.length);
  backend.openBatch(keys.bytes, keys.offsets, bytes, offsets, rids, data, status);
  expect(hex(bytes)).toBe(before);
  const ends = Array.from(envelopes, (_, i) => Math.max(offsets[i]!, offsets[i + 1]! - 20));
  for (const [i, end] of ends.entries()) {
    expect(data.subarray(end, offsets[i + 1]).every((byte) => byte === PAINT)).toBe(true);
  }
  return { data: ends.map((end, i) => hex(data.subarray(offsets[i], end))), status: [...status] };
}

const zeros = (size: number): string => '00'.repeat(size);

describe.each(runnable.map(({ kernel }) => ({ name: kernel ?? 'the fallback', kernel })))(
  'openBatch on $name',
  (on) => {
    const backend = openBackend(on.kernel);

    it.each(replication.filter(({ verified }) => verified))('opens $name, as it was captured', (vector) => {
      const { sessionKey, blob, rid, expected, expectedPlainSha256 } = vector;
      const rids = rid === null ? null : Uint32Array.of(rid);
      const { data, status } = open(backend, [unhex(sessionKey)], [unhex(blob)], rids);
      expect(status).toEqual([0]);
      if (expected !== undefined) expect(data).toEqual([expected.join('')]);
      else expect(createHash('sha256').update(unhex(data[0]!)).digest('hex')).toBe(expectedPlainSha256);
    });

    it('opens every length round the edges, and any number of them', () => {
      const key = randomBytes(16);
      for (const count of [1, 2, 3, 4, 5, 255, 256, 257, 600]) {
        const items = Array.from({ length: count }, (_, i) => randomBytes((i * 37) % (count < 10 ? 300 : 70)));
        const { data, status } = open(
          backend,
          [key],
          items.map((item) => sealData(key, item)),
          null,
        );
        expect(status).toEqual(Array(count).fill(0));
        expect(data).toEqual(items.map(hex));
      }
    });

    it('opens what is longer than a page of memory', () => {
      const key = randomBytes(32);
      const items = [randomBytes(70_000), randomBytes(1), randomBytes(4096), randomBytes(4095)];
      const opened = open(
        backend,
        [randomBytes(16), key],
        items.map((item) => sealData(key, item)),
        null,
      );
      expect(opened).toEqual({ data: items.map(hex), status: [0, 0, 0, 0] });
    });

    it('needs a salt and a checksum of every envelope, and whole blocks where there is a RID layer', () => {
      const key = randomBytes(16);
      const sizes = [0, 1, 19, 20, 21, 35, 36, 37, 51, 52];
      const envelopes = sizes.map((size) => (size < 20 ? randomBytes(size) : sealData(key, randomBytes(size - 20))));
      expect(open(backend, [key], envelopes, null).status).toEqual([1, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
      const rids = new Uint32Array(sizes.length).fill(7);
      const layered = open(backend, [key], envelopes, rids);
      expect(layered.status).toEqual([1, 1, 1, 1, 1, 1, 0, 1, 1, 0]);
      for (const [i, status] of layered.status.entries()) {
        if (status !== 0) expect(layered.data[i]).toBe(zeros(Math.max(sizes[i]! - 20, 0)));
      }
      expect(open(backend, [key], envelopes, new Uint32Array(sizes.length)).status).toEqual([
        1, 1, 1, 1, 1, 1, 3, 1, 1, 3,
      ]);
    });

    it('zeroes what it could not open, whatever came out under the keys', () => {
      const key = randomBytes(16);
      const envelope = sealData(key, randomBytes(3000));
      const flipped = [0, 15, 16, 19, 20, 1500, 3019].map((at) => {
        const copy = Buffer.from(envelope);
        copy[at]! ^= 0x01;
        return copy;
      });
      const { data, status } = open(backend, [randomBytes(16), key, randomBytes(32)], [...flipped, envelope], null);
      expect(status).toEqual([...flipped.map(() => 2), 0]);
      expect(new Set(data.slice(0, -1))).toEqual(new Set([zeros(3000)]));
    });

    it('gives what the other backends give, for anything', () => {
      const other = openBackend(on.kernel === undefined ? 'auto' : undefined);
      const item = fc.record({
        size: fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 3000 }), fc.constantFrom(36, 52)),
        key: fc.nat({ max: 4 }),
        damage: fc.option(fc.nat(), { freq: 4 }),
        rid: fc.constantFrom(0, 1, 500, 0xffffffff),
      });
      const keys = Array.from({ length: 4 }, (_, i) => randomBytes(16 * (i + 1)));
      const check = fc.property(fc.array(item, { maxLength: 40 }), fc.boolean(), (items, layered) => {
        const envelopes = items.map(({ size, key, damage }) => {
          const envelope =
            size < 20 ? randomBytes(size) : sealData(keys[key] ?? randomBytes(16), randomBytes(size - 20));
          if (damage !== null && size > 0) envelope[damage % size]! ^= 1;
          return envelope;
        });
        const rids = layered ? Uint32Array.from(items, ({ rid }) => rid) : null;
        expect(open(backend, keys, envelopes, rids)).toEqual(open(other, keys, envelopes, rids));
      });
      fc.assert(check, { numRuns: 60 });
    });

    it('reads and writes shared memory', () => {
      const key = randomBytes(16);
      const item = randomBytes(2000);
      const share = (bytes: Uint8Array) => {
        const view = new Uint8Array(new SharedArrayBuffer(bytes.length + 1), 1);
        view.set(bytes);
        return view;
      };
      const words = (...values: number[]) => {
        const view = new Uint32Array(new SharedArrayBuffer(4 * values.length));
        view.set(values);
        return view;
      };
      const data = share(new Uint8Array(2020));
      const status = share(Uint8Array.of(9));
      backend.openBatch(share(key), words(0, 16), share(sealData(key, item)), words(0, 2020), null, data, status);
      expect([...status]).toEqual([0]);
      expect(hex(data.subarray(0, 2000))).toBe(hex(item));
    });
  },
);
