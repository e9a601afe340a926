/** Memory for secrets that `fill(0)` really empties. */

/**
 * Zeroed bytes that stay where they are. V8 keeps a typed array of up to 64 bytes on its own heap, where the collector
 * moves it and native code makes it move out: either leaves a copy behind that no `fill` reaches. The memory of an
 * ArrayBuffer made first does not move.
 */
export function secretBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/** A copy of `bytes` in such memory. */
export function secretCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = secretBytes(bytes.length);
  copy.set(bytes);
  return copy;
}
