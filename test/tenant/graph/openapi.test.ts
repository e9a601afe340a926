/** The OpenAPI document: valid by its own specification, and true of the routes. */

import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import { openApiDocument } from '#src/tenant/graph/openapi.js';
import { describedRoutes } from '#src/tenant/graph/routes.js';

describe('the OpenAPI document', () => {
  const document = openApiDocument(describedRoutes, { baseUrl: () => 'https://tenant.test', displayName: 'test' }) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>>;
    readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
  };

  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const result = await validator.validate(structuredClone(document));
    expect(result.errors).toBeUndefined();
    expect(result.valid).toBe(true);
    expect(validator.version).toBe('3.1');
  });

  it('has every reference that it makes', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
    expect(references.length).toBeGreaterThan(20);
    for (const [, name] of references) expect(document.components.schemas).toHaveProperty([name!]);
    expect(JSON.stringify(document)).not.toContain('#/$defs/');
  });

  it('has every route, once', () => {
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual(describedRoutes.map(({ method, path }) => `${method} ${path}`).sort());
    const ids = describedRoutes.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
