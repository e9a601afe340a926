/** The text form of a USER_PROPERTY's value (MS-SAMR 2.2.10.2): hex digits, one byte each. */

import { secretBytes } from '../../crypto/secret-bytes.js';
import { ProtocolError } from '../errors.js';

const STRUCTURE = 'USER_PROPERTY';
const DIGITS = Uint8Array.from(Buffer.from('0123456789abcdef', 'latin1'));

/** What a digit stands for, or -1. The specification has lower case only, which is what Windows writes; Samba's are upper. */
function nibble(digit: number): number {
  if (digit >= 0x30 && digit <= 0x39) return digit - 0x30;
  const letter = digit | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/**
 * The bytes behind a property's digits, in memory of their own (or in `value`, which is half as long), which the caller
 * wipes. No string comes into being.
 * @throws ProtocolError `malformed` for an odd number of digits, or one that is none.
 */
export function decodePropertyValue(
  digits: Uint8Array,
  value: Uint8Array<ArrayBuffer> = secretBytes(digits.length >>> 1),
): Uint8Array<ArrayBuffer> {
  if (digits.length % 2 !== 0) {
    throw new ProtocolError('malformed', `PropertyValue: an even number of hex digits expected, not ${digits.length}`, {
      structure: STRUCTURE,
    });
  }
  for (let i = 0; i < value.length; i++) {
    const high = nibble(digits[2 * i]!);
    const low = nibble(digits[2 * i + 1]!);
    if (high < 0 || low < 0) {
      value.fill(0);
      throw new ProtocolError('malformed', `PropertyValue: a hex digit expected at ${2 * i}`, {
        structure: STRUCTURE,
        offset: 2 * i,
      });
    }
    value[i] = (high << 4) | low;
  }
  return value;
}

/** The digits of `value`, in lower case, in memory of their own, which the caller wipes. */
export function encodePropertyValue(value: Uint8Array): Uint8Array<ArrayBuffer> {
  const digits = secretBytes(2 * value.length);
  for (let i = 0; i < value.length; i++) {
    digits[2 * i] = DIGITS[value[i]! >>> 4]!;
    digits[2 * i + 1] = DIGITS[value[i]! & 15]!;
  }
  return digits;
}
