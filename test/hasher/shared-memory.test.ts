/** Regions: arrays one behind the other, of any size. */

import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
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

  // Nobody touches these, so that they take addresses and no memory.
  it('goes up to 2 GiB, in one array too, and a thread can be sent that', () => {
    const array = new SharedMemory().take(2 ** 31).bytes(2 ** 31);
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(array);
    expect(receiveMessageOnPort(port2)?.message).toHaveLength(2 ** 31);
    port1.close();
    const region = new Region(new SharedArrayBuffer(2 ** 31));
    region.bytes(2 ** 31 - 1);
    expect(region.bytes(0).byteOffset).toBe(2 ** 31);
  });

  it('is refused above that', () => {
    const refused = new RangeError('one slice of the work: expected at most 2147483648 bytes, got 2147483649');
    expect(() => new SharedMemory().take(2 ** 31 + 1)).toThrow(refused);
  });
});
