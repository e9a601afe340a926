/** Painted bytes, concatenations with offsets and hexadecimal text: what the suites on the addon share. */

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
