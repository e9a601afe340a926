/** Properties of an object by name: a Map, or a list whose names many objects share. */

/**
 * A value of KeyValueOfstringanyType: xsd string, boolean, int, base64Binary, nil, or (proxyAddresses, member,
 * userCertificate) ArrayOfstring and ArrayOfbase64Binary.
 */
export type PropertyValue = string | boolean | number | Uint8Array | readonly string[] | readonly Uint8Array[] | null;

/** In an order of its own, no name twice. */
export interface Properties extends Iterable<readonly [name: string, value: PropertyValue]> {
  readonly size: number;
  get(name: string): PropertyValue | undefined;
}

/** Names in their order, made once for many objects. */
export class PropertyNames {
  readonly list: readonly string[];
  readonly #places: ReadonlyMap<string, number>;

  /** @throws RangeError for a name that stands twice */
  constructor(list: readonly string[]) {
    this.list = list;
    this.#places = new Map(list.map((name, place) => [name, place]));
    if (this.#places.size !== list.length) {
      throw new RangeError('a property name stands twice');
    }
  }

  /** The place of a name, or -1. */
  placeOf(name: string): number {
    return this.#places.get(name) ?? -1;
  }
}

/** One object's values, in the order of its names. A Map of its own for every user would cost a fifth of a first synchronization's memory. */
export class PropertyList implements Properties {
  readonly names: PropertyNames;
  readonly values: readonly PropertyValue[];

  constructor(names: PropertyNames, values: readonly PropertyValue[]) {
    if (values.length !== names.list.length) {
      throw new RangeError(`${names.list.length} names and ${values.length} values`);
    }
    this.names = names;
    this.values = values;
  }

  get size(): number {
    return this.values.length;
  }

  get(name: string): PropertyValue | undefined {
    return this.values[this.names.placeOf(name)];
  }

  *[Symbol.iterator](): Generator<readonly [string, PropertyValue]> {
    for (const [place, name] of this.names.list.entries()) yield [name, this.values[place]!];
  }
}
