/** A configuration's keys as data, from its zod schema by way of JSON Schema: for hints, comments and manual pages. */

import { z } from 'zod';

/** One key of a mapping. */
export interface DescribedKey {
  readonly name: string;
  readonly required: boolean;
  readonly node: DescribedNode;
}

/** One value: a mapping has keys, a list items, a choice of shapes alternatives. */
export interface DescribedNode {
  readonly description: string | undefined;
  readonly types: readonly string[];
  /** What it may be, where only a few values are allowed. */
  readonly values: readonly unknown[];
  readonly default: unknown;
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  readonly keys: readonly DescribedKey[];
  readonly items: DescribedNode | undefined;
  readonly alternatives: readonly DescribedNode[];
}

/** The parts of JSON Schema (draft 2020-12) that zod writes for these configurations. */
interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly not?: JsonSchema;
}

function describe(schema: JsonSchema): DescribedNode {
  const { properties = {}, required = [], items } = schema;
  return {
    description: schema.description,
    types: schema.type === undefined ? [] : [schema.type].flat(),
    values: schema.enum ?? (schema.const === undefined ? [] : [schema.const]),
    default: schema.default,
    minimum: schema.minimum,
    maximum: schema.maximum,
    // z.never, which explains why there is no such key, comes out as { not: {} }.
    keys: Object.entries(properties).flatMap(([name, each]) =>
      each.not === undefined ? [{ name, required: required.includes(name), node: describe(each) }] : [],
    ),
    items: items === undefined ? undefined : describe(items),
    alternatives: (schema.anyOf ?? schema.oneOf ?? []).map(describe),
  };
}

/** What `schema` takes. */
export function describeSchema(schema: z.ZodType): DescribedNode {
  return describe(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema);
}

/** The nodes at `path` (keys, and numbers for items), one for each shape that has it; none where there is nothing. */
export function nodesAt(node: DescribedNode, path: readonly PropertyKey[]): readonly DescribedNode[] {
  const shapes = node.alternatives.length === 0 ? [node] : node.alternatives;
  const [first, ...rest] = path;
  if (first === undefined) return shapes;
  return shapes.flatMap((shape) => {
    const next = typeof first === 'number' ? shape.items : shape.keys.find(({ name }) => name === first)?.node;
    return next === undefined ? [] : nodesAt(next, rest);
  });
}
