/** Errors in Microsoft Graph's own shape: `{ error: { code, message, innerError } }`. */

export class GraphError extends Error {
  override readonly name = 'GraphError';

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

/** A request's ids, as Graph gives them back with every answer. */
export interface RequestIds {
  readonly requestId: string;
  readonly clientRequestId: string;
}

export function errorBody(code: string, message: string, date: Date, ids: RequestIds): object {
  return {
    error: {
      code,
      message,
      innerError: {
        date: date.toISOString().slice(0, 19),
        'request-id': ids.requestId,
        'client-request-id': ids.clientRequestId,
      },
    },
  };
}

/** What a message may show of a request: Graph names what it refuses, and nobody wants a megabyte of it. */
export const shown = (text: string): string => (text.length > 64 ? `${text.slice(0, 64)}…` : text);

export const badRequest = (message: string) => new GraphError(400, 'Request_BadRequest', message);
/** Understood, but not offered. */
export const unsupportedQuery = (message: string) => new GraphError(400, 'Request_UnsupportedQuery', message);
export const notFound = (id: string) =>
  new GraphError(
    404,
    'Request_ResourceNotFound',
    `Resource '${shown(id)}' does not exist or one of its queried reference-property objects are not present.`,
  );
export const denied = () =>
  new GraphError(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.');
export const conflict = (property: string) =>
  badRequest(`Another object with the same value for property ${property} already exists.`);
/** What the directory on premises has the word on. */
export const mastered = (properties: readonly string[]) =>
  badRequest(
    'Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently ' +
      `undergoing migration: ${properties.join(', ')}.`,
  );
