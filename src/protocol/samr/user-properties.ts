/** USER_PROPERTIES and USER_PROPERTY, the value of supplementalCredentials (MS-SAMR 2.2.10.1 and 2.2.10.2). */

import { secretBytes } from '../../crypto/secret-bytes.js';
import { ProtocolError } from '../errors.js';

const STRUCTURE = 'USER_PROPERTIES';
/** Reserved1, Length, Reserved2 and Reserved3. */
const HEADER_SIZE = 12;
const RESERVED4_SIZE = 96;
/** Length counts neither itself, nor Reserved1 before it, nor four bytes after, nor Reserved5. */
const NOT_COUNTED = 13;
const SIGNATURE_AT = HEADER_SIZE + RESERVED4_SIZE;
const PROPERTY_SIGNATURE = 0x50;
const COUNT_AT = SIGNATURE_AT + 2;
const PROPERTIES_AT = COUNT_AT + 2;
/** With the signature and without PropertyCount: what a DC writes for an account without any property. */
const EMPTY_SIZE = COUNT_AT + 1;
const MIN_FULL_SIZE = PROPERTIES_AT + 1;
const PROPERTY_HEADER_SIZE = 6;
const MAX_U16 = 0xffff;

/** One property. */
export interface UserProperty {
  /** PropertyName as it stands, UTF-16LE; see `propertyName`. */
  readonly name: Uint8Array;
  /** 1 for a package's own, 2 for `Packages`; the specification lets it be anything. */
  readonly reserved: number;
  /** PropertyValue as it stands: hex digits, see `decodePropertyValue`. */
  readonly value: Uint8Array;
}

/**
 * The whole attribute. Every byte array is a view on what was parsed.
 * `bare` is anything up to 109 bytes, of which 13 zeros are seen: no signature, whatever else there is counts as
 * Reserved4. `empty` is the 111 bytes without PropertyCount. `full` is everything else, no properties among them.
 */
export interface UserProperties {
  readonly shape: 'bare' | 'empty' | 'full';
  readonly reserved1: number;
  readonly reserved2: number;
  readonly reserved3: number;
  /** 96 bytes, UTF-16LE spaces in all that was seen; fewer in a bare one. */
  readonly reserved4: Uint8Array;
  readonly properties: readonly UserProperty[];
  readonly reserved5: number;
}

function malformed(what: string, offset: number): ProtocolError {
  return new ProtocolError('malformed', `${STRUCTURE}: ${what} at offset ${offset}`, { structure: STRUCTURE, offset });
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A plain Uint8Array over the same memory: a Buffer's methods would make strings. */
const part = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);

/**
 * Reads the clear bytes of supplementalCredentials. Values are left as they stand: a property that nobody asks for is
 * never decoded.
 * @throws ProtocolError `malformed` with the offset; no message holds any byte of a name or value.
 */
export function parseUserProperties(bytes: Uint8Array): UserProperties {
  if (bytes.length < NOT_COUNTED) {
    throw malformed(`at least ${NOT_COUNTED} bytes expected, not ${bytes.length},`, 0);
  }
  const view = viewOf(bytes);
  const length = view.getUint32(4, true);
  if (length !== bytes.length - NOT_COUNTED) {
    throw malformed(`Length ${bytes.length - NOT_COUNTED} expected of ${bytes.length} bytes, not ${length},`, 4);
  }
  const end = bytes.length - 1;
  const isBare = end <= SIGNATURE_AT;
  const header = {
    reserved1: view.getUint32(0, true),
    reserved2: view.getUint16(8, true),
    reserved3: view.getUint16(10, true),
    reserved4: part(bytes, HEADER_SIZE, isBare ? end : SIGNATURE_AT),
    reserved5: bytes[end]!,
  };
  if (isBare) return { shape: 'bare', ...header, properties: [] };
  if (bytes.length !== EMPTY_SIZE && bytes.length < MIN_FULL_SIZE) {
    throw malformed(`${EMPTY_SIZE} bytes or at least ${MIN_FULL_SIZE} expected, not ${bytes.length},`, end);
  }
  const signature = view.getUint16(SIGNATURE_AT, true);
  if (signature !== PROPERTY_SIGNATURE) throw malformed('PropertySignature 0x50 expected', SIGNATURE_AT);
  if (bytes.length === EMPTY_SIZE) return { shape: 'empty', ...header, properties: [] };
  return { shape: 'full', ...header, properties: readProperties(bytes, view, end) };
}

function readProperties(bytes: Uint8Array, view: DataView, end: number): UserProperty[] {
  const count = view.getUint16(COUNT_AT, true);
  const properties: UserProperty[] = [];
  let at = PROPERTIES_AT;
  for (let i = 0; i < count; i++) {
    if (end - at < PROPERTY_HEADER_SIZE) throw malformed(`USER_PROPERTY ${i + 1} of ${count} expected`, at);
    const nameLength = view.getUint16(at, true);
    const valueLength = view.getUint16(at + 2, true);
    if (nameLength % 2 !== 0) throw malformed(`an even NameLength expected, not ${nameLength},`, at);
    const nameAt = at + PROPERTY_HEADER_SIZE;
    const valueAt = nameAt + nameLength;
    if (valueAt + valueLength > end) {
      throw malformed(`USER_PROPERTY ${i + 1} of ${count} reaches past the end: its header`, at);
    }
    properties.push({
      name: part(bytes, nameAt, valueAt),
      reserved: view.getUint16(at + 4, true),
      value: part(bytes, valueAt, valueAt + valueLength),
    });
    at = valueAt + valueLength;
  }
  if (at !== end) throw malformed(`nothing but Reserved5 expected after ${count} properties`, at);
  return properties;
}

/**
 * The bytes again, in memory of their own, which the caller wipes: for what `parseUserProperties` read, the same ones,
 * since every reserved field is kept.
 * @throws RangeError where a name, a value or the number of properties is too large for its field.
 */
export function writeUserProperties(value: UserProperties): Uint8Array<ArrayBuffer> {
  const { shape, properties, reserved4 } = value;
  if (shape === 'bare' ? reserved4.length > RESERVED4_SIZE : reserved4.length !== RESERVED4_SIZE) {
    throw new RangeError(`reserved4 has ${RESERVED4_SIZE} bytes, not ${reserved4.length}`);
  }
  if (shape !== 'full' && properties.length > 0) throw new RangeError(`shape ${shape} has no properties`);
  if (properties.length > MAX_U16) throw new RangeError(`at most ${MAX_U16} properties, not ${properties.length}`);
  const content = properties.reduce((sum, { name, value }) => {
    if (name.length > MAX_U16 || name.length % 2 !== 0 || value.length > MAX_U16) {
      throw new RangeError(`a property's name (UTF-16LE) and value have at most ${MAX_U16} bytes`);
    }
    return sum + PROPERTY_HEADER_SIZE + name.length + value.length;
  }, 0);
  const fixed = { bare: HEADER_SIZE + reserved4.length, empty: COUNT_AT, full: PROPERTIES_AT }[shape];
  const bytes = secretBytes(fixed + content + 1);
  const view = viewOf(bytes);
  view.setUint32(0, value.reserved1, true);
  view.setUint32(4, bytes.length - NOT_COUNTED, true);
  view.setUint16(8, value.reserved2, true);
  view.setUint16(10, value.reserved3, true);
  bytes.set(reserved4, HEADER_SIZE);
  if (shape !== 'bare') view.setUint16(SIGNATURE_AT, PROPERTY_SIGNATURE, true);
  if (shape === 'full') view.setUint16(COUNT_AT, properties.length, true);
  let at = fixed;
  for (const property of properties) {
    view.setUint16(at, property.name.length, true);
    view.setUint16(at + 2, property.value.length, true);
    view.setUint16(at + 4, property.reserved, true);
    bytes.set(property.name, at + PROPERTY_HEADER_SIZE);
    bytes.set(property.value, at + PROPERTY_HEADER_SIZE + property.name.length);
    at += PROPERTY_HEADER_SIZE + property.name.length + property.value.length;
  }
  bytes[at] = value.reserved5;
  return bytes;
}

/** What a DC writes into Reserved4. */
const SPACES = new Uint8Array(RESERVED4_SIZE).map((_, i) => (i % 2 === 0 ? 0x20 : 0));

/** USER_PROPERTIES around these, with the reserved fields as a DC writes them; the 111 bytes where there are none. */
export function userPropertiesOf(properties: readonly UserProperty[]): UserProperties {
  return {
    shape: properties.length === 0 ? 'empty' : 'full',
    reserved1: 0,
    reserved2: 0,
    reserved3: 0,
    reserved4: SPACES,
    properties,
    reserved5: 0,
  };
}

/** The name as text, `Primary:Kerberos`. Of a blob that may be no such blob at all, compare `name` instead. */
export function propertyName(property: UserProperty): string {
  return Buffer.from(property.name.buffer, property.name.byteOffset, property.name.length).toString('utf16le');
}
