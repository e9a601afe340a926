/** Record types of MC-NBFX 2.2 and its integer encoding MultiByteInt31 (2.1.2). */

/** A text record's type is even; type + 1 is the same text followed by the end of its element. */
export const RecordType = {
  EndElement: 0x01,
  Comment: 0x02,
  Array: 0x03,
  ShortAttribute: 0x04,
  Attribute: 0x05,
  ShortDictionaryAttribute: 0x06,
  DictionaryAttribute: 0x07,
  ShortXmlnsAttribute: 0x08,
  XmlnsAttribute: 0x09,
  ShortDictionaryXmlnsAttribute: 0x0a,
  DictionaryXmlnsAttribute: 0x0b,
  PrefixDictionaryAttributeA: 0x0c,
  PrefixAttributeA: 0x26,
  ShortElement: 0x40,
  Element: 0x41,
  ShortDictionaryElement: 0x42,
  DictionaryElement: 0x43,
  PrefixDictionaryElementA: 0x44,
  PrefixElementA: 0x5e,
  Zero: 0x80,
  One: 0x82,
  False: 0x84,
  True: 0x86,
  Int8: 0x88,
  Int16: 0x8a,
  Int32: 0x8c,
  Int64: 0x8e,
  Float: 0x90,
  Double: 0x92,
  Decimal: 0x94,
  DateTime: 0x96,
  Chars8: 0x98,
  Chars16: 0x9a,
  Chars32: 0x9c,
  Bytes8: 0x9e,
  Bytes16: 0xa0,
  Bytes32: 0xa2,
  StartList: 0xa4,
  EndList: 0xa6,
  Empty: 0xa8,
  Dictionary: 0xaa,
  UniqueId: 0xac,
  TimeSpan: 0xae,
  Uuid: 0xb0,
  UInt64: 0xb2,
  Bool: 0xb4,
  UnicodeChars8: 0xb6,
  UnicodeChars16: 0xb8,
  UnicodeChars32: 0xba,
  QNameDictionary: 0xbc,
} as const;

/** Largest value of MultiByteInt31. */
const MAX_INT31 = 0x7fff_ffff;

/** The five or fewer bytes of a MultiByteInt31. @throws RangeError outside 0 … 2³¹ − 1. */
export function multiByteInt31(value: number): number[] {
  if (!Number.isInteger(value) || value < 0 || value > MAX_INT31) {
    throw new RangeError(`MultiByteInt31 holds 0 to ${MAX_INT31}, not ${value}`);
  }
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}
