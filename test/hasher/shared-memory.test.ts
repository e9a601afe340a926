/** Regions: arrays one behind the other, of any size. */

import { describe, expect, it } from 'vitest';
import { Region, SharedMemory } from '#src/hasher/shared-memory.js';

describe('a region', () => {
  it('cuts arrays at boundaries of 8 bytes, and wipes them all', () => {
    const memory = new SharedArrayBuffer(4096);
    const region = new Region(memory);
    expect([region.bytes(3), region.words(3), region.bytes(8)].map(({ byteOffset }) => byteOffset)).toEqual([0, 8, 24]);
    new Uint8Array(memory, 0, 32).fill(7);
    region.wipe();
    expect(new Uint8Array(memory).some((byte) => byte !== 0)).toBe(false);
    expect(region.bytes(1).byteOffset).toBe(0);
  });

  it('has room behind arrays of 2 GiB and more', () => {
    // Nobody touches it, so it takes addresses and no memory.
    const region = new SharedMemory().take(2 ** 31 + 32);
    region.bytes(2 ** 31 + 1);
    expect(region.bytes(8).byteOffset).toBe(2 ** 31 + 8);
  });
});
