/** A real tenant for tests: HTTPS on a free port, state in a temporary directory, every log line kept. */

import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { Agent, request } from 'undici';
import { configSchemas } from '#src/config/schemas.js';
import { createHasher } from '#src/hasher/create-hasher.js';
import type { Hasher } from '#src/hasher/types.js';
import { tenantSchema } from '#src/tenant/config.js';
import type { Timeouts } from '#src/tenant/http-server.js';
import { type RunningTenant, startTenant } from '#src/tenant/server.js';
import type { SignInHasher } from '#src/tenant/sign-in/password-check.js';
import { keepAutoTls } from '#src/tenant/tls/server-tls.js';

export const AGENT = { clientId: 'agent-1', secret: 'correct horse battery staple' } as const;
export const PROVISIONING_SCOPE = 'https://graph.windows.net/.default';

interface Vector {
  readonly password: string;
  readonly ntHash: string;
  readonly salt: string;
  readonly iterations: number;
  readonly hash: string;
}

/** DSInternals' and Python's OrgId hashes: passwords and credentials that none of our code made. */
export const vectors = JSON.parse(
  readFileSync(new URL('../vectors/orgid.json', import.meta.url), 'utf8'),
) as readonly Vector[];

export const credentialText = ({ salt, iterations, hash }: Vector) => `v1;PPH1_MD4,${salt},${iterations},${hash};`;

export async function temporaryDirectory(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'phsync-tenant-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked at member by member
  readonly json: any;
  readonly text: string;
}

export interface TestTenant extends RunningTenant {
  readonly stateDir: string;
  readonly logText: () => string;
  readonly dispatcher: Agent;
  /** Sums the passwords checked. */
  readonly verifications: () => number;
  get(path: string, init?: { readonly headers?: Readonly<Record<string, string>> }): Promise<Reply>;
  /** A form. */
  post(path: string, form: Readonly<Record<string, string>>): Promise<Reply>;
  token(form: Readonly<Record<string, string>>, options?: { tenant?: string; headers?: object }): Promise<Reply>;
  signIn(username: string, password: string, more?: Readonly<Record<string, string>>): Promise<Reply>;
  agentToken(): Promise<string>;
  /** The server's own close(), while the test's connections are open; `close()` ends those first. */
  closeServer(): Promise<void>;
}

export interface TestTenantOptions {
  readonly stateDir: string;
  /** PostgreSQL in place of SQLite. */
  readonly databaseUrl?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly hasher?: SignInHasher & Pick<Hasher, 'info'>;
  readonly now?: () => Date;
  readonly timeouts?: Timeouts;
  readonly refusalMs?: number;
  /** More of the environment, for `{ env: … }`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One for all tests of a file; a worker thread is enough. */
export const testHasher = () => createHasher({ threads: 1 });

export async function startTestTenant(
  options: TestTenantOptions & { readonly hasher: SignInHasher & Pick<Hasher, 'info'> },
) {
  const { stateDir, databaseUrl, config: more = {}, hasher, now } = options;
  const lines: string[] = [];
  const logger = pino(
    { level: 'trace' },
    new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    }),
  );
  const config = tenantSchema(configSchemas(stateDir)).parse({
    stateDir: '.',
    listen: { host: '127.0.0.1', port: 0 },
    domains: [{ name: 'phs.test' }, { name: 'Second.Example' }],
    rateLimit: { token: 1_000_000, graph: 1_000_000, pages: 1_000_000 },
    agents: [{ clientId: AGENT.clientId, clientSecret: { env: 'AGENT_SECRET' } }],
    ...(databaseUrl === undefined ? {} : { store: { type: 'postgres', url: { env: 'DATABASE_URL' } } }),
    ...more,
  });
  // Whoever connects looks at the certificate by the machine's clock, whatever the tenant's says.
  if (now !== undefined) {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    await keepAutoTls(stateDir, config.listen.host, new Date(), config.publicUrl);
  }
  let verifications = 0;
  const counted: SignInHasher & Pick<Hasher, 'info'> = {
    info: hasher.info,
    ntHash: (password) => hasher.ntHash(password),
    derive(ntHash, options) {
      verifications++;
      return hasher.derive(ntHash, options);
    },
  };
  const tenant = await startTenant(config, {
    hasher: counted,
    logger,
    env: {
      AGENT_SECRET: AGENT.secret,
      ...options.env,
      ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
    },
    ...(now === undefined ? {} : { now }),
    ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
    ...(options.refusalMs === undefined ? {} : { refusalMs: options.refusalMs }),
  });
  const ca = tenant.caPath === undefined ? undefined : readFileSync(tenant.caPath, 'utf8');
  const dispatcher = new Agent({ connect: ca === undefined ? {} : { ca } });
  const call = async (path: string, init: object = {}): Promise<Reply> => {
    const { statusCode, headers, body } = await request(`${tenant.url}${path}`, { dispatcher, ...init });
    const text = await body.text();
    const json = String(headers['content-type']).startsWith('application/json') ? JSON.parse(text) : undefined;
    return { status: statusCode, headers, text, json };
  };
  const token: TestTenant['token'] = (form, { tenant: name = 'organizations', headers = {} } = {}) =>
    call(`/${encodeURIComponent(name)}/oauth2/v2.0/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(form).toString(),
    });
  const test: TestTenant = {
    ...tenant,
    stateDir,
    dispatcher,
    logText: () => lines.join(''),
    verifications: () => verifications,
    get: (path, init) => call(path, init),
    post: (path, form) =>
      call(path, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
      }),
    token,
    signIn: (username, password, form = {}) =>
      token({ grant_type: 'password', client_id: 'app', username, password, scope: 'openid profile', ...form }),
    async agentToken() {
      const { json } = await token({
        grant_type: 'client_credentials',
        client_id: AGENT.clientId,
        client_secret: AGENT.secret,
        scope: PROVISIONING_SCOPE,
      });
      return json.access_token;
    },
    closeServer: () => tenant.close(),
    async close() {
      await dispatcher.close();
      await tenant.close();
    },
  };
  return test;
}

export async function writeText(directory: string, name: string, text: string): Promise<string> {
  const file = join(directory, name);
  await writeFile(file, text);
  return file;
}
