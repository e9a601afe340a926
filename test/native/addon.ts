/** The built addon itself, without the facade, and what every suite on it shares. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'vitest';
import type { KernelName, NativeAddon } from '#src/hasher/types.js';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const addonPath = fileURLToPath(new URL('../../build/Release/phsync.node', import.meta.url));
export const addon: NativeAddon = createRequire(import.meta.url)(addonPath);

/** Runs the suite once for each kernel of this build; what cannot run here is a named skip. */
export function describeKernels(name: string, suite: (kernel: KernelName) => void): void {
  const { compiled, supported } = addon.kernels();
  for (const kernel of compiled) {
    if (supported.includes(kernel)) describe(`${name} on ${kernel}`, () => suite(kernel));
    else it.skip(`${name} on ${kernel}: this CPU or its OS cannot run it`);
  }
}

/** Lanes of the widest kernel; batches are walked past twice as many. */
export const MAX_LANES = 32;

/** Bytes with period 251, so that swapped words, blocks and lanes show. */
export function painted(size: number, from = 0): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => ((i + from) * 7) % 251);
}

export interface Joined {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
}

/** Concatenation with n + 1 offsets, allocated to the exact byte. */
export function join(items: readonly Uint8Array[]): Joined {
  const offsets = new Uint32Array(items.length + 1);
  items.forEach((item, i) => {
    offsets[i + 1] = offsets[i]! + item.length;
  });
  const bytes = new Uint8Array(new ArrayBuffer(offsets.at(-1)!));
  items.forEach((item, i) => {
    bytes.set(item, offsets[i]);
  });
  return { bytes, offsets };
}

/** A copy at an odd offset of a larger (shared) buffer. */
export function oddly<T extends Uint8Array | Uint32Array>(array: T, shared = false): T {
  const size = array.BYTES_PER_ELEMENT;
  const buffer = shared
    ? new SharedArrayBuffer(array.byteLength + 3 * size)
    : new ArrayBuffer(array.byteLength + 3 * size);
  const view = new (array.constructor as new (b: ArrayBufferLike, o: number, n: number) => T)(
    buffer,
    size,
    array.length,
  );
  view.set(array);
  return view;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
export const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
/** The items of flat bytes in hex. */
export function split(bytes: Uint8Array, size: number): string[] {
  return Array.from({ length: bytes.length / size }, (_, i) => hex(bytes.subarray(i * size, (i + 1) * size)));
}
