/** The OpenAPI 3.1 document of the Graph part, made from the routes and the schemas that check their bodies. */

import { z } from 'zod';
import type { QuerySupport } from './odata/query.js';
import type { DescribedRoute } from './route.js';

export interface OpenApiContext {
  /** `https://host:port` */
  readonly baseUrl: () => string;
  readonly displayName: string;
}

const errorSchema = z
  .object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      innerError: z.object({ date: z.string(), 'request-id': z.string(), 'client-request-id': z.string() }),
    }),
  })
  .meta({ id: 'odataError' });

export function openApiDocument(routes: readonly DescribedRoute[], { baseUrl, displayName }: OpenApiContext): object {
  const schemas = new Schemas();
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operationOf(route, schemas);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `Microsoft Graph v1.0, as ${displayName} offers it`,
      version: '1.0',
      description: 'The part of Microsoft Graph that password hash synchronization is administered with.',
    },
    servers: [{ url: `${baseUrl()}/v1.0` }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.components,
      responses: {
        error: {
          description: "Refused, in Graph's own shape.",
          content: { 'application/json': { schema: schemas.reference(errorSchema, 'output') } },
        },
      },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'https://graph.microsoft.com' },
      },
    },
    security: [{ bearer: [] }],
  };
}

/** JSON Schema (draft 2020-12, which OpenAPI 3.1 has) of each, the named ones once, below components. */
class Schemas {
  readonly components: Record<string, unknown> = {};

  reference(schema: z.ZodType, io: 'input' | 'output'): object {
    const json = JSON.stringify(z.toJSONSchema(schema, { io, unrepresentable: 'any' }));
    const {
      $schema: _,
      $defs = {},
      ...root
    } = JSON.parse(json.replaceAll('"#/$defs/', '"#/components/schemas/')) as JsonSchema;
    for (const [name, definition] of Object.entries($defs)) this.components[name] = withoutId(definition);
    if (root.id === undefined) return root;
    this.components[root.id] = withoutId(root);
    return { $ref: `#/components/schemas/${root.id}` };
  }
}

interface JsonSchema {
  readonly $schema?: string;
  readonly id?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
}

const withoutId = ({ id: _, ...schema }: JsonSchema): object => schema;

function operationOf(route: DescribedRoute, schemas: Schemas): object {
  const { operationId, tag, summary, permissions, body, reply } = route;
  const { status, description, schema } = reply;
  const content =
    schema === undefined
      ? { 'text/plain': { schema: { type: 'string' } } }
      : { 'application/json': { schema: schemas.reference(schema, 'output') } };
  const names = (list: readonly string[]) => (list.length === 0 ? 'not supported' : list.join(', '));
  return {
    operationId,
    tags: [tag],
    summary,
    description:
      permissions === undefined
        ? 'Any token; each request in it asks for its own permissions.'
        : `Delegated: ${names(permissions.delegated)}.\n\nApplication: ${names(permissions.application)}.`,
    parameters: [...pathParameters(route.path), ...queryParameters(route.query ?? {})],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: schemas.reference(body, 'input') } },
          },
        }),
    responses: {
      [status]: { description, ...(status === 204 ? {} : { content }) },
      default: { $ref: '#/components/responses/error' },
    },
  };
}

const pathParameters = (path: string) =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));

function queryParameters({ properties, filter, or, search, top, count, orderBy }: QuerySupport): object[] {
  const parameter = (name: string, schema: object, description?: string) => ({
    name,
    in: 'query',
    schema,
    ...(description === undefined ? {} : { description }),
  });
  const string = { type: 'string' };
  return [
    ...(properties === undefined ? [] : [parameter('$select', string, `Of ${[...properties].join(', ')}.`)]),
    ...(filter === undefined
      ? []
      : [parameter('$filter', string, `${describeFilters(filter)}. Joined by and${or ? ', or' : ''}.`)]),
    ...(search === undefined
      ? []
      : [parameter('$search', string, `"property:text" of ${search.join(', ')}. With ConsistencyLevel: eventual.`)]),
    ...(top === undefined
      ? []
      : [
          parameter('$top', { type: 'integer', minimum: 1, maximum: top.most, default: top.byDefault }),
          parameter('$skiptoken', string, 'From @odata.nextLink.'),
        ]),
    ...(count === true ? [parameter('$count', { type: 'boolean' }, 'With ConsistencyLevel: eventual.')] : []),
    ...(orderBy === undefined ? [] : [parameter('$orderby', { type: 'string', enum: orderBy })]),
  ];
}

const describeFilters = (filter: NonNullable<QuerySupport['filter']>) =>
  Object.entries(filter)
    .map(([path, { operators }]) => `${path} (${operators.join(', ')})`)
    .join('; ');
