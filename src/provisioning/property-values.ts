/** KeyValueOfstringanyType: the typed properties of an AzureADSyncObject, by name. */

import type { ProtocolError } from '../protocol/errors.js';
import type { NbfxReader, Stretch } from '../protocol/nbfx/reader.js';
import { type NbfxWriter, type Prepared, prepare } from '../protocol/nbfx/writer.js';
import { type ContractType, isNil, listOf, XSI_NAMESPACE } from './contract-types.js';
import { type Properties, PropertyList, PropertyNames, type PropertyValue } from './properties.js';

export const XSD_NAMESPACE = 'http://www.w3.org/2001/XMLSchema';
export const ARRAYS_NAMESPACE = 'http://schemas.microsoft.com/2003/10/Serialization/Arrays';

const MAX_PROPERTIES = 512;
/** A group may have many members; nobody has many certificates. */
const MAX_STRINGS = 50_000;
const MAX_BINARIES = 1000;
/** Property names whose records are kept ready; a sender uses a few dozen. */
const MAX_PREPARED_KEYS = 512;
/** Of one place among the properties: its value is there or not, and may be of a type or two. */
const MAX_OPENINGS = 4;

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
function start(key: string, type: TypeName): Prepared {
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

/** By type, for one key. */
type Starts = Partial<Record<TypeName, Prepared>>;

const startsByKey = new Map<string, Starts>();
const startsByNames = new WeakMap<PropertyNames, readonly Starts[]>();

function startsOf(key: string): Starts {
  let starts = startsByKey.get(key);
  if (starts === undefined) {
    starts = {};
    if (startsByKey.size < MAX_PREPARED_KEYS) {
      startsByKey.set(key, starts);
    }
  }
  return starts;
}

function startsOfAll(names: PropertyNames): readonly Starts[] {
  let starts = startsByNames.get(names);
  if (starts === undefined) {
    starts = names.list.map(startsOf);
    startsByNames.set(names, starts);
  }
  return starts;
}

function writeProperty(writer: NbfxWriter, key: string, starts: Starts, value: PropertyValue): void {
  const type = typeOf(value);
  let prepared = starts[type];
  if (prepared === undefined) {
    prepared = start(key, type);
    starts[type] = prepared;
  }
  writer.startPrepared(prepared, 2);
  writeValue(writer, value, type);
  writer.endElement();
  writer.endElement();
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

/** What a Value element says of its content. */
type Content = 'text' | 'nil' | 'boolean' | 'integer' | 'long' | 'number' | 'bytes' | 'texts' | 'byteses';

/** Of the Value whose start was just read. */
function contentOf(reader: NbfxReader): Content {
  if (reader.attributeCount === 0) {
    return 'text';
  }
  if (!reader.qnameAttribute(XSI_NAMESPACE, 'type')) {
    return isNil(reader) ? 'nil' : 'text';
  }
  const type = reader.qnameLocalName;
  const namespace = reader.qnameNamespace;
  if (isNil(reader)) {
    return 'nil';
  }
  if (namespace === XSD_NAMESPACE) {
    switch (type) {
      case 'string':
      case 'dateTime':
      case 'date':
      case 'time':
      case 'duration':
      case 'anyURI':
        return 'text';
      case 'boolean':
        return 'boolean';
      case 'int':
      case 'short':
      case 'byte':
      case 'unsignedByte':
      case 'unsignedShort':
      case 'unsignedInt':
        return 'integer';
      case 'base64Binary':
        return 'bytes';
      case 'long':
      case 'unsignedLong':
      case 'integer':
        return 'long';
      case 'double':
      case 'float':
      case 'decimal':
        return 'number';
    }
  } else if (namespace === ARRAYS_NAMESPACE) {
    if (type === 'ArrayOfstring') {
      return 'texts';
    }
    if (type === 'ArrayOfbase64Binary') {
      return 'byteses';
    }
  } else if (type === 'guid' && namespace === 'http://schemas.microsoft.com/2003/10/Serialization/') {
    return 'text';
  }
  throw reader.error('provisioning-structure', 'KeyValueOfstringanyType', 'a value of a type that is not supported');
}

function readContent(reader: NbfxReader, content: Content): PropertyValue {
  switch (content) {
    case 'text':
      return reader.readText();
    case 'nil':
      reader.skip();
      return null;
    case 'boolean':
      return reader.readBoolean();
    case 'integer':
      return reader.readInteger();
    case 'bytes':
      return reader.readBytes();
    case 'long':
      return readLong(reader);
    case 'number':
      return readNumber(reader);
    case 'texts':
      return arrayOfString.read(reader);
    case 'byteses':
      return arrayOfBase64.read(reader);
  }
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

/** A property's records up to its value, as they stood before, and what they say. */
interface Opening {
  readonly stretch: Stretch;
  readonly name: string;
  readonly content: Content;
}

/** What one message's objects have shown so far: most repeat the names, types and order of the one before. */
class Habits {
  names = new PropertyNames([]);
  /** By the place among the properties: the last openings seen there, newest last. */
  readonly #openings: Opening[][] = [];

  /** The opening that stands here again and was passed over, or undefined. */
  repeated(reader: NbfxReader, place: number): Opening | undefined {
    const openings = this.#openings[place];
    if (openings === undefined) {
      return undefined;
    }
    for (const opening of openings) {
      if (reader.repeats(opening.stretch)) {
        return opening;
      }
    }
    return undefined;
  }

  add(place: number, opening: Opening): void {
    this.#openings[place] ??= [];
    const openings = this.#openings[place];
    openings.push(opening);
    if (openings.length > MAX_OPENINGS) {
      openings.shift();
    }
  }
}

/** The properties in the order given; a name that stands twice is refused. */
export const propertyValues: ContractType<Properties> = {
  write(writer, properties) {
    if (properties instanceof PropertyList) {
      const { names, values } = properties;
      const starts = startsOfAll(names);
      for (let i = 0; i < values.length; i++) {
        writeProperty(writer, names.list[i]!, starts[i]!, values[i]!);
      }
      return;
    }
    for (const [key, value] of properties) {
      writeProperty(writer, key, startsOf(key), value);
    }
  },
  read(reader) {
    const habits = reader.keep(propertyValues, () => new Habits());
    const values: PropertyValue[] = [];
    const usual = habits.names.list;
    // Undefined as long as the names are the usual ones.
    let names: Set<string> | undefined;
    for (;;) {
      const place = values.length;
      let opening = habits.repeated(reader, place);
      let value: PropertyValue | undefined;
      let name: string | undefined;
      if (opening !== undefined) {
        ({ name } = opening);
        value = readContent(reader, opening.content);
        if (reader.nextChild()) {
          throw oneKeyAndValue(reader);
        }
      } else {
        const mark = reader.mark();
        if (!reader.nextChild()) {
          break;
        }
        while (reader.nextChild()) {
          if (reader.localName === 'Key' && name === undefined) {
            name = reader.readRecurringText();
          } else if (reader.localName === 'Value' && value === undefined) {
            const content = contentOf(reader);
            const stretch = name === undefined ? undefined : reader.stretchFrom(mark);
            if (stretch !== undefined) {
              opening = { stretch, name: name!, content };
            }
            value = readContent(reader, content);
          } else {
            throw oneKeyAndValue(reader);
          }
        }
        if (opening !== undefined) {
          habits.add(place, opening);
        }
      }
      if (place >= MAX_PROPERTIES) {
        throw reader.error('provisioning-limit', 'PropertyValues', `more than ${MAX_PROPERTIES} properties`);
      }
      if (names === undefined && name !== usual[place]) {
        names = new Set(usual.slice(0, place));
      }
      if (name === undefined || value === undefined || names?.has(name)) {
        throw oneKeyAndValue(reader);
      }
      names?.add(name);
      values.push(value);
    }
    if (names !== undefined || values.length !== usual.length) {
      habits.names = new PropertyNames([...(names ?? usual.slice(0, values.length))]);
    }
    return new PropertyList(habits.names, values);
  },
};

function oneKeyAndValue(reader: NbfxReader): ProtocolError {
  return reader.error('provisioning-structure', 'KeyValueOfstringanyType', 'expected one Key and one Value a name');
}
