/** GUID (MS-DTYP 2.3.4): 16 bytes, the first three fields little-endian, and the text with dashes. */

/** Where each byte stands in the text. */
const PLACES = Int8Array.of(6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34);
const DASHES = [8, 13, 18, 23] as const;
const TEXT_LENGTH = 36;
const DASH = 0x2d;
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
/** By character code: the digit's value, or -1. */
const VALUES = new Int8Array(128).fill(-1);
for (const digits of ['0123456789abcdef', '0123456789ABCDEF']) {
  for (const [value, digit] of [...digits].entries()) VALUES[digit.charCodeAt(0)] = value;
}
const scratch = Buffer.alloc(TEXT_LENGTH, DASH);

/** Lower-case text with dashes. @throws RangeError unless there are 16 bytes. */
export function guidToText(bytes: Uint8Array): string {
  if (bytes.length !== 16) {
    throw new RangeError(`a GUID has 16 bytes, not ${bytes.length}`);
  }
  for (let i = 0; i < 16; i++) {
    const byte = bytes[i]!;
    const at = PLACES[i]!;
    scratch[at] = DIGITS[byte >>> 4]!;
    scratch[at + 1] = DIGITS[byte & 15]!;
  }
  return scratch.toString('latin1');
}

/** The 16 bytes; the text in any case, with braces or without. @throws RangeError when it is not a GUID. */
export function guidFromText(text: string): Uint8Array {
  const start = text.startsWith('{') ? 1 : 0;
  const end = text.endsWith('}') ? text.length - 1 : text.length;
  let wrong = end - start === TEXT_LENGTH ? 0 : -1;
  for (const dash of DASHES) {
    if (text.charCodeAt(start + dash) !== DASH) wrong = -1;
  }
  const bytes = new Uint8Array(16);
  for (let i = 0; i < 16 && wrong === 0; i++) {
    const at = start + PLACES[i]!;
    const value = (valueAt(text, at) << 4) | valueAt(text, at + 1);
    // Negative where one of the two is.
    wrong = value >> 8;
    bytes[i] = value;
  }
  if (wrong !== 0) {
    throw new RangeError(`not a GUID: ${JSON.stringify(text.slice(0, 60))}, expected 8-4-4-4-12 hex digits`);
  }
  return bytes;
}

function valueAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 128 ? VALUES[code]! : -1;
}
