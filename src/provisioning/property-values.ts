/** KeyValueOfstringanyType: the typed properties of an AzureADSyncObject, by name. */

import type { NbfxReader } from '../protocol/nbfx/reader.js';
import { type NbfxWriter, prepare } from '../protocol/nbfx/writer.js';
import { type ContractType, isNil, listOf, XSI_NAMESPACE } from './contract-types.js';
import type { PropertyValue } from './types.js';

export const XSD_NAMESPACE = 'http://www.w3.org/2001/XMLSchema';
export const ARRAYS_NAMESPACE = 'http://schemas.microsoft.com/2003/10/Serialization/Arrays';

const MAX_PROPERTIES = 512;
/** A group may have many members; nobody has many certificates. */
const MAX_STRINGS = 50_000;
const MAX_BINARIES = 1000;
/** Property names whose records are kept ready; a sender uses a few dozen. */
const MAX_PREPARED_KEYS = 512;

const base64Binary: ContractType<Uint8Array> = {
  write: (writer, value) => writer.bytes(value),
  read: (reader) => reader.readBytes(),
};
const string: ContractType<string> = {
  write: (writer, value) => writer.text(value),
  read: (reader) => reader.readText(),
};
const arrayOfString = listOf('c', 'string', string, MAX_STRINGS);
const arrayOfBase64 = listOf('c', 'base64Binary', base64Binary, MAX_BINARIES);

type TypeName =
  | 'string'
  | 'boolean'
  | 'int'
  | 'long'
  | 'double'
  | 'base64Binary'
  | 'ArrayOfstring'
  | 'ArrayOfbase64Binary'
  | 'nil';

function typeOf(value: PropertyValue): TypeName {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'boolean';
    case 'number':
      if (Number.isSafeInteger(value)) {
        return value >= -(2 ** 31) && value < 2 ** 31 ? 'int' : 'long';
      }
      return 'double';
    default:
      if (value === null) {
        return 'nil';
      }
      if (value instanceof Uint8Array) {
        return 'base64Binary';
      }
      return value.length > 0 && value[0] instanceof Uint8Array ? 'ArrayOfbase64Binary' : 'ArrayOfstring';
  }
}

/** `<c:KeyValueOfstringanyType><c:Key>key</c:Key><c:Value i:type="…">`, both elements open. */
function start(key: string, type: TypeName): Uint8Array {
  return prepare((writer) => {
    writer.startElement('c', 'KeyValueOfstringanyType');
    writer.startElement('c', 'Key');
    writer.text(key);
    writer.endElement();
    writer.startElement('c', 'Value');
    if (type === 'nil') {
      writer.startAttribute('i', 'nil');
      writer.boolean(true);
    } else {
      writer.startAttribute('i', 'type');
      writer.qualifiedName(type.startsWith('ArrayOf') ? 'c' : 'd', type);
    }
    writer.endAttribute();
  });
}

const preparedStarts = new Map<TypeName, Map<string, Uint8Array>>();

function preparedStart(key: string, type: TypeName): Uint8Array {
  let byKey = preparedStarts.get(type);
  if (byKey === undefined) {
    byKey = new Map();
    preparedStarts.set(type, byKey);
  }
  let bytes = byKey.get(key);
  if (bytes === undefined) {
    bytes = start(key, type);
    if (byKey.size < MAX_PREPARED_KEYS) {
      byKey.set(key, bytes);
    }
  }
  return bytes;
}

function writeValue(writer: NbfxWriter, value: PropertyValue, type: TypeName): void {
  switch (type) {
    case 'string':
      writer.text(value as string);
      break;
    case 'boolean':
      writer.boolean(value as boolean);
      break;
    case 'int':
    case 'long':
      writer.integer(value as number);
      break;
    case 'double':
      writer.double(value as number);
      break;
    case 'base64Binary':
      writer.bytes(value as Uint8Array);
      break;
    case 'ArrayOfstring':
      arrayOfString.write(writer, value as readonly string[]);
      break;
    case 'ArrayOfbase64Binary':
      arrayOfBase64.write(writer, value as readonly Uint8Array[]);
      break;
    case 'nil':
      break;
  }
}

function readValue(reader: NbfxReader): PropertyValue {
  if (reader.attributeCount === 0) {
    return reader.readText();
  }
  if (!reader.qnameAttribute(XSI_NAMESPACE, 'type')) {
    if (isNil(reader)) {
      reader.skip();
      return null;
    }
    return reader.readText();
  }
  const type = reader.qnameLocalName;
  const namespace = reader.qnameNamespace;
  if (isNil(reader)) {
    reader.skip();
    return null;
  }
  if (namespace === XSD_NAMESPACE) {
    switch (type) {
      case 'string':
      case 'dateTime':
      case 'date':
      case 'time':
      case 'duration':
      case 'anyURI':
        return reader.readText();
      case 'boolean':
        return reader.readBoolean();
      case 'int':
      case 'short':
      case 'byte':
      case 'unsignedByte':
      case 'unsignedShort':
      case 'unsignedInt':
        return reader.readInteger();
      case 'base64Binary':
        return reader.readBytes();
      case 'long':
      case 'unsignedLong':
      case 'integer':
        return readLong(reader);
      case 'double':
      case 'float':
      case 'decimal':
        return readNumber(reader);
    }
  } else if (namespace === ARRAYS_NAMESPACE) {
    if (type === 'ArrayOfstring') {
      return arrayOfString.read(reader);
    }
    if (type === 'ArrayOfbase64Binary') {
      return arrayOfBase64.read(reader);
    }
  } else if (type === 'guid' && namespace === 'http://schemas.microsoft.com/2003/10/Serialization/') {
    return reader.readText();
  }
  throw reader.error('provisioning-structure', 'KeyValueOfstringanyType', 'a value of a type that is not supported');
}

/** A number where it holds the integer exactly, else its digits. */
function readLong(reader: NbfxReader): number | string {
  const digits = reader.readText().trim();
  if (!/^[+-]?\d{1,20}$/.test(digits)) {
    throw reader.error('nbfx-value', 'long', 'not an integer');
  }
  const value = Number(digits);
  return Number.isSafeInteger(value) ? (value === 0 ? 0 : value) : digits;
}

function readNumber(reader: NbfxReader): number {
  const lexical = reader.readText().trim();
  if (lexical === 'INF' || lexical === '-INF') {
    return lexical === 'INF' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  }
  const isNumber = /^[+-]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,4})?$/.test(lexical);
  if (!isNumber && lexical !== 'NaN') {
    throw reader.error('nbfx-value', 'double', 'not a number');
  }
  return Number(lexical);
}

/** The map in the order given; a name that stands twice is refused. */
export const propertyValues: ContractType<ReadonlyMap<string, PropertyValue>> = {
  write(writer, values) {
    for (const [key, value] of values) {
      const type = typeOf(value);
      writer.startPrepared(preparedStart(key, type), 2);
      writeValue(writer, value, type);
      writer.endElement();
      writer.endElement();
    }
  },
  read(reader) {
    const values = new Map<string, PropertyValue>();
    while (reader.nextChild()) {
      if (values.size >= MAX_PROPERTIES) {
        throw reader.error('provisioning-limit', 'PropertyValues', `more than ${MAX_PROPERTIES} properties`);
      }
      let key: string | undefined;
      let value: PropertyValue | undefined;
      while (reader.nextChild()) {
        if (reader.localName === 'Key' && key === undefined) {
          key = reader.readRecurringText();
        } else if (reader.localName === 'Value' && value === undefined) {
          value = readValue(reader);
        } else {
          throw reader.error('provisioning-structure', 'KeyValueOfstringanyType', 'expected one Key and one Value');
        }
      }
      if (key === undefined || value === undefined || values.has(key)) {
        throw reader.error(
          'provisioning-structure',
          'KeyValueOfstringanyType',
          'expected one Key and one Value a name',
        );
      }
      values.set(key, value);
    }
    return values;
  },
};
