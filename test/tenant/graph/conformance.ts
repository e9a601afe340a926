/** Holds every reply against the OpenAPI document, by Ajv (JSON Schema 2020-12). */

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { openApiDocument } from '#src/tenant/graph/openapi.js';
import { describedRoutes } from '#src/tenant/graph/routes.js';

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >;
}

const document = openApiDocument(describedRoutes, { baseUrl: () => 'https://tenant.test', displayName: 'test' }) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: object;
};
const ajv = new Ajv2020({ strict: true, allErrors: true });
formats.default(ajv);
ajv.addFormat('password', true);
// The document itself, so that its references lead somewhere.
ajv.addKeyword('components');
ajv.addSchema({ $id: 'https://tenant.test/openapi', components: document.components });

const templates = Object.keys(document.paths)
  .map((path) => ({ path, pattern: new RegExp(`^${path.replaceAll('$', '\\$').replace(/\{\w+\}/g, '[^/]+')}$`) }))
  // `/users/$count` before `/users/{id}`.
  .sort((a, b) => a.path.split('{').length - b.path.split('{').length);

const validators = new Map<string, ValidateFunction>();

/** Calls that were seen, as `GET /users/{id} 200`. */
export const seen = new Set<string>();

/** @throws Error where the reply is not one that the document says. `path` is without /v1.0 and query. */
export function checkReply(method: string, path: string, status: number, body: unknown): void {
  const template = templates.find(({ pattern }) => pattern.test(path))?.path;
  const operation = template === undefined ? undefined : document.paths[template]![method.toLowerCase()];
  const key = `${method} ${template ?? path} ${status}`;
  seen.add(key);
  if (operation === undefined || status >= 400) {
    check('error', errorSchema, body, key);
    return;
  }
  const response = operation.responses[status];
  if (response === undefined) throw new Error(`${key}: the document knows no such status`);
  const schema = response.content?.['application/json']?.schema;
  if (schema !== undefined) check(key, schema, body, key);
  else if (status === 204 && body !== undefined) throw new Error(`${key}: a body, where there is none`);
}

const errorSchema = { $ref: '#/components/schemas/odataError' };

function check(name: string, schema: object, body: unknown, key: string): void {
  let validate = validators.get(name);
  if (validate === undefined) {
    const absolute = JSON.parse(
      JSON.stringify(schema).replaceAll('"#/components/', '"https://tenant.test/openapi#/components/'),
    );
    validate = ajv.compile(absolute);
    validators.set(name, validate);
  }
  if (!validate(body)) {
    throw new Error(
      `${key} is not what the document says: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(body)}`,
    );
  }
}
