/** Memory that the main thread and the workers both see. Whoever allocates it wipes it. */

/** Zeroed bytes on a SharedArrayBuffer of their own. */
export function sharedBytes(length: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(length));
}

/** A copy of `bytes` on a SharedArrayBuffer of its own. */
export function sharedCopy(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const shared = sharedBytes(bytes.length);
  shared.set(bytes);
  return shared;
}

/** A copy of `words` on a SharedArrayBuffer of its own. */
export function sharedWords(words: ArrayLike<number>): Uint32Array<SharedArrayBuffer> {
  const shared = new Uint32Array(new SharedArrayBuffer(words.length * Uint32Array.BYTES_PER_ELEMENT));
  shared.set(words);
  return shared;
}
