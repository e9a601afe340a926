/** Look-ups of one row by its key: prepared once, and those of the same turn of the event loop are one trip to the database. */

export type KeyPart = string | number | Buffer;

/** `Row`: what `sql` selects, one row at most. */
export interface LookUp<Key extends readonly KeyPart[], Row> {
  /** The prepared statement's on PostgreSQL. */
  readonly name: string;
  /** Of the key's parts, as PostgreSQL calls them. */
  readonly types: { readonly [Part in keyof Key]: 'text' | 'bigint' | 'bytea' };
  /** `key`: what stands for its parts. */
  readonly sql: (...key: { readonly [Part in keyof Key]: string }) => string;
  /** Names the type; no value has it. */
  readonly row?: Row;
}

/** Sees what is committed, outside of any transaction. */
export type Find<Key extends readonly KeyPart[], Row> = (...key: Key) => Promise<Row | undefined>;

/** A row's place among the keys, counted from 1. */
export interface Placed {
  readonly key_number: number;
}

/**
 * PostgreSQL's statement for any number of keys, an array for each part. The arrays stand behind a SELECT, which hides their
 * lengths from the planner: it takes a plan of one key for so much cheaper than that of any number that it plans at every
 * execution, in three times the time of the look-up.
 */
export function joinedSql<Key extends readonly KeyPart[], Row>({ types, sql }: LookUp<Key, Row>): string {
  const arrays = types.map((type, i) => `(SELECT $${i + 1}::${type}[])`).join(', ');
  const parts = types.map((_, i) => `part${i}`);
  const key = parts.map((part) => `keys.${part}`) as { [Part in keyof Key]: string };
  return `SELECT found.*, keys.key_number FROM unnest(${arrays}) WITH ORDINALITY AS keys (${parts.join(', ')}, key_number)
    CROSS JOIN LATERAL (${sql(...key)}) AS found`;
}
