/** `POST /$batch` (OData JSON Format 4.01, 19): up to 20 requests in one, each answered as if it had come by itself. */

import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { errorBody, GraphError, type RequestIds } from './error.js';
import type { DescribedRoute } from './route.js';

export const MAX_STEPS = 20;
const MAX_URL = 4096;
/** Of a request's own headers; who asks, and from where, is the batch's. */
const PASSED_IN = ['content-type', 'accept', 'consistencylevel', 'prefer', 'if-match'];
// As Graph writes them: Microsoft's client looks for `Content-Type` to the letter.
const PASSED_OUT = ['Content-Type', 'Cache-Control', 'Location', 'Retry-After', 'request-id', 'Warning'];

const step = z
  .looseObject({
    id: z.string().min(1).max(128),
    method: z.string().regex(/^(GET|POST|PATCH|PUT|DELETE)$/i, 'expected GET, POST, PATCH, PUT or DELETE'),
    url: z.string().max(MAX_URL).meta({ description: 'Relative to /v1.0: /users?$top=5' }),
    headers: z.record(z.string(), z.string()).optional(),
    body: z.unknown().optional(),
    dependsOn: z.array(z.string().max(128)).max(MAX_STEPS).optional(),
  })
  .meta({ id: 'batchRequest' });
export const batchBody = z.strictObject({ requests: z.array(step).min(1) }).meta({ id: 'batch' });

type Step = z.output<typeof step>;

const answer = z
  .object({
    id: z.string(),
    status: z.int(),
    headers: z.record(z.string(), z.string()),
    body: z.unknown().optional(),
  })
  .meta({ id: 'batchAnswer' });

export type BatchAnswer = z.output<typeof answer>;

/** For the OpenAPI document: it has no permissions of its own. */
export const batchRoute: DescribedRoute = {
  method: 'POST',
  path: '/$batch',
  operationId: 'batch',
  tag: 'batch',
  summary: `Up to ${MAX_STEPS} requests in one; with dependsOn in order, otherwise at once.`,
  body: batchBody,
  reply: {
    status: 200,
    description: 'An answer to each.',
    schema: z.object({ responses: z.array(answer) }).meta({ id: 'batchAnswers' }),
  },
};

/** Of the batch as a whole, for each of its requests. */
export interface BatchCaller {
  readonly authorization: string;
  readonly address: string;
  readonly ids: RequestIds;
  readonly now: () => Date;
}

/**
 * Through the server itself, so that limits, permissions and errors are those of a request that comes alone. `prefix`:
 * where Graph begins; no request of a batch leads out of it. @throws GraphError 400 where the batch is none.
 */
export async function runBatch(
  server: FastifyInstance,
  prefix: string,
  steps: readonly Step[],
  caller: BatchCaller,
): Promise<BatchAnswer[]> {
  checkSteps(steps);
  const underWay = new Map<string, Promise<BatchAnswer>>();
  const byId = new Map(steps.map((one) => [one.id, one]));
  const answerOf = (one: Step): Promise<BatchAnswer> => {
    let found = underWay.get(one.id);
    if (found === undefined) {
      found = Promise.all((one.dependsOn ?? []).map((id) => answerOf(byId.get(id)!))).then((before) =>
        before.some(({ status }) => status >= 400) ? failedDependency(one, caller) : run(server, prefix, one, caller),
      );
      underWay.set(one.id, found);
    }
    return found;
  };
  return Promise.all(steps.map(answerOf));
}

/** @throws GraphError 400 */
function checkSteps(steps: readonly Step[]): void {
  const wrong = (message: string) => new GraphError(400, 'BadRequest', message);
  if (steps.length > MAX_STEPS) {
    throw wrong(`Number of batch request steps exceeds the maximum value of ${MAX_STEPS}.`);
  }
  const left = new Map(steps.map(({ id, dependsOn = [] }) => [id, new Set(dependsOn)]));
  if (left.size !== steps.length) throw wrong('The ids of a batch must be unique.');
  for (const [id, before] of left) {
    for (const other of before) {
      if (!left.has(other)) throw wrong(`The request '${id}' depends on '${other}', which is not in the batch.`);
    }
  }
  // What depends on nothing is taken out, until nothing is left, or only a circle.
  while (left.size > 0) {
    const free = [...left].filter(([, before]) => before.size === 0).map(([id]) => id);
    if (free.length === 0) throw wrong(`The requests '${[...left.keys()].join("', '")}' depend on each other.`);
    for (const id of free) left.delete(id);
    for (const before of left.values()) for (const id of free) before.delete(id);
  }
}

async function run(
  server: FastifyInstance,
  prefix: string,
  { id, method, url, headers = {}, body }: Step,
  caller: BatchCaller,
): Promise<BatchAnswer> {
  const target = within(prefix, url);
  if (target === undefined) return refused(id, 400, 'BadRequest', `The url is none below ${prefix}.`, caller);
  if (isBatch(target.slice(prefix.length))) {
    return refused(id, 400, 'BadRequest', 'A batch cannot be a request of a batch.', caller);
  }
  const given = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => PASSED_IN.includes(name));
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const reply = await server.inject({
    method: method.toUpperCase() as 'GET',
    url: target,
    remoteAddress: caller.address,
    headers: {
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
      ...Object.fromEntries(given),
      authorization: caller.authorization,
      'client-request-id': caller.ids.clientRequestId,
    },
    ...(text === undefined ? {} : { payload: text }),
  });
  const told = Object.fromEntries(
    PASSED_OUT.flatMap((name) => {
      const value = reply.headers[name.toLowerCase()];
      return value === undefined ? [] : [[name, String(value)]];
    }),
  );
  const isJson = told['Content-Type']?.startsWith('application/json') === true;
  return {
    id,
    status: reply.statusCode,
    headers: told,
    ...(reply.payload === '' ? {} : { body: isJson ? JSON.parse(reply.payload) : reply.payload }),
  };
}

/** The address of a request of the batch, undefined where it leads out of Graph. */
function within(prefix: string, url: string): string | undefined {
  // Microsoft's client leaves the version in it.
  const path = url.startsWith(`${prefix}/`) ? url : `${prefix}/${url.replace(/^\//, '')}`;
  if (!URL.canParse(path, 'https://graph')) return undefined;
  const { pathname, search } = new URL(path, 'https://graph');
  return pathname.startsWith(`${prefix}/`) ? pathname + search : undefined;
}

/** However it is written: the router decodes every letter. */
function isBatch(target: string): boolean {
  const [path = ''] = target.split('?', 1);
  try {
    return /^\/+\$batch\b/i.test(decodeURIComponent(path));
  } catch {
    // Not to be decoded: the router refuses it.
    return false;
  }
}

const failedDependency = ({ id }: Step, caller: BatchCaller): BatchAnswer =>
  refused(id, 424, 'FailedDependency', 'A request that this one depends on has failed.', caller);

function refused(id: string, status: number, code: string, message: string, { ids, now }: BatchCaller): BatchAnswer {
  const headers = { 'Content-Type': 'application/json' };
  return { id, status, headers, body: errorBody(code, message, now(), ids) };
}
