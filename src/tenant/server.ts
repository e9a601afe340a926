/** Starts and stops the tenant: state directory, store, keys, and the HTTPS server with its endpoints. */

import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { resolveSecret } from '../config/secrets.js';
import { packageVersion } from '../config/version.js';
import { checkFips } from '../hasher/fips.js';
import type { Hasher } from '../hasher/types.js';
import { AgentDomains } from './agent-domains.js';
import { createAuditLog } from './audit/audit-log.js';
import type { AuditLog } from './audit/types.js';
import type { TenantConfig } from './config.js';
import type { TenantContext } from './context.js';
import { watchExpiry } from './domain-services/expiry-watch.js';
import { registerFeedEndpoint } from './domain-services/feed-endpoint.js';
import { DomainServices } from './domain-services/service.js';
import { unknownPermission } from './graph/known-permissions.js';
import { registerGraph } from './graph/plugin.js';
import {
  createServer,
  type HttpsServer,
  hostInUrl,
  isEveryAddress,
  listen,
  TIMEOUTS,
  type Timeouts,
} from './http-server.js';
import { Metrics } from './monitor/metrics.js';
import { startTenantMonitor } from './monitor/monitor.js';
import { createOidc } from './oidc/oidc.js';
import { FORMER_KEY_FILE } from './oidc/signing-keys.js';
import { createPasswordChanges } from './passwords/password-changes.js';
import type { PasswordChanges } from './passwords/types.js';
import { seedDomains } from './policies/domains.js';
import { domainOf } from './policies/realm.js';
import { PROVISIONING_PATH, registerProvisioningEndpoint } from './provisioning/endpoint.js';
import { INITIAL_FEATURES } from './provisioning/operations.js';
import { registerRateLimit } from './rate-limit.js';
import type { SignInHasher } from './sign-in/password-check.js';
import { createSignIn, type SignInService } from './sign-in/sign-in.js';
import { openStateDir } from './state-dir.js';
import { withStateLock } from './state-lock.js';
import { openStore } from './store/open-store.js';
import { startPurgeTimer } from './store/purge-timer.js';
import { type TenantStore, userPrincipalNameKey } from './store/store.js';
import { keepAutoTls, readConfiguredTls, type ServerTls } from './tls/server-tls.js';
import { registerHomePage } from './web/home.js';
import { createProviderPages } from './web/provider-pages.js';
import { Seal } from './web/seal.js';
import { registerSignInPages } from './web/sign-in-pages.js';
import { interactionPath } from './web/types.js';
import { registerWritebackEndpoints } from './write-back/endpoints.js';
import { createWriteback, type Writeback } from './write-back/write-back.js';

const DAY = 24 * 60 * 60 * 1000;
/** Requests under way get this long at the end; then their connections are cut. */
const CLOSE_GRACE = 10_000;

export interface TenantDependencies {
  /** Checks passwords. The caller's: `close()` leaves it running. */
  readonly hasher: SignInHasher & Pick<Hasher, 'info'>;
  readonly logger: Logger;
  readonly now?: () => Date;
  /** Where `{ env: … }` secrets are looked up; default process.env. */
  readonly env?: Readonly<NodeJS.ProcessEnv>;
  /** For tests, which do not wait as long. */
  readonly timeouts?: Timeouts;
  /** For tests of what a refused sign-in takes, without the moment that it waits for: 0. */
  readonly refusalMs?: number;
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
  const opened: (() => unknown)[] = [];
  // The last that was opened is closed first; what fails to close keeps nothing else open.
  const closeAll = async () => {
    for (let close = opened.pop(); close !== undefined; close = opened.pop()) {
      try {
        await close();
      } catch (err) {
        deps.logger.error({ err }, 'part of the tenant did not close');
      }
    }
  };
  try {
    const tenant = await open(config, deps, (close) => opened.push(close));
    let closing: Promise<void> | undefined;
    const close = async () => {
      await closeAll();
      deps.logger.info('tenant is closed');
    };
    return { ...tenant, close: () => (closing ??= close()) };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** `onClose` is told how to close each thing as soon as it is open. */
async function open(
  config: TenantConfig,
  deps: TenantDependencies,
  onClose: (close: () => unknown) => void,
): Promise<Omit<RunningTenant, 'close'>> {
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
  const readers = await Promise.all(
    config.domainServices.clients.map(async ({ clientId, clientSecret }, i) => ({
      clientId,
      secret: await resolveSecret(clientSecret, `domainServices.clients[${i}].clientSecret`, env),
    })),
  );
  await openStateDir(config.stateDir);
  const tls = await withStateLock(config.stateDir, () => readTls(config, now()));
  const store = await openStore(config, { initialFeatures: INITIAL_FEATURES, now, env });
  onClose(() => store.close());
  const purge = startPurgeTimer(store.database, { retention: config.retention, now, log: logger });
  onClose(() => purge.stop());
  const domains = await seedDomains(store.database, config.domains, logger);

  let baseUrl = config.publicUrl?.replace(/\/+$/, '');
  const context: TenantContext = {
    store,
    displayName: config.displayName,
    domains: new Set(domains),
    agents: new AgentDomains(config.agents),
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
    refusalMs: deps.refusalMs,
    onAttempt: (flow, code) => context.metrics.signIn(flow, code),
  });
  onClose(() => signIn.close());

  const oidc = await createOidc({
    context,
    signIn,
    agents,
    applications,
    readers,
    administrators: config.administrators,
    formerKeyFile: join(config.stateDir, FORMER_KEY_FILE),
    interactionPath,
    pages: createProviderPages(context),
  });
  onClose(() => oidc.close());

  const server = createServer(tls, context, config, deps.timeouts ?? TIMEOUTS);
  // Requests under way come to their end first, with everything that they need.
  onClose(() => closeServer(server));
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
    agents: context.agents,
    onOutcome: (outcome, reason) => context.metrics.writeback(outcome, reason),
  });
  context.metrics.watchWriteback(() => writeback.status());
  registerWritebackEndpoints(server, {
    writeback,
    log: logger,
    now,
    verifyAgentToken: oidc.verifyAgentToken,
  });
  registerFeedEndpoint(server, { context, verifyReaderToken: oidc.verifyReaderToken });
  const audit = createAuditLog(store.database, now);
  const services = new DomainServices({ database: store.database, tenantId: store.tenantId, audit, now });
  onClose(await watchExpiry({ service: services, log: logger }));
  const passwords = createPasswordChanges({ store, signIn, writeback, audit, now, log: logger });
  registerSignInPages(server, {
    context,
    provider: oidc.provider,
    signIn,
    passwords,
    keepMeSignedIn: config.signIn.keepMeSignedIn,
    seal: await Seal.open(store.database),
  });
  registerHomePage(server, context);
  warnOfSlips(config, context);
  registerGraph(server, {
    context,
    accessTokens: oidc.accessTokens,
    audit,
    passwords,
    realms: signIn.realms,
    applicationName: (id) => config.applications?.find(({ clientId }) => clientId === id)?.displayName,
    administrators: config.administrators,
  });
  server.get('/health', async () => {
    await store.dirSyncFeatures();
    return { status: 'ok' };
  });

  await listen(server, config.listen);
  const address = server.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : config.listen.port;
  baseUrl ??= `https://${hostInUrl(config.listen.host)}:${port}`;
  const monitor =
    config.monitor && (await startTenantMonitor({ ...context, config: config.monitor, startedAt: now() }));
  onClose(() => monitor?.close());
  if (config.tls === 'auto') {
    const renewal = renewDaily(server, config, tls, deps);
    onClose(() => clearInterval(renewal));
  }
  logger.info({ url: baseUrl, tenantId: store.tenantId }, 'tenant is listening');
  if (config.publicUrl === undefined && isEveryAddress(config.listen.host)) {
    logger.warn(
      { key: 'publicUrl', issuer: baseUrl },
      'tenant.yaml listens on every address and has no publicUrl: tokens name localhost as their issuer, which other machines cannot reach',
    );
  }

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
  };
}

/** What is no error, and most likely not what was meant: it would show as a bare 403 much later. */
function warnOfSlips(
  { agents, applications = [], administrators }: TenantConfig,
  { domains, log }: TenantContext,
): void {
  for (const { clientId, domains: own } of agents) {
    if (own === undefined || own.some((domain) => domains.has(domain))) continue;
    log.warn(
      { clientId, domains: own },
      'tenant.yaml lets an agent act for no domain of this tenant: it can make no user',
    );
  }
  for (const { clientId, delegated, permissions } of applications) {
    for (const permission of [...delegated, ...permissions]) {
      const unknown = unknownPermission(permission);
      if (unknown === undefined) continue;
      const hint = unknown.nearest === '' ? {} : { didYouMean: unknown.nearest };
      log.warn({ clientId, permission, ...hint }, 'tenant.yaml gives a permission that no call here asks for');
    }
  }
  for (const administrator of administrators) {
    if (domains.has(domainOf(userPrincipalNameKey(administrator)))) continue;
    log.warn({ administrator }, 'tenant.yaml names an administrator who is of no domain of this tenant');
  }
}

async function closeServer(server: HttpsServer): Promise<void> {
  const cut = setTimeout(() => server.server.closeAllConnections(), CLOSE_GRACE);
  await server.close();
  clearTimeout(cut);
}

function readTls({ tls, stateDir, listen, publicUrl }: TenantConfig, now: Date): Promise<ServerTls> {
  return tls === 'auto' ? keepAutoTls(stateDir, listen.host, now, publicUrl) : readConfiguredTls(tls);
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
