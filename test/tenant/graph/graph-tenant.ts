/** A real tenant and Microsoft's Graph client for it. */

import { randomUUID } from 'node:crypto';
import {
  AuthenticationHandler,
  Client,
  type Context,
  type Middleware,
  TelemetryHandler,
} from '@microsoft/microsoft-graph-client';
import { fetch, request } from 'undici';
import type { AccessTokens, Caller } from '#src/tenant/oidc/caller.js';
import { GRAPH_RESOURCE } from '#src/tenant/oidc/caller.js';
import type { UserAttributes } from '#src/tenant/store/store.js';
import { type Reply, startTestTenant, type TestTenant, type TestTenantOptions } from '../harness.js';
import { checkReply } from './conformance.js';

/** Opaque tokens of the test's own, of which it says what they permit. */
export class TestTokens implements AccessTokens {
  readonly #callers = new Map<string, Caller>();

  issue(caller: Partial<Caller>): string {
    const token = randomUUID();
    this.#callers.set(token, {
      kind: 'user',
      clientId: 'graph-app',
      objectId: undefined,
      scopes: new Set(),
      roles: new Set(),
      ...caller,
    });
    return token;
  }

  async verifyAccessToken(token: string, audience: string) {
    const caller = this.#callers.get(token);
    if (caller === undefined) return { ok: false, reason: 'invalid' } as const;
    return audience === GRAPH_RESOURCE ? ({ ok: true, caller } as const) : ({ ok: false, reason: 'audience' } as const);
  }
}

/** An administrator of the tests. */
export const ADMINISTRATOR = '00000000-0000-4000-8000-0000000000ad';
export const APPLICATION = 'graph-app';

export interface GraphTenant extends Omit<TestTenant, 'token'> {
  /** In an administrator's name, with these delegated permissions. */
  delegated(scopes: readonly string[], objectId?: string): Client;
  /** In an application's own name. */
  application(roles: readonly string[]): Client;
  bearer(kind: 'user' | 'app', permissions: readonly string[], objectId?: string): string;
  /** As it goes over the wire, without Microsoft's client. */
  call(method: string, path: string, options?: RawOptions): Promise<Reply>;
}

export interface RawOptions {
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function startGraphTenant(
  options: TestTenantOptions & Parameters<typeof startTestTenant>[0],
): Promise<GraphTenant> {
  const tokens = new TestTokens();
  const tenant = await startTestTenant({ ...options, accessTokens: tokens });
  const clientFor = (token: string): Client => {
    const authentication = new AuthenticationHandler({ getAccessToken: async () => token });
    const telemetry = new TelemetryHandler();
    authentication.setNext(telemetry);
    telemetry.setNext(new UndiciHandler(tenant));
    return Client.initWithMiddleware({
      baseUrl: `${tenant.url}/`,
      customHosts: new Set([new URL(tenant.url).hostname]),
      middleware: authentication,
    });
  };
  const issue = (kind: 'user' | 'app', permissions: readonly string[], objectId = ADMINISTRATOR) =>
    tokens.issue(
      kind === 'user'
        ? { kind, objectId, scopes: new Set(permissions) }
        : { kind, clientId: APPLICATION, roles: new Set(permissions) },
    );
  return {
    ...tenant,
    delegated: (scopes, objectId) => clientFor(issue('user', scopes, objectId)),
    application: (roles) => clientFor(issue('app', roles)),
    bearer: issue,
    async call(method, path, { token, body, headers = {} } = {}) {
      const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
      const reply = await request(`${tenant.url}/v1.0${path}`, {
        dispatcher: tenant.dispatcher,
        method: method as 'GET',
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(text === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(text === undefined ? {} : { body: text as string }),
      });
      const answered = await reply.body.text();
      const isJson = String(reply.headers['content-type']).startsWith('application/json');
      return {
        status: reply.statusCode,
        headers: reply.headers,
        text: answered,
        json: isJson ? JSON.parse(answered) : undefined,
      };
    },
  };
}

/** The last of the client's handlers: the tenant's CA, and nothing else, is believed. */
class UndiciHandler implements Middleware {
  readonly #tenant: TestTenant;

  constructor(tenant: TestTenant) {
    this.#tenant = tenant;
  }

  async execute(context: Context): Promise<void> {
    const { dispatcher } = this.#tenant;
    const response = await fetch(String(context.request), { ...(context.options as object), dispatcher });
    const { pathname } = new URL(String(context.request));
    const text = await response.clone().text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
    const body = isJson ? JSON.parse(text) : text === '' ? undefined : text;
    checkReply(context.options?.method ?? 'GET', decodeURI(pathname).replace('/v1.0', ''), response.status, body);
    context.response = response as unknown as Response;
  }
}

/** What the client throws. */
export interface ClientError {
  readonly statusCode: number;
  readonly code: string;
  readonly message: string;
}

export async function refusal(work: Promise<unknown>): Promise<ClientError> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: ClientError) => ({ error }),
  );
  if ('value' in outcome) throw new Error(`expected a refusal, not ${JSON.stringify(outcome.value)}`);
  return outcome.error;
}

/** Synchronized users, as an agent provisions them. @returns object ids. */
export async function provision(
  tenant: Pick<TestTenant, 'store'>,
  users: readonly (UserAttributes & { readonly sourceAnchor: string })[],
): Promise<string[]> {
  const outcomes = await tenant.store.applyUsers(
    users.map(({ sourceAnchor, ...attributes }) => ({ kind: 'upsert' as const, sourceAnchor, attributes })),
  );
  return outcomes.map((outcome) => {
    if (outcome.status !== 'stored') throw new Error(outcome.status);
    return outcome.objectId!;
  });
}
