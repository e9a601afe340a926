/**
 * What is said on a running agent's control socket: JSON lines, UTF-8, one request a line and one reply a request.
 *
 *     → {"id":1,"request":"status"}
 *     ← {"id":1,"ok":true,"result":{"pid":4711,"startedAt":…,"connectors":[{"name":"phs.test","state":"waiting",…}]}}
 *     → {"id":2,"request":"full","connector":"phs.test"}            without `connector`: all that are enabled
 *     ← {"id":2,"ok":true,"result":{"connectors":["phs.test"]}}     taken up; `status` tells how it goes
 *     → {"id":3,"request":"sync-object","dn":"CN=Ann,OU=Staff,DC=phs,DC=test"}    or "guid":"…"; "connector" may be named
 *     ← {"id":3,"ok":true,"result":{"connector":"phs.test","guid":"…","dn":"…","status":"Success",…}}
 *     ← {"id":3,"ok":false,"error":{"code":"connector-unknown","message":"…"}}
 *
 * Replies come in the order in which the work ends, not in that of the requests: `id` says which is which. What could be
 * done of a single object, or not, is an `ObjectReport`; `ok: false` is for requests that make no sense or could not be
 * tried. Times are milliseconds since 1970. No message has room for a secret.
 */

import { z } from 'zod';
import type { AgentStatus } from '../status.js';
import type { ObjectReport } from '../sync-object.js';

/** Characters of a line, either way. */
export const MAX_LINE = 65_536;

const id = z.int().min(0);
const connector = z.string().min(1).max(128).optional();

export const requestSchema = z.discriminatedUnion('request', [
  z.strictObject({ id, request: z.literal('status') }),
  z.strictObject({ id, request: z.literal('full'), connector }),
  z
    .strictObject({
      id,
      request: z.literal('sync-object'),
      connector,
      dn: z.string().min(1).max(4096).optional(),
      guid: z
        .string()
        .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'expected a GUID')
        .optional(),
    })
    .refine(({ dn, guid }) => (dn === undefined) !== (guid === undefined), 'expected either dn or guid'),
]);
export type ControlRequest = z.output<typeof requestSchema>;

/** A request's `result`, by its kind. */
export interface ControlResults {
  readonly status: AgentStatus;
  readonly full: { readonly connectors: readonly string[] };
  readonly 'sync-object': ObjectReport;
}
export type ControlKind = keyof ControlResults;

/** What a request of the kind carries besides `id` and `request`. */
export interface ControlArguments {
  readonly status: Readonly<Record<never, never>>;
  readonly full: { readonly connector?: string | undefined };
  readonly 'sync-object': ObjectRequest;
}

export interface ObjectRequest {
  readonly connector?: string | undefined;
  readonly dn?: string | undefined;
  readonly guid?: string | undefined;
}

export const replySchema = z.union([
  z.object({ id, ok: z.literal(true), result: z.unknown() }),
  z.object({
    id: z.int().nullable(),
    ok: z.literal(false),
    error: z.object({ code: z.string(), message: z.string() }),
  }),
]);
export type ControlReply = z.output<typeof replySchema>;
