/** openAndDeriveBatch on every kernel, with envelopes sealed by node:crypto's DES and MD5. */

import { expect, it } from 'vitest';
import { orgId, seal } from '../hasher/reference.js';
import { addon, describeKernels, hex, join, painted, split } from './addon.js';

const RID_MAX = 0xffffffff;

function batch(
  count: number,
  keys: readonly Uint8Array[],
  keyOf: (i: number) => Uint8Array,
  ridOf: (i: number) => number,
) {
  const rids = Uint32Array.from({ length: count }, (_, i) => ridOf(i));
  const ntHashes = painted(16 * count, 17);
  const item = (i: number) => ntHashes.subarray(16 * i, 16 * i + 16);
  const envelopes = join(
    Array.from({ length: count }, (_, i) => seal(keyOf(i), rids[i]!, item(i), Buffer.from(painted(16, i)))),
  ).bytes;
  const salts = painted(10 * count, 29);
  return {
    keys: join(keys),
    envelopes,
    rids,
    salts,
    digests: new Uint8Array(32 * count).fill(0xee),
    status: new Uint8Array(count),
    wanted: (i: number, iterations: number) => hex(orgId(item(i), salts.subarray(10 * i, 10 * i + 10), iterations)),
  };
}

describeKernels('envelopes', (kernel) => {
  function open(b: ReturnType<typeof batch>, iterations: number): string[] {
    const { keys, envelopes, rids, salts, digests, status } = b;
    addon.openAndDeriveBatch(kernel, keys.bytes, keys.offsets, envelopes, rids, salts, iterations, digests, status);
    return split(digests, 32);
  }
  const zero = '00'.repeat(32);

  it.each([1, 2, 3, 4, 5, 31, 33, 255, 256, 257, 600])('opens %i items', (count) => {
    const key = painted(16, 99);
    const b = batch(
      count,
      [key],
      () => key,
      (i) => 500 + i * 7919,
    );
    const digests = open(b, 2);
    expect([...b.status]).toEqual(Array(count).fill(0));
    expect(digests).toEqual(Array.from({ length: count }, (_, i) => b.wanted(i, 2)));
  });

  it('takes session keys of 1 to 64 bytes and tries all 64 of them', () => {
    const keys = Array.from({ length: 64 }, (_, i) => painted(i + 1, 3 * i));
    const b = batch(
      64,
      keys,
      (i) => keys[(i * 11) % 64]!,
      (i) => 1000 + i,
    );
    const digests = open(b, 1000);
    expect([...b.status]).toEqual(Array(64).fill(0));
    expect(digests).toEqual(Array.from({ length: 64 }, (_, i) => b.wanted(i, 1000)));
  });

  it('takes every shape of RID', () => {
    const key = painted(32);
    const rids = [1, 500, 0xff, 0x100, 0xffff, 0x10000, 0x01020304, 0x7fffffff, 0x80000000, RID_MAX - 1, RID_MAX];
    const b = batch(
      rids.length,
      [key],
      () => key,
      (i) => rids[i]!,
    );
    const digests = open(b, 1);
    expect([...b.status]).toEqual(rids.map(() => 0));
    expect(digests).toEqual(rids.map((_, i) => b.wanted(i, 1)));
  });

  it('fails the bad items with their status and a zero digest, and no other', () => {
    const key = painted(16, 5);
    const old = painted(16, 6);
    const count = 520;
    const b = batch(
      count,
      [key, old],
      (i) => (i % 3 === 0 ? old : i % 7 === 0 ? painted(16, 77) : key),
      (i) => (i % 5 === 0 ? 0 : 500 + i),
    );
    for (let i = 0; i < count; i++) {
      // One bit anywhere: salt, CRC-32 or data.
      if (i % 11 === 0) b.envelopes[36 * i + (i % 36)]! ^= 1 << (i % 8);
      if (i % 13 === 0) b.status[i] = 1;
    }
    const digests = open(b, 2);
    for (let i = 0; i < count; i++) {
      const status = i % 13 === 0 ? 1 : i % 5 === 0 ? 3 : i % 11 === 0 || (i % 3 !== 0 && i % 7 === 0) ? 2 : 0;
      expect([i, b.status[i]]).toEqual([i, status]);
      expect([i, digests[i]]).toEqual([i, status === 0 ? b.wanted(i, 2) : zero]);
    }
  });

  it('survives a batch in which nothing opens', () => {
    const key = painted(16, 5);
    const b = batch(
      70,
      [painted(16, 6)],
      () => key,
      () => 500,
    );
    expect(open(b, 1000)).toEqual(Array(70).fill(zero));
    expect([...b.status]).toEqual(Array(70).fill(2));
  });

  it('reads and writes shared memory', () => {
    const key = painted(16, 5);
    const b = batch(
      37,
      [key],
      () => key,
      (i) => 500 + i,
    );
    const share = (bytes: Uint8Array) => {
      const view = new Uint8Array(new SharedArrayBuffer(bytes.length + 1), 1);
      view.set(bytes);
      return view;
    };
    const rids = new Uint32Array(new SharedArrayBuffer(4 * 37));
    rids.set(b.rids);
    const offsets = new Uint32Array(new SharedArrayBuffer(8));
    offsets.set(b.keys.offsets);
    const digests = share(b.digests);
    const status = share(b.status);
    const { keys, envelopes, salts } = b;
    addon.openAndDeriveBatch(
      kernel,
      share(keys.bytes),
      offsets,
      share(envelopes),
      rids,
      share(salts),
      3,
      digests,
      status,
    );
    expect([...status]).toEqual(Array(37).fill(0));
    expect(split(digests, 32)).toEqual(Array.from({ length: 37 }, (_, i) => b.wanted(i, 3)));
  });
});
