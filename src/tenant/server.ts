/** Starts and stops the tenant: state directory, store, keys, and the HTTPS server with its endpoints. */

import type { Server } from 'node:https';
import { hostname } from 'node:os';
import { join } from 'node:path';
import formbody from '@fastify/formbody';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import { resolveSecret } from '../config/secrets.js';
import { packageVersion } from '../config/version.js';
import { PhsyncError } from '../hasher/errors.js';
import { checkFips } from '../hasher/fips.js';
import type { Hasher } from '../hasher/types.js';
import type { MonitorServer } from '../monitor/server.js';
import { createAuditLog } from './audit/audit-log.js';
import type { AuditLog } from './audit/types.js';
import type { TenantConfig } from './config.js';
import type { TenantContext } from './context.js';
import { registerGraph } from './graph/plugin.js';
import { Metrics } from './monitor/metrics.js';
import { startTenantMonitor } from './monitor/monitor.js';
import { createOidc } from './oidc/oidc.js';
import { FORMER_KEY_FILE } from './oidc/signing-keys.js';
import { createPasswordChanges } from './passwords/password-changes.js';
import type { PasswordChanges } from './passwords/types.js';
import { seedDomains } from './policies/domains.js';
import { PROVISIONING_PATH, registerProvisioningEndpoint } from './provisioning/endpoint.js';
import { INITIAL_FEATURES } from './provisioning/operations.js';
import { registerRateLimit } from './rate-limit.js';
import type { SignInHasher } from './sign-in/password-check.js';
import { createSignIn, type SignInService } from './sign-in/sign-in.js';
import { openStateDir } from './state-dir.js';
import { withStateLock } from './state-lock.js';
import { openStore } from './store/open-store.js';
import { startPurgeTimer } from './store/purge-timer.js';
import type { TenantStore } from './store/store.js';
import { keepAutoTls, readConfiguredTls, type ServerTls } from './tls/server-tls.js';
import { createProviderPages } from './web/provider-pages.js';
import { Seal } from './web/seal.js';
import { registerSignInPages } from './web/sign-in-pages.js';
import { interactionPath } from './web/types.js';
import { registerWritebackEndpoints } from './write-back/endpoints.js';
import { createWriteback, type Writeback } from './write-back/write-back.js';

const DAY = 24 * 60 * 60 * 1000;
/** An agent's next batch and a person's next try come on the connection that is there. */
const KEEP_ALIVE = 65_000;
/** Milliseconds in which a connection has to come up with something, or is cut. */
export interface Timeouts {
  /** TLS. */
  readonly handshake: number;
  /** A request's first line and headers, from the connection's beginning on: 16 KiB at most. */
  readonly head: number;
  /** The whole request. */
  readonly request: number;
  /** Connections that are late are looked for so often. */
  readonly check: number;
}
/** 32 MiB at 3 Mbit/s take 90 seconds. */
const TIMEOUTS: Timeouts = { handshake: 20_000, head: 20_000, request: 100_000, check: 10_000 };
/** Every body but an agent's is smaller: a form with a name, a password and a few words. */
const MAX_FORM = 16 * 1024;
/** Requests under way get this long at the end; then their connections are cut. */
const CLOSE_GRACE = 10_000;
/** RFC 6797: a year; and nothing here is to be guessed at or framed. */
const SAFETY_HEADERS = {
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;
const NO_SUCH_ADDRESS = { error: 'invalid_request', error_description: 'There is no such address here.' } as const;

export interface TenantDependencies {
  /** Checks passwords. The caller's: `close()` leaves it running. */
  readonly hasher: SignInHasher & Pick<Hasher, 'info'>;
  readonly logger: Logger;
  readonly now?: () => Date;
  /** Where `{ env: … }` secrets are looked up; default process.env. */
  readonly env?: Readonly<NodeJS.ProcessEnv>;
  /** For tests, which do not wait as long. */
  readonly timeouts?: Timeouts;
}

export interface RunningTenant {
  /** `https://host:port`, or the configured publicUrl. */
  readonly url: string;
  /** The port that is listened on, also where the configuration said 0. */
  readonly port: number;
  readonly provisioningUrl: string;
  readonly tokenUrl: string;
  readonly tenantId: string;
  /** PEM file to trust; undefined where `tls` names a certificate. */
  readonly caPath: string | undefined;
  /** `http://127.0.0.1:9465`, where it is configured. */
  readonly monitorUrl: string | undefined;
  readonly store: TenantStore;
  readonly signInService: SignInService;
  readonly passwords: PasswordChanges;
  readonly audit: AuditLog;
  /** Takes passwords back on premises; people reach it through PasswordChanges. */
  readonly writeback: Writeback;
  /** Lets requests under way end (ten seconds at most), then closes the store. */
  close(): Promise<void>;
}

/**
 * @throws PhsyncError `config-secret`, `config-tls`, `config-fips`, `state-dir`, `store-open`, `store-newer`, `tls-state`,
 *   `token-key`, or `listen` when the address cannot be had.
 */
export async function startTenant(config: TenantConfig, deps: TenantDependencies): Promise<RunningTenant> {
  const { now = () => new Date(), logger, env } = deps;
  checkFips('checking a password', 'MD4', config.allowMd5InFips);
  const agents = await Promise.all(
    config.agents.map(async ({ clientId, clientSecret }, i) => ({
      clientId,
      secret: await resolveSecret(clientSecret, `agents[${i}].clientSecret`, env),
    })),
  );
  const applications =
    config.applications &&
    (await Promise.all(
      config.applications.map(async ({ clientSecret, displayName, ...application }, i) => ({
        ...application,
        displayName,
        secret: clientSecret && (await resolveSecret(clientSecret, `applications[${i}].clientSecret`, env)),
      })),
    ));
  await openStateDir(config.stateDir);
  const tls = await withStateLock(config.stateDir, () => readTls(config, now()));
  const store = await openStore(config, { initialFeatures: INITIAL_FEATURES, now, env });

  const domains = await seedDomains(store.database, config.domains, logger);

  let baseUrl = config.publicUrl?.replace(/\/+$/, '');
  const context: TenantContext = {
    store,
    displayName: config.displayName,
    domains: new Set(domains),
    // No request is answered before the server listens, and then it is set.
    baseUrl: () => baseUrl ?? '',
    now,
    log: logger,
    metrics: new Metrics({ version: packageVersion(), hasher: deps.hasher.info }),
  };
  const signIn = await createSignIn({
    store,
    hasher: deps.hasher,
    settings: {
      threshold: config.signIn.lockoutThreshold,
      seconds: config.signIn.lockoutSeconds,
      blockHighRisk: config.signIn.blockHighRisk,
    },
    now,
    log: logger,
    onAttempt: (flow, code) => context.metrics.signIn(flow, code),
  });

  const oidc = await createOidc({
    context,
    signIn,
    agents,
    applications,
    administrators: config.administrators,
    formerKeyFile: join(config.stateDir, FORMER_KEY_FILE),
    interactionPath,
    pages: createProviderPages(context),
  }).catch(async (error: unknown) => {
    await signIn.close();
    await store.close();
    throw error;
  });

  const server = createServer(tls, context, config, deps.timeouts ?? TIMEOUTS);
  await registerRateLimit(server, config.rateLimit);
  oidc.register(server);
  registerProvisioningEndpoint(server, {
    context,
    verifyAgentToken: oidc.verifyAgentToken,
    serverName: hostname(),
  });
  const writeback = createWriteback({
    store,
    now,
    log: logger,
    ...config.passwordWriteback,
    onOutcome: (outcome, reason) => context.metrics.writeback(outcome, reason),
  });
  context.metrics.watchWriteback(() => writeback.status());
  registerWritebackEndpoints(server, {
    writeback,
    log: logger,
    now,
    verifyAgentToken: oidc.verifyAgentToken,
  });
  const audit = createAuditLog(store.database, now);
  const passwords = createPasswordChanges({ store, signIn, writeback, audit, now, log: logger });
  registerSignInPages(server, {
    context,
    provider: oidc.provider,
    signIn,
    passwords,
    keepMeSignedIn: config.signIn.keepMeSignedIn,
    seal: await Seal.open(store.database),
  });
  registerGraph(server, {
    context,
    accessTokens: oidc.accessTokens,
    audit,
    passwords,
    realms: signIn.realms,
    administrators: config.administrators,
  });
  server.get('/health', async () => {
    await store.dirSyncFeatures();
    return { status: 'ok' };
  });

  try {
    await listen(server, config.listen);
  } catch (error) {
    await server.close();
    oidc.close();
    await signIn.close();
    await store.close();
    throw error;
  }
  const address = server.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : config.listen.port;
  baseUrl ??= `https://${hostInUrl(config.listen.host)}:${port}`;
  let monitor: MonitorServer | undefined;
  try {
    monitor = config.monitor && (await startTenantMonitor({ ...context, config: config.monitor, startedAt: now() }));
  } catch (error) {
    await server.close();
    oidc.close();
    await signIn.close();
    await store.close();
    throw error;
  }
  const renewal = config.tls === 'auto' ? renewDaily(server, config, tls, deps) : undefined;
  const purge = startPurgeTimer(store.database, { retention: config.retention, now, log: logger });
  logger.info({ url: baseUrl, tenantId: store.tenantId }, 'tenant is listening');

  let closing: Promise<void> | undefined;
  const close = async () => {
    clearInterval(renewal);
    const cut = setTimeout(() => server.server.closeAllConnections(), CLOSE_GRACE);
    await server.close();
    clearTimeout(cut);
    await monitor?.close();
    oidc.close();
    await signIn.close();
    await purge.stop();
    await store.close();
    logger.info('tenant is closed');
  };
  return {
    url: baseUrl,
    port,
    provisioningUrl: `${baseUrl}${PROVISIONING_PATH}`,
    tokenUrl: `${baseUrl}/${store.tenantId}/oauth2/v2.0/token`,
    tenantId: store.tenantId,
    caPath: tls.caPath,
    monitorUrl: monitor?.url,
    store,
    signInService: signIn,
    passwords,
    audit,
    writeback,
    close: () => (closing ??= close()),
  };
}

type HttpsServer = FastifyInstance<Server>;

function createServer(
  tls: ServerTls,
  context: TenantContext,
  { signIn }: TenantConfig,
  { handshake, head, request, check }: Timeouts,
): HttpsServer {
  const server = fastify({
    https: {
      key: tls.key,
      cert: tls.cert,
      minVersion: 'TLSv1.2',
      handshakeTimeout: handshake,
      headersTimeout: head,
      connectionsCheckingInterval: check,
    },
    logger: false,
    keepAliveTimeout: KEEP_ALIVE,
    // Fastify's default is none: a client that sends its body byte by byte would hold its connection for ever.
    requestTimeout: request,
    // A closing server ends idle connections and lets the busy ones finish their request.
    forceCloseConnections: 'idle',
    bodyLimit: MAX_FORM,
    trustProxy: signIn.trustedProxies.length === 0 ? false : signIn.trustedProxies,
    routerOptions: { maxParamLength: 256 },
    // An address that cannot be decoded, or with a name that no tenant has; Fastify would send it back.
    frameworkErrors: ({ statusCode }, _request, reply: FastifyReply) => {
      reply.code(statusCode === 414 ? 404 : 400).send(NO_SUCH_ADDRESS);
    },
  });
  // JSON and plain text, which no endpoint takes.
  server.removeAllContentTypeParsers();
  server.register(formbody);
  // On the raw response, so that what others answer below a route has them, too.
  server.addHook('onRequest', (_request, reply, done) => {
    for (const [name, value] of Object.entries(SAFETY_HEADERS)) reply.raw.setHeader(name, value);
    done();
  });
  // Method, route and status only: URLs, headers and bodies can hold names and secrets.
  server.addHook('onResponse', (request, reply, done) => {
    const { url } = request.routeOptions;
    const { method } = request;
    context.metrics.request(method, url, reply.statusCode, reply.elapsedTime / 1000);
    context.log.debug({ method, route: url, status: reply.statusCode, milliseconds: Math.round(reply.elapsedTime) });
    done();
  });
  server.setErrorHandler((error: FastifyError | PhsyncError, _request, reply) => {
    if (error instanceof PhsyncError && (error.code === 'store-busy' || error.code === 'hasher-busy')) {
      return reply
        .code(503)
        .header('retry-after', '1')
        .send({ error: 'temporarily_unavailable', error_description: 'Try again.' });
    }
    const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500;
    if (status === 429) return reply.code(status).send(error);
    if (status < 500) return reply.code(status).send({ error: 'invalid_request', error_description: error.message });
    context.log.error({ err: error }, 'request failed');
    return reply.code(500).send({ error: 'server_error', error_description: 'The service failed on this request.' });
  });
  server.setNotFoundHandler((_request, reply) => reply.code(404).send(NO_SUCH_ADDRESS));
  return server;
}

function readTls({ tls, stateDir, listen, publicUrl }: TenantConfig, now: Date): Promise<ServerTls> {
  return tls === 'auto' ? keepAutoTls(stateDir, listen.host, now, publicUrl) : readConfiguredTls(tls);
}

async function listen(server: HttpsServer, { host, port }: TenantConfig['listen']): Promise<void> {
  try {
    await server.listen({ host, port });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const reasons: Readonly<Record<string, string>> = {
      EADDRINUSE: 'another program listens there',
      EACCES: 'the system does not permit it (ports below 1024 need a privilege)',
      EADDRNOTAVAIL: 'this machine has no such address',
      ENOTFOUND: 'the host name is not known',
    };
    throw new PhsyncError('listen', `cannot listen on ${host}, port ${port}: ${reasons[code] ?? code}`, {
      cause,
      facts: { host, port, reason: code },
    });
  }
}

/** A server that runs for a year must not outlive its certificate: looked at daily, replaced without a restart. */
function renewDaily(
  server: HttpsServer,
  config: TenantConfig,
  first: ServerTls,
  { logger, now = () => new Date() }: TenantDependencies,
): NodeJS.Timeout {
  let current = first.cert;
  const renew = async () => {
    const tls = await withStateLock(config.stateDir, () => readTls(config, now()));
    if (tls.cert === current) return;
    server.server.setSecureContext({ key: tls.key, cert: tls.cert, minVersion: 'TLSv1.2' });
    current = tls.cert;
    logger.info('server certificate renewed');
  };
  return setInterval(() => renew().catch((err) => logger.error({ err }, 'certificate renewal failed')), DAY).unref();
}

function hostInUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}
