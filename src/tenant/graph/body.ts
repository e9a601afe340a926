/** A request's JSON body, checked; what is wrong is named as Graph names it. */

import type { z } from 'zod';
import { badRequest, shown } from './error.js';

/** OData's annotations that clients send along and that say nothing here. */
const ANNOTATIONS: ReadonlySet<string> = new Set(['@odata.type', '@odata.context']);
const MAX_DEPTH = 8;

/** @throws GraphError 400 */
export function readBody<T>(schema: z.ZodType<T>, body: unknown): T {
  if (body === undefined || body === null) throw badRequest('The request body must have a JSON object.');
  const result = schema.safeParse(withoutAnnotations(body, 0));
  if (result.success) return result.data;
  throw badRequest(describe(result.error.issues[0]!));
}

function withoutAnnotations(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || depth > MAX_DEPTH) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !ANNOTATIONS.has(name))
      .map(([name, member]) => [name, withoutAnnotations(member, depth + 1)]),
  );
}

function describe(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String).join('/');
  if (issue.code === 'unrecognized_keys') {
    const name = [...issue.path.map(String), shown(issue.keys[0]!)].join('/');
    return `Property '${name}' does not exist as a declared property or extension property.`;
  }
  if (path === '') return 'The request body must be a JSON object.';
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) {
    return `A value is required for property '${path}'.`;
  }
  return `Invalid value specified for property '${path}': ${issue.message}`;
}
