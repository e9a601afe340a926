/** A resource type as a table: each property, how it is read from a row, and its schema; `$select` and OpenAPI come from it. */

import { z } from 'zod';

export interface Property<Row> {
  readonly of: (row: Row) => unknown;
  readonly schema: z.ZodType;
  /** Only where `$select` names it. */
  readonly onSelect?: true;
}

export class Resource<Row> {
  readonly names: ReadonlySet<string>;
  readonly schema: z.ZodType;
  readonly #properties: Readonly<Record<string, Property<Row>>>;
  readonly #byDefault: readonly string[];

  /** `type`: Graph's name, for OpenAPI. */
  constructor(
    readonly type: string,
    properties: Readonly<Record<string, Property<Row>>>,
  ) {
    this.#properties = properties;
    this.names = new Set(Object.keys(properties));
    this.#byDefault = Object.keys(properties).filter((name) => properties[name]!.onSelect !== true);
    const shape = Object.fromEntries(Object.entries(properties).map(([name, { schema }]) => [name, schema.optional()]));
    const annotations = { '@odata.context': text.optional(), '@odata.type': text.optional() };
    this.schema = z.object({ ...annotations, ...shape }).meta({ id: `microsoft.graph.${type}` });
  }

  toJson(row: Row, select: readonly string[] | undefined): Record<string, unknown> {
    return Object.fromEntries((select ?? this.#byDefault).map((name) => [name, this.#properties[name]!.of(row)]));
  }
}

/** A collection of it, as a reply has it. */
export const collectionOf = (item: z.ZodType) =>
  z.object({
    '@odata.context': z.string(),
    '@odata.count': z.number().int().optional(),
    '@odata.nextLink': z.string().optional(),
    value: z.array(item),
  });

export const text = z.string();
export const textOrNull = z.string().nullable();
export const flag = z.boolean();
export const flagOrNull = z.boolean().nullable();
export const guid = z.string().meta({ format: 'uuid' });
export const time = z.string().meta({ format: 'date-time' });
export const timeOrNull = z.string().meta({ format: 'date-time' }).nullable();
