/** Strict UTF-8 to string, and a bounded cache for the names that a message repeats. */

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (bytes[i]! > 0x7f) {
      return false;
    }
  }
  return true;
}

/** The string, or undefined when the bytes are not UTF-8. */
export function decodeUtf8(bytes: Buffer, start: number, end: number): string | undefined {
  return isAscii(bytes, start, end) ? bytes.toString('latin1', start, end) : decodeWide(bytes, start, end);
}

function decodeWide(bytes: Buffer, start: number, end: number): string | undefined {
  try {
    return decoder.decode(bytes.subarray(start, end));
  } catch {
    return undefined;
  }
}

const SLOTS = 2048;
const LONGEST = 128;
// Direct-mapped: a peer's names can push others out, never make it grow. Filled by names only, never by values.
const cachedBytes: (Uint8Array | undefined)[] = new Array(SLOTS).fill(undefined);
const cachedTexts: string[] = new Array(SLOTS).fill('');

/** As `decodeUtf8`; the same bytes give the same (internalized) string object, so that `===` is a pointer test. */
export function decodeName(bytes: Buffer, start: number, end: number): string | undefined {
  const length = end - start;
  if (length === 0 || length > LONGEST) {
    return decodeUtf8(bytes, start, end);
  }
  const slot =
    (length +
      bytes[start]! * 31 +
      bytes[end - 1]! * 131 +
      bytes[start + (length >> 1)]! * 521 +
      bytes[start + (length >> 2)]! * 1031) &
    (SLOTS - 1);
  const cached = cachedBytes[slot];
  if (cached !== undefined && cached.length === length) {
    let i = 0;
    while (i < length && cached[i] === bytes[start + i]) {
      i++;
    }
    if (i === length) {
      return cachedTexts[slot];
    }
  }
  const text = decodeUtf8(bytes, start, end);
  if (text !== undefined) {
    cachedBytes[slot] = Uint8Array.prototype.slice.call(bytes, start, end);
    cachedTexts[slot] = internalize(text);
  }
  return text === undefined ? undefined : cachedTexts[slot];
}

/** V8 internalizes property keys. */
function internalize(text: string): string {
  return Object.keys({ [text]: 0 })[0]!;
}
