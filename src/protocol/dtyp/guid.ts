/** GUID (MS-DTYP 2.3.4): 16 bytes, the first three fields little-endian, and the text with dashes. */

const TEXT = /^\{?([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\}?$/i;
const ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const;
const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/** Lower-case text with dashes. @throws RangeError unless there are 16 bytes. */
export function guidToText(bytes: Uint8Array): string {
  if (bytes.length !== 16) {
    throw new RangeError(`a GUID has 16 bytes, not ${bytes.length}`);
  }
  let text = '';
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) {
      text += '-';
    }
    text += HEX[bytes[ORDER[i]!]!];
  }
  return text;
}

/** The 16 bytes. @throws RangeError when the text is not a GUID. */
export function guidFromText(text: string): Uint8Array {
  const match = TEXT.exec(text);
  if (match === null) {
    throw new RangeError(`not a GUID: ${JSON.stringify(text.slice(0, 60))}, expected 8-4-4-4-12 hex digits`);
  }
  const hex = match.slice(1).join('');
  const bytes = new Uint8Array(16);
  for (let i = 0; i < 16; i++) {
    bytes[ORDER[i]!] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}
