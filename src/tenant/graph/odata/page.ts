/** A page of a collection: `value`, `@odata.nextLink`, `@odata.count`. */

import type { GraphCall, GraphReply } from '../route.js';
import type { Position } from './skip-tokens.js';

export const LIST_TOP = { byDefault: 100, most: 999 } as const;

/** Where the page that is asked for begins; undefined: at the beginning. @throws GraphError 400 */
export async function startOf(call: GraphCall<unknown>): Promise<Position | undefined> {
  const { skipToken } = call.query;
  return skipToken === undefined ? undefined : call.services.skipTokens.read(call.scope, skipToken);
}

/** `rows`: up to one more than the page takes, which says that there is a next one. */
export async function pageOf<Row>(
  call: GraphCall<unknown>,
  fragment: string,
  rows: readonly Row[],
  {
    positionOf,
    toResource,
    count,
  }: {
    readonly positionOf: (row: Row) => Position;
    readonly toResource: (row: Row) => object;
    readonly count?: number | undefined;
  },
): Promise<GraphReply> {
  const { top, select } = call.query;
  const page = rows.slice(0, top);
  const last = rows.length > top ? page.at(-1) : undefined;
  const nextLink =
    last === undefined ? undefined : call.nextLink(await call.services.skipTokens.issue(call.scope, positionOf(last)));
  return {
    status: 200,
    body: {
      '@odata.context': call.contextUrl(select === undefined ? fragment : `${fragment}(${select.join(',')})`),
      ...(count === undefined ? {} : { '@odata.count': count }),
      ...(nextLink === undefined ? {} : { '@odata.nextLink': nextLink }),
      value: page.map(toResource),
    },
  };
}

/** One resource, as a reply. */
export function entityReply(
  call: GraphCall<unknown>,
  fragment: string,
  resource: object,
  status: 200 | 201 = 200,
): GraphReply {
  const { select } = call.query;
  const selected = select === undefined ? fragment : `${fragment}(${select.join(',')})`;
  return { status, body: { '@odata.context': call.contextUrl(`${selected}/$entity`), ...resource } };
}

export const iso = (time: number): string => new Date(time).toISOString();
export const isoOrNull = (time: number | null): string | null => (time === null ? null : iso(time));
