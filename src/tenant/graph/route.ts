/** One call of the Graph part: its address, who may make it, what it takes and answers; routes and OpenAPI come from it. */

import type { Logger } from 'pino';
import type { z } from 'zod';
import type { AuditEntry, AuditLog } from '../audit/types.js';
import type { TenantContext } from '../context.js';
import type { Caller } from '../oidc/caller.js';
import type { PasswordChanges } from '../passwords/types.js';
import type { Realms } from '../policies/realm.js';
import type { TenantDatabase } from '../store/database.js';
import type { ODataQuery, QuerySupport } from './odata/query.js';
import type { SkipTokens } from './odata/skip-tokens.js';
import type { Permissions } from './permissions.js';

export interface GraphDependencies {
  readonly context: TenantContext;
  readonly audit: AuditLog;
  readonly passwords: Pick<PasswordChanges, 'first' | 'reset' | 'hindrance'>;
  /** Told of every change that bears on where people sign in. */
  readonly realms: Pick<Realms, 'refresh'>;
  /** Of an application's client id, as people see it; undefined where none has it. */
  readonly applicationName: (clientId: string) => string | undefined;
}

/** What handlers share. */
export interface GraphServices extends GraphDependencies {
  /** By userPrincipalNameKey(). */
  readonly isAdministrator: (nameKey: string) => boolean;
  readonly database: TenantDatabase;
  readonly skipTokens: SkipTokens;
  readonly now: () => Date;
  readonly log: Logger;
}

export type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

export interface GraphCall<Body> {
  readonly services: GraphServices;
  readonly caller: Caller;
  /** The administrator's object id, or the application's client id. */
  readonly actor: AuditEntry['actor'];
  readonly params: Readonly<Record<string, string>>;
  readonly query: ODataQuery;
  /** Header `ConsistencyLevel: eventual`, without which Graph counts nothing. */
  readonly eventual: boolean;
  readonly body: Body;
  readonly correlationId: string;
  /** Everything of a collection's address that a page's place depends on. */
  readonly scope: string;
  /** The address of the next page. */
  nextLink(skipToken: string): string;
  /** `@odata.context` */
  readonly contextUrl: (fragment: string) => string;
}

export interface GraphReply {
  readonly status: 200 | 201 | 204;
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface GraphRoute<Body = unknown> {
  readonly method: Method;
  /** With `{name}` for parameters, as OpenAPI has them. */
  readonly path: string;
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  readonly permissions: Permissions;
  readonly query?: QuerySupport;
  readonly body?: z.ZodType<Body>;
  readonly reply: { readonly status: 200 | 201 | 204; readonly description: string; readonly schema?: z.ZodType };
  handle(call: GraphCall<Body>): Promise<GraphReply>;
}

/** What the OpenAPI document says of a call; without permissions: any token will do. */
export type DescribedRoute = Omit<GraphRoute, 'handle' | 'permissions'> & { readonly permissions?: Permissions };

/** Keeps the body's type for the handler, and forgets it for the list of routes. */
export const route = <Body = undefined>(definition: GraphRoute<Body>): GraphRoute =>
  definition as unknown as GraphRoute;

export const noContent: GraphReply = { status: 204 };

/** Done, with a warning (RFC 7234 5.5: 299 is a miscellaneous persistent one). */
export const warned = (warning: string): GraphReply => ({ ...noContent, headers: { warning: `299 - "${warning}"` } });
