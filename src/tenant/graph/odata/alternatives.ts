/** A page of what fits one of several alternatives: each is asked for along its own index, and what comes is put together. */

export interface Merge<Row> {
  readonly compare: (a: Row, b: Row) => number;
  readonly limit: number;
}

/** The first `limit` rows of all, each once. `fetch` gives the first `limit` of one alternative, in order. */
export async function mergePages<Row extends { readonly id: number }, Alternative>(
  alternatives: readonly Alternative[],
  fetch: (alternative: Alternative) => Promise<readonly Row[]>,
  { compare, limit }: Merge<Row>,
): Promise<readonly Row[]> {
  const [first, ...others] = alternatives;
  if (first === undefined) return [];
  const rows = await fetch(first);
  if (others.length === 0) return rows;
  const found = new Map(rows.map((row) => [row.id, row]));
  for (const alternative of others) for (const row of await fetch(alternative)) found.set(row.id, row);
  return [...found.values()].sort(compare).slice(0, limit);
}
