/** `$ref` bodies: `{ "@odata.id": "https://…/v1.0/directoryObjects/<id>" }`. */

import { z } from 'zod';
import { badRequest } from '../error.js';

const REFERENCE = /^(?:https:\/\/[^/?#]+)?\/?(?:v1\.0\/|beta\/)?(?:directoryObjects|users|groups)\/([0-9a-f-]{36})$/i;
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export const referenceBody = z.strictObject({ '@odata.id': z.string().max(2048) }).meta({ id: 'reference' });
export type ReferenceBody = z.output<typeof referenceBody>;

/** The object's id, in lower case. @throws GraphError 400 */
export function referencedId({ '@odata.id': url }: ReferenceBody): string {
  const id = REFERENCE.exec(url)?.[1];
  if (id === undefined || !GUID.test(id)) {
    throw badRequest("Invalid URL value specified for property '@odata.id': expected …/directoryObjects/{id}.");
  }
  return id.toLowerCase();
}
