/** A real tenant and Microsoft's Graph client for it. */

import {
  AuthenticationHandler,
  Client,
  type Context,
  type Middleware,
  TelemetryHandler,
} from '@microsoft/microsoft-graph-client';
import { fetch, request } from 'undici';
import { afterAll, beforeAll, describe } from 'vitest';
import { graphRoutes } from '#src/tenant/graph/routes.js';
import { GRAPH_RESOURCE } from '#src/tenant/oidc/caller.js';
import type { UserAttributes } from '#src/tenant/store/changes.js';
import { describePostgres } from '../../postgres.js';
import {
  AGENT,
  type Reply,
  startTestTenant,
  type TestTenant,
  type TestTenantOptions,
  temporaryDirectory,
  testHasher,
} from '../harness.js';
import { checkReply } from './conformance.js';

/** An administrator, by configuration; made at the start. */
export const ADMINISTRATOR = { name: 'root@phs.test', password: 'Ginger-Beer-4-Everyone' } as const;
/** Named in the configuration, and not there yet. */
export const FUTURE_ADMINISTRATOR = 'Chief@phs.test';
/** Every permission that a route knows: there is an application that has this one alone. */
const PERMISSIONS = [
  ...new Set(graphRoutes.flatMap(({ permissions }) => [...permissions.delegated, ...permissions.application])),
];
/** Applications that have several. */
export const MAKERS = ['User.ReadWrite.All', 'RoleManagement.ReadWrite.Directory'];
const COMBINATIONS = [
  MAKERS,
  ['User.ReadWrite.All', 'User-PasswordProfile.ReadWrite.All'],
  ['IdentityRiskyUser.ReadWrite.All', 'IdentityRiskEvent.Read.All'],
];
/** What people ask for tokens through. */
const PUBLIC_CLIENT = 'graph-shell';

export interface Person {
  readonly name: string;
  readonly password: string;
}

export interface GraphTenant extends TestTenant {
  /** In a person's name (an administrator's), with these delegated permissions. */
  delegated(scopes: readonly string[], person?: Person): Client;
  /** In an application's own name. */
  application(roles: readonly string[]): Client;
  bearer(kind: 'user' | 'app', permissions: readonly string[], person?: Person): Promise<string>;
  /** As it goes over the wire, without Microsoft's client. */
  call(method: string, path: string, options?: RawOptions): Promise<Reply>;
  /** The administrator's object id. */
  readonly administratorId: string;
}

export interface RawOptions {
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export const applicationWith = (roles: readonly string[]) => `app-${[...roles].sort().join('-')}`;

const applications = [
  { clientId: 'app' },
  { clientId: PUBLIC_CLIENT, delegated: PERMISSIONS },
  ...[[], ...PERMISSIONS.map((name) => [name]), ...COMBINATIONS].map((permissions) => ({
    clientId: applicationWith(permissions),
    clientSecret: { env: 'AGENT_SECRET' },
    permissions,
    ...(permissions === MAKERS ? { displayName: 'User maker' } : {}),
  })),
];

export async function startGraphTenant(
  options: TestTenantOptions & Parameters<typeof startTestTenant>[0],
): Promise<GraphTenant> {
  const config = { administrators: [ADMINISTRATOR.name, FUTURE_ADMINISTRATOR], applications, ...options.config };
  const tenant = await startTestTenant({ ...options, config });
  const call = (method: string, path: string, raw?: RawOptions) => callRaw(tenant, method, path, raw);

  /** Real tokens of the tenant's own token endpoint, each asked for once. */
  const tokens = new Map<string, Promise<string>>();
  const ask = async (form: Readonly<Record<string, string>>) => {
    const { status, json, text } = await tenant.token(form);
    if (status !== 200) throw new Error(text);
    return json.access_token as string;
  };
  const bearer: GraphTenant['bearer'] = (kind, permissions, { name, password } = ADMINISTRATOR) => {
    const form: Readonly<Record<string, string>> =
      kind === 'app'
        ? {
            grant_type: 'client_credentials',
            client_id: applicationWith(permissions),
            client_secret: AGENT.secret,
            scope: `${GRAPH_RESOURCE}/.default`,
          }
        : {
            grant_type: 'password',
            client_id: PUBLIC_CLIENT,
            username: name,
            password,
            scope: permissions.map((permission) => `${GRAPH_RESOURCE}/${permission}`).join(' '),
          };
    const key = JSON.stringify(form);
    let token = tokens.get(key);
    if (token === undefined) tokens.set(key, (token = ask(form)));
    return token;
  };
  const clientFor = (getAccessToken: () => Promise<string>): Client => {
    const authentication = new AuthenticationHandler({ getAccessToken });
    const telemetry = new TelemetryHandler();
    authentication.setNext(telemetry);
    telemetry.setNext(new UndiciHandler(tenant));
    return Client.initWithMiddleware({
      baseUrl: `${tenant.url}/`,
      customHosts: new Set([new URL(tenant.url).hostname]),
      middleware: authentication,
    });
  };
  const made = await call('POST', '/users', {
    token: await bearer('app', MAKERS),
    body: {
      accountEnabled: true,
      displayName: 'Administrator',
      userPrincipalName: ADMINISTRATOR.name,
      passwordProfile: { password: ADMINISTRATOR.password, forceChangePasswordNextSignIn: false },
    },
  });
  if (made.status !== 201) throw new Error(made.text);
  return {
    ...tenant,
    call,
    bearer,
    delegated: (scopes, person) => clientFor(() => bearer('user', scopes, person)),
    application: (roles) => clientFor(() => bearer('app', roles)),
    administratorId: made.json.id,
  };
}

async function callRaw(
  tenant: TestTenant,
  method: string,
  path: string,
  { token, body, headers = {} }: RawOptions = {},
): Promise<Reply> {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const reply = await request(`${tenant.url}/v1.0${path}`, {
    dispatcher: tenant.dispatcher,
    method: method as 'GET',
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(text === undefined ? {} : { body: text }),
  });
  const answered = await reply.body.text();
  const isJson = String(reply.headers['content-type']).startsWith('application/json');
  const json = isJson ? JSON.parse(answered) : undefined;
  return { status: reply.statusCode, headers: reply.headers, text: answered, json };
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

/** A suite with a tenant of its own, once on SQLite and once on PostgreSQL. */
export function describeGraph(
  name: string,
  body: (tenant: () => GraphTenant, dialect: 'sqlite' | 'postgres') => void,
  options: Pick<TestTenantOptions, 'config' | 'now'> = {},
): void {
  const withTenant = (dialect: 'sqlite' | 'postgres', databaseUrl: () => Promise<string | undefined>) => {
    const hasher = testHasher();
    let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
    let tenant: GraphTenant | undefined;
    beforeAll(async () => {
      directory = await temporaryDirectory();
      const url = await databaseUrl();
      const store = url === undefined ? {} : { databaseUrl: url };
      tenant = await startGraphTenant({ stateDir: directory.path, hasher, ...options, ...store });
    }, 240_000);
    afterAll(async () => {
      await tenant?.close();
      await directory.remove();
      await hasher.close();
    });
    body(() => tenant!, dialect);
  };
  describe(`${name}, on SQLite`, () => withTenant('sqlite', async () => undefined));
  describePostgres(`${name}, on PostgreSQL`, (postgres) => withTenant('postgres', () => postgres().createDatabase()));
}
